"""One file over HTTP, whole or not at all: resumed, retried, and never waiting on a server that stalls.

What has arrived stays in a ``.part`` file; the next try, or the next run, asks for the rest of it where the
server answers ranges (``If-Range`` with its ETag, so that a file that changed meanwhile begins anew).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:  # a second to import: only where something is fetched
    import requests

_CHUNK_BYTES = 1 << 14
"""What of a broken connection may be lost."""
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


class DownloadError(Exception):
    """A file could not be fetched; the message is the reason alone, without the file."""

    def __init__(self, reason: str, is_host_out_of_reach: bool = False) -> None:
        super().__init__(reason)
        self.is_host_out_of_reach = is_host_out_of_reach


class _TryAgain(Exception):  # noqa: N818 - no error yet
    """This try failed in a way that the next may not."""


@dataclass(frozen=True)
class Patience:
    """How long a download goes on trying."""

    tries: int = 4
    """Tries in a row that bring no new byte before it is given up."""
    stall_s: float = 30.0
    """Seconds without a byte after which a connection counts as dead."""
    backoff_s: float = 1.0
    """Seconds before the second try; each further wait is twice as long."""


def download(
    url: str, part: Path, patience: Patience, on_progress: Callable[[int, int | None], None] = lambda *_: None
) -> None:
    """Fetch a file to ``part``, going on from what is there already.

    Args:
        url: where it is; redirects are followed.
        part: the file; it is complete when this returns, and holds what has arrived when it raises.
        patience: tries and waits.
        on_progress: called with the bytes that have arrived, and the size where the server tells it.

    Raises:
        DownloadError: when the file is not there, or all tries have failed.
    """
    failures = 0
    while True:
        begin = _size(part)
        try:
            return _try_once(url, part, patience, on_progress)
        except _TryAgain as reason:
            failures = 1 if _size(part) > begin else failures + 1  # one that gets on may go on
            if failures >= patience.tries:
                out_of_reach = str(reason).startswith("no connection")
                raise DownloadError(f"{reason}, {failures} tries", out_of_reach) from None
            time.sleep(patience.backoff_s * 2 ** (failures - 1))


def check_connection(url: str, patience: Patience) -> None:
    """Do nothing when a server answers, whatever it says.

    Raises:
        DownloadError: when it cannot be reached.
    """
    import requests

    try:
        requests.head(url, timeout=(patience.stall_s, patience.stall_s))
    except requests.exceptions.RequestException:
        raise DownloadError(f"no connection to {urlsplit(url).netloc}", is_host_out_of_reach=True) from None


def _try_once(
    url: str, part: Path, patience: Patience, on_progress: Callable[[int, int | None], None]
) -> None:
    import requests

    begin, tag_file = _size(part), part.with_name(f"{part.name}.etag")
    headers = {"Accept-Encoding": "identity"}  # ranges and checksums are of the file as it is stored
    if begin and tag_file.exists():
        headers |= {"Range": f"bytes={begin}-", "If-Range": tag_file.read_text(encoding="utf-8")}
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(patience.stall_s, patience.stall_s)
        ) as answer:
            if answer.status_code in (206, 416) and not _goes_on(answer, begin):
                part.unlink(missing_ok=True)
                raise _TryAgain("the server cannot go on where it stopped")
            begin = _begin(answer, begin)
            _remember_tag(answer, tag_file)
            size = _total(answer, begin)
            with part.open("r+b" if begin else "wb") as file:
                file.seek(begin)
                file.truncate()
                on_progress(begin, size)
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    on_progress(file.tell(), size)
    except requests.exceptions.TooManyRedirects:
        raise DownloadError("redirected in circles") from None
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ReadTimeout):
        raise _TryAgain(f"no answer within {patience.stall_s:g} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise _TryAgain("the connection broke") from None
    except requests.exceptions.ConnectionError as error:
        if "timed out" in str(error):  # how requests tells a stall in the middle of a file
            raise _TryAgain(f"no byte for {patience.stall_s:g} s") from None
        if "Connection aborted" in str(error):
            raise _TryAgain("the connection broke") from None
        raise _TryAgain(f"no connection to {urlsplit(url).netloc}") from None
    except requests.exceptions.RequestException as error:
        raise DownloadError(f"not to be fetched ({error})") from None
    if size is not None and _size(part) != size:
        raise _TryAgain(f"ended at {_size(part)} of {size} bytes")
    tag_file.unlink(missing_ok=True)


def _goes_on(answer: "requests.Response", asked: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {asked}-")


def _begin(answer: "requests.Response", asked: int) -> int:
    """Return the byte that the answer begins with; refuse an answer that is no file."""
    if answer.status_code in (200, 206):
        return asked if answer.status_code == 206 else 0
    said = f"the server answers {answer.status_code} {answer.reason}"
    raise _TryAgain(said) if answer.status_code in _WORTH_ANOTHER_TRY else DownloadError(said)


def _remember_tag(answer: "requests.Response", tag_file: Path) -> None:
    """Keep what tells whether the file behind the URL is still the same; without it nothing is resumed."""
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/") and _is_as_stored(answer):
        tag_file.write_text(tag, encoding="utf-8")
    else:
        tag_file.unlink(missing_ok=True)


def _total(answer: "requests.Response", begin: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return begin + int(length) if length.isdecimal() and _is_as_stored(answer) else None


def _is_as_stored(answer: "requests.Response") -> bool:
    """Whether the bytes are sent as they are; some servers compress what they were asked not to."""
    return answer.headers.get("Content-Encoding", "identity") == "identity"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
