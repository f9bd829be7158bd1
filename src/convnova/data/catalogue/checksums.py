"""Whether a file is the one of the catalogue: by its checksum, or by the one it had when it was fetched.

A file whose checksum nobody here knows is not refused: what arrived the first time is written to
``checksums.sha256`` in the data folder (of plain files ``sha256sum -c`` checks it too), and a later fetch or
check compares with that.
"""

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from convnova.data.catalogue.tables import DataFile
from convnova.errors import InputError
from convnova.genome.files import reading
from convnova.writing import write_text

RECORD = "checksums.sha256"
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK_BYTES = 1 << 20
_FIRST_BYTES = {"parquet": b"PAR1", "fasta": b">", "fasta-label": b">"}


def content_sha256(path: Path) -> tuple[str, int]:
    """Return checksum and size in bytes of a file's content, decompressed when it is gzip.

    Raises:
        InputError: when it cannot be read, or is a gzip file that ends early.
    """
    digest, size = hashlib.sha256(), 0
    with reading(path, "a data file"), path.open("rb") as raw:
        is_gzip = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        with gzip.open(raw) if is_gzip else raw as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    return digest.hexdigest(), size


def split_sha256(paths: Sequence[Path]) -> str:
    """Return one checksum for the contents of the files of a split, in their order.

    Of a single file it is that of its content; where there are several, of their checksums.
    """
    digests = [content_sha256(path)[0] for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def what_is_wrong(path: Path, file: DataFile, folder: Path) -> str | None:
    """Return why a file is not the one of the catalogue, in words, or None when nothing speaks against it.

    Args:
        path: the file, plain or gzip.
        file: which file of the catalogue it should be.
        folder: the data folder, whose record of earlier fetches counts where the catalogue has no checksum.
    """
    try:
        found, _ = content_sha256(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    # Another layout of a file (Parquet for FASTA) holds other bytes: only the layout of the table compares.
    if file.sha256 and has_published_layout(path, file) and found != file.sha256:
        return f"its content has sha256 {found[:12]}…, the catalogue says {file.sha256[:12]}…"
    if not file.sha256:
        if reason := _looks_wrong(path, file):
            return reason
        recorded = recorded_checksum(file, folder)
        if recorded and recorded != found:
            return f"its content has sha256 {found[:12]}…, an earlier fetch had {recorded[:12]}… ({RECORD})"
    return None


def has_published_layout(path: Path, file: DataFile) -> bool:
    """Whether a file is of the kind that the table describes: FASTA where it says FASTA, not Parquet."""
    kinds = {Path(name.removesuffix(".gz")).suffix for name in (path.name, Path(file.local).name)}
    return len(kinds) == 1


def recorded_checksum(file: DataFile, folder: Path) -> str | None:
    """Return the checksum that a file had when it was first fetched into a folder, None when it never was."""
    return _read_record(folder).get(file.local)


def record_checksum(path: Path, file: DataFile, folder: Path) -> None:
    """Remember the checksum of a fetched file that the catalogue has none of; the first one stays."""
    with FileLock(folder / f".{RECORD}.lock"):
        known = _read_record(folder)
        if file.local not in known:
            known[file.local] = content_sha256(path)[0]
            lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(known.items()))
            write_text(folder / RECORD, lines)


def _read_record(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def _looks_wrong(path: Path, file: DataFile) -> str | None:
    """Return a reason where the first bytes cannot be those of such a file: a login page, for one."""
    with path.open("rb") as raw:
        first = raw.read(64)
    if first[:2] == _GZIP_MAGIC:
        return None
    if first.lstrip()[:1] == b"<":
        return "the server sent a web page instead of the file"
    suffix = {".parquet": "parquet", ".csv": "csv", ".fna": "fasta", ".fa": "fasta"}.get(
        path.suffix, file.format
    )
    expected = _FIRST_BYTES.get(suffix)
    if expected and not first.lstrip().startswith(expected):
        return f"it does not begin like a {suffix} file"
    return None if first.strip() else "it is empty"
