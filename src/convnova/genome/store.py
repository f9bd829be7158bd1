"""A genome on disk: one byte a base in one file, and a small index that says what lies where.

::

    yeast.fa.gz.convnova/
        bases.u8      all chromosomes end to end; low 3 bits: id of convnova.sequence, bit 3: soft-masked
        index.json    names, sizes, sha256 of bases.u8, and the FASTA it was made from (name, size, mtime)

The folder is filled under another name and put in place by one rename, so a folder under its own name is
complete. It is trusted while the FASTA keeps its size and time, and while ``bases.u8`` has the size that
the index says. A file lock lets one process build while the others wait; the empty lock file stays.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.genome.fasta import Record, read_fasta
from convnova.genome.files import reading
from convnova.sequence import N, encode, soft_mask

FORMAT_VERSION = 1
SOFT_MASKED = 8
"""Bit of a stored byte that is set where the base is soft-masked; the bits below it are the id."""


class Store(NamedTuple):
    """An opened store."""

    folder: Path | None
    """None for one that is held in memory."""
    sizes: dict[str, int]
    """Length in bp of each chromosome, in the order of the file."""
    checksum: str
    """``sha256:`` and the digest of the stored bytes."""
    codes: NDArray[np.uint8]
    """Stored bytes of all chromosomes end to end, read-only, shape (total bp,)."""


def open_store(fasta: Path, cache: Path | None = None) -> tuple[Store, bool]:
    """Return the store of a FASTA file, and whether it was there already; build it when it was not.

    Args:
        fasta: the genome; a store made when it had another size or time is built anew.
        cache: folder for the store instead of the FASTA's own (or, where that cannot be written, the user's).

    Raises:
        InputError: when the FASTA is wrong, or the store cannot be written.
    """
    source = _describe(fasta)
    places = [_cache_place(fasta, cache)] if cache else [_place_beside(fasta), _cache_place(fasta)]
    for place in places:
        if store := load_store(place, source):
            return store, True
    writable = [place for place in places if _is_writable(place.parent)]
    if not writable:
        tried = " or ".join(str(place.parent) for place in places)
        raise InputError(f"{fasta}: its store cannot be written in {tried}; name a writable folder as cache")
    return _build_once(fasta, source, writable[0])


def load_store(folder: Path, source: dict | None = None) -> Store | None:
    """Return the store in a folder, or None when there is none that can be trusted.

    Args:
        folder: where the store may be.
        source: what the FASTA is like now; None skips the comparison.
    """
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["format"] != FORMAT_VERSION or (source is not None and index["source"] != source):
            return None
        codes = np.memmap(folder / "bases.u8", dtype=np.uint8, mode="r")
        if codes.size != sum(index["sizes"]):
            return None
        sizes = dict(zip(index["names"], index["sizes"], strict=True))
        checksum = index["checksum"]
    except (OSError, ValueError, KeyError, TypeError):  # no store, or an index that is not ours
        return None
    # A plain array over the same pages: slicing an np.memmap costs microseconds of bookkeeping.
    return Store(folder, sizes, checksum, codes.view(np.ndarray))


def _build_once(fasta: Path, source: dict, place: Path) -> tuple[Store, bool]:
    """Return the store at a place, and whether another process built it while this one waited."""
    try:
        with FileLock(place.with_name(f".{place.name}.lock")):
            if store := load_store(place, source):
                return store, True
            _build(fasta, source, place)
            if store := load_store(place, source):
                return store, False
    except OSError as error:
        raise InputError(
            f"{place}: the store of {fasta.name} cannot be written ({error.strerror}); "
            "it needs one byte a base: free some space, or name another folder as cache"
        ) from error
    raise InputError(f"{place}: the store was changed while it was built; try again")


def _build(fasta: Path, source: dict, place: Path) -> None:
    """Write the store of a FASTA file and rename it to ``place``; leave nothing when that fails."""
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed; the lock is ours
    try:
        partial.mkdir()
        sizes, checksum = _write_bases(partial / "bases.u8", read_fasta(fasta), fasta)
        index = {
            "format": FORMAT_VERSION,
            "source": source,
            "checksum": checksum,
            "names": list(sizes),
            "sizes": list(sizes.values()),
        }
        (partial / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # a store that is no longer trusted
        partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_bases(path: Path, records: Iterable[Record], fasta: Path) -> tuple[dict[str, int], str]:
    """Write the stored bytes of all records; return the size of each in bp, and the checksum of the bytes."""
    sizes: dict[str, int] = {}
    digest = hashlib.sha256()
    has_known_base = False
    with path.open("wb") as file:
        for name, sequence in records:
            ids = encode(sequence, f"{fasta}, record {name!r}")
            has_known_base = has_known_base or bool((ids != N).any())
            codes = ids | (soft_mask(sequence) * np.uint8(SOFT_MASKED))
            file.write(codes.data)
            digest.update(codes.data)
            sizes[name] = len(codes)
        file.flush()
        os.fsync(file.fileno())  # the rename must not reach the disk before the bytes do
    if not has_known_base:
        raise InputError(
            f"{fasta}: every base is N, so there is nothing to learn from; give a genome with A, C, G, T"
        )
    return sizes, f"sha256:{digest.hexdigest()}"


def _describe(fasta: Path) -> dict:
    """Return what a store remembers of its FASTA: name, size in bytes, modification time in nanoseconds."""
    with reading(fasta, "a FASTA file"), fasta.open("rb") as file:
        stat = os.fstat(file.fileno())
    return {"name": fasta.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _place_beside(fasta: Path) -> Path:
    return fasta.absolute().with_name(f"{fasta.name}.convnova")


def _cache_place(fasta: Path, cache: Path | None = None) -> Path:
    """Return the folder of a genome's store in a cache; the path's hash keeps two ``genome.fa`` apart."""
    if cache is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convnova"
    path_hash = hashlib.sha256(str(fasta.resolve()).encode()).hexdigest()[:12]
    return cache.absolute() / f"{fasta.name}-{path_hash}"


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, found out by making one: mode bits can mislead."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
