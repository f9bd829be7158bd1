"""A web server on this machine that answers well, or misbehaves in one of the ways that servers do."""

import gzip
import re
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_S = 5.0
"""How long a stalled answer hangs at most; clients give up long before."""


class Site:
    """Files by path, and for each what goes wrong at its first, second, ... request; then all goes well."""

    def __init__(self):
        self.files = {}
        self.troubles = {}
        self.redirects = {}
        self.has_ranges = True
        self.encoding = "identity"
        self.requests = Counter()
        self.ranges = []
        self.is_closing = threading.Event()

    def add(self, path, data, *troubles):
        self.files[path] = data
        self.troubles[path] = list(troubles)
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(is_head=True)

    def do_GET(self):
        self.answer()

    def answer(self, is_head=False):
        site = self.server.site
        if not is_head:
            site.requests[self.path] += 1
        if self.path in site.redirects:
            return self.say(307, b"", {"Location": site.redirects[self.path]})
        if self.path not in site.files:
            return self.say(404, b"", {"X-Error-Code": "EntryNotFound"})
        data = site.files[self.path]
        if site.encoding == "gzip":
            data = gzip.compress(data, mtime=0)
        troubles = site.troubles[self.path]
        trouble = troubles.pop(0) if troubles and not is_head else ""
        if trouble.isdecimal():
            return self.say(int(trouble), b"busy", {})
        begin = self.wanted(data)
        headers = {"ETag": f'"{hash(data)}"', "X-Repo-Commit": "0" * 40}
        if site.encoding != "identity":
            headers["Content-Encoding"] = site.encoding
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        rest = data[begin:]
        if trouble in ("truncate", "stall"):
            self.head(206 if begin else 200, len(rest), headers)
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            if trouble == "stall":
                site.is_closing.wait(STALL_S)
            self.close_connection = True
            return None
        if trouble == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        return self.say(206 if begin else 200, b"" if is_head else rest, headers, len(rest))

    def wanted(self, data):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range", "") in ("", f'"{hash(data)}"')
        if not (match and self.server.site.has_ranges and is_same):
            return 0
        self.server.site.ranges.append(int(match[1]))
        return int(match[1])

    def head(self, status, length, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def say(self, status, body, headers, length=None):
        self.head(status, len(body) if length is None else length, headers)
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Say nothing when a client leaves in the middle of an answer: here they do."""


@contextmanager
def serve():
    """Run a site in a thread for the time of a test."""
    site = Site()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site = site
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.is_closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def unused_port():
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
