"""What readers share: numbered lines of text, plain or gzip, and a file's faults in plain words."""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from convnova.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends a file of bgzip, without which a file that is cut between blocks looks whole."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Tell what goes wrong while a file is opened, decompressed and decoded as one-line `InputError`.

    Args:
        path: the file, as the user gave it.
        kind: what should have been given, with its article: ``a BED file``.
    """
    try:
        if _is_cut(path):
            raise EOFError
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of {kind}, plain or gzip") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give the path of {kind} in it") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it; change its mode or copy it") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: binary data, or text that is not UTF-8; give {kind}, plain or gzip"
        ) from None
    except EOFError:
        raise InputError(f"{path}: the gzip file ends early; copy or download it again") from None
    except Exception as error:
        # Which class a damaged gzip raises depends on the library that reads it (zlib, isal or zlib-ng).
        what = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({what}); copy or download it again") from error


def _is_cut(path: Path) -> bool:
    """Return whether a file is one of bgzip and does not end as one."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(14)
        if not (head.startswith(_GZIP_MAGIC) and head[3] & 4 and head[12:] == b"BC"):
            return False
        file.seek(max(0, path.stat().st_size - len(_BGZIP_END)))
        return file.read() != _BGZIP_END


def file_checksum(path: Path | None, kind: str = "a file") -> str | None:
    """Return ``sha256:`` and the digest of a file, which an error calls `kind`; None for no file."""
    if path is None:
        return None
    with reading(path, kind), path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def at_place(place: str, hint: str = "") -> Iterator[None]:
    """Put where it is before the message of an `InputError`, ``x.bed, line 7``, and a hint after it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}{hint}") from None


@contextmanager
def open_text(path: Path, kind: str) -> Iterator[TextIO]:
    """Open a plain or gzip file of UTF-8 text; LF, CRLF and CR end a line, mixed too, and read as LF."""
    with reading(path, kind):
        opener = _opener(path)
        # utf-8-sig drops the byte-order mark that spreadsheets write first.
        with opener(path, "rt", encoding="utf-8-sig") as text:
            try:
                yield cast(TextIO, text)
            except UnicodeDecodeError:
                with opener(path, "rb") as lines:
                    line = _undecodable(lines)
                raise InputError(
                    f"{path}, line {line}: binary data, or text that is not UTF-8; give {kind}, plain or gzip"
                ) from None


def _opener(path: Path) -> Callable[..., Any]:
    with path.open("rb") as file:
        return gzip.open if file.read(2) == _GZIP_MAGIC else open


def _undecodable(lines: Iterable[bytes]) -> int:
    """Return the number of the first line that is not UTF-8: text is decoded many lines at a time."""
    for number, line in enumerate(lines, start=1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    return 1  # the lines end otherwise than by LF


def read_bytes(path: Path, kind: str) -> bytes:
    """Return the content of a plain or gzip file, decompressed."""
    with reading(path, kind):
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data


def read_head(path: Path, kind: str, most: int) -> bytes:
    """Return the first bytes of a plain or gzip file, decompressed."""
    with reading(path, kind), _opener(path)(path, "rb") as file:
        return file.read(most)


def read_lines(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line of a plain or gzip file, line end removed."""
    with open_text(path, kind) as text:
        for number, line in enumerate(text, start=1):
            yield number, line.rstrip("\n")


def parse_int(text: str, what: str) -> int:
    """Return a whole number; the error calls it ``what``. Stricter than `int`, which takes 1_000."""
    if not text.removeprefix("-").isdecimal():
        raise InputError(f"{what} {text!r} is not a whole number; write digits only")
    return int(text)
