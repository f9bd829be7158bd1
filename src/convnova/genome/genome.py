"""A genome as an array: a window is a slice of one memory-mapped file, and workers share its pages.

L length in bp, n number of windows.
"""

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.genome.interval import Interval
from convnova.genome.names import match_each, similar_name
from convnova.genome.store import SOFT_MASKED, Store, load_store, open_store
from convnova.sequence import Ids, N, complement

logger = logging.getLogger(__name__)

_ID_BITS = np.uint8(SOFT_MASKED - 1)
_DIGEST_BP = 2**24  # in memory at a time


class Windows(NamedTuple):
    """A batch of windows of one width, on the forward strand."""

    ids: Ids
    """Ids of the bases, N beyond chromosome ends, uint8 of shape (n, width)."""
    is_soft_masked: NDArray[np.bool_]
    """Where the FASTA is in lower case, False beyond chromosome ends, bool of shape (n, width)."""


class Genome:
    """A FASTA file, read once, then answered from memory-mapped bytes.

    Pickling sends a path, not the bases: a worker maps the same file. (Only the bases of a genome that is
    held in memory are sent.)
    """

    path: Path
    """The FASTA file."""
    was_cached: bool
    """Whether an earlier run had read the FASTA already."""
    chromosome_sizes: dict[str, int]
    """Length in bp of each chromosome, in the order of the file."""
    checksum: str
    """``sha256:`` and the digest of all bases and their soft-masking, however the FASTA was compressed."""

    def __init__(self, path: Path, store: Store, was_cached: bool) -> None:
        self.path = path
        self.was_cached = was_cached
        self.chromosome_sizes = store.sizes
        self.checksum = store.checksum
        self._store = store
        self._codes = store.codes
        self._sizes = np.array(list(store.sizes.values()), dtype=np.int64)
        self._offsets = np.cumsum(self._sizes) - self._sizes
        self._index = {name: index for index, name in enumerate(store.sizes)}

    @classmethod
    def open(cls, fasta: str | Path, cache: str | Path | None = None) -> "Genome":
        """Return the genome of a FASTA file (plain, gzip or bgzip).

        The first time, the file is read into a store of one byte a base, in a folder ``<fasta>.convnova``
        beside it, or in the user's cache where that cannot be written. Lower case is kept as soft-masking;
        IUPAC ambiguity codes become N.

        Args:
            fasta: path of the genome.
            cache: folder to keep the store in, instead.

        Raises:
            InputError: when the FASTA is wrong, or the store cannot be written.
        """
        path, began = Path(fasta), time.perf_counter()
        store, was_cached = open_store(path, Path(cache) if cache is not None else None)
        genome = cls(path, store, was_cached)
        done = "reused" if was_cached else f"built in {time.perf_counter() - began:.1f} s"
        logger.info("%s: store %s %s (%d bp)", path.name, store.folder, done, genome.total_bp)
        return genome

    @classmethod
    def of_sequences(cls, path: Path, sequences: Iterable[tuple[str, Ids]]) -> "Genome":
        """Return a genome held in memory, for records that lie in a file of another kind.

        Args:
            path: the file, as errors name it.
            sequences: name and ids, uint8 of shape (L,), of each record.

        Raises:
            InputError: when two records have one name, or there is none.
        """
        ids: dict[str, Ids] = {}
        for name, record in sequences:
            if name in ids:
                raise InputError(f"{path}: two records are called {name!r}; rename one")
            ids[name] = record
        if not ids:
            raise InputError(f"{path}: there is no sequence in it; give records with their sequences")
        codes = np.concatenate(list(ids.values()))
        checksum = f"sha256:{hashlib.sha256(codes.data).hexdigest()}"
        sizes = {name: len(record) for name, record in ids.items()}
        return cls(path, Store(None, sizes, checksum, codes), was_cached=False)

    @property
    def folder(self) -> Path | None:
        """Return where the store lies; None for a genome that is held in memory."""
        return self._store.folder

    def __repr__(self) -> str:
        return f"Genome({str(self.path)!r}, {len(self.chromosome_sizes)} chromosomes, {self.total_bp} bp)"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._store.folder is None:
            return Genome, (self.path, self._store, self.was_cached)
        return _reopen, (self.path, self._store.folder, self.checksum)

    @property
    def total_bp(self) -> int:
        """Length of all chromosomes together."""
        return self._codes.size

    @property
    def chromosomes(self) -> list[Interval]:
        """Each chromosome as one interval, in the order of the file."""
        return [Interval(name, 0, size) for name, size in self.chromosome_sizes.items()]

    def chromosome(self, name: str) -> Interval:
        """Return a chromosome as one interval.

        Raises:
            InputError: when the genome has no such chromosome; the message names some that it has.
        """
        return Interval(name, 0, int(self._sizes[self.index_of(name)]))

    def index_of(self, chromosome: str) -> int:
        """Return the place of a chromosome in ``chromosome_sizes``, counted from 0.

        Raises:
            InputError: when the genome has no such chromosome; the message names some that it has.
        """
        if (index := self._index.get(chromosome)) is None:
            raise InputError(self._unknown(chromosome))
        return index

    def own_names(self, names: Iterable[str]) -> dict[str, str | None]:
        """Return what the genome calls each chromosome of a file; None for one that it does not have."""
        return match_each(names, self.chromosome_sizes)

    def check_inside(self, interval: Interval) -> None:
        """Check that an interval lies on the genome.

        Raises:
            InputError: when it does not; the message says by which end.
        """
        size = int(self._sizes[self.index_of(interval.chromosome)])
        if interval.start < 0:
            raise InputError(
                f"start {interval.start} is before the first base of {interval.chromosome}, which is 0"
            )
        if interval.end > size:
            raise InputError(
                f"end {interval.end} is past the end of {interval.chromosome} ({size} bp); "
                "shorten the interval, or give the genome that it was made for"
            )

    def sequence(self, chromosome: str) -> Ids:
        """Return the ids of a whole chromosome, uint8 of shape (L,)."""
        index = self.index_of(chromosome)
        return self._slice(index, 0, int(self._sizes[index])) & _ID_BITS

    def chromosome_checksum(self, chromosome: str) -> str:
        """Return ``sha256:`` and the digest of a chromosome's ids: its name and its case do not matter."""
        index, digest = self.index_of(chromosome), hashlib.sha256()
        size = int(self._sizes[index])
        for start in range(0, size, _DIGEST_BP):
            digest.update((self._slice(index, start, min(start + _DIGEST_BP, size)) & _ID_BITS).data)
        return f"sha256:{digest.hexdigest()}"

    def fetch(self, interval: Interval) -> Ids:
        """Return the ids of an interval, uint8 of shape (width,).

        Positions beyond a chromosome end are N; on strand ``-`` the reverse complement comes back.
        """
        codes = self._slice(self.index_of(interval.chromosome), interval.start, interval.end)
        ids = codes & _ID_BITS
        return complement(ids[::-1]) if interval.strand == "-" else ids

    def window(self, chromosome: int, start: int, end: int) -> Ids:
        """Return the ids of a stretch of a chromosome by its number, N beyond its ends: a fast `fetch`."""
        return self._slice(chromosome, start, end) & _ID_BITS

    def fetch_soft_mask(self, interval: Interval) -> NDArray[np.bool_]:
        """Return where an interval is soft-masked, bool of shape (width,), in the same order as `fetch`."""
        codes = self._slice(self.index_of(interval.chromosome), interval.start, interval.end)
        is_soft_masked = codes >= SOFT_MASKED
        return is_soft_masked[::-1] if interval.strand == "-" else is_soft_masked

    def windows(self, chromosomes: NDArray[np.integer], starts: NDArray[np.integer], width: int) -> Windows:
        """Return many windows of one width at once, forward strand, N beyond chromosome ends.

        Args:
            chromosomes: places in ``chromosome_sizes``, counted from 0, shape (n,).
            starts: first base of each window, 0-based, may lie outside the chromosome, shape (n,).
            width: length of each window in bp.

        Raises:
            InputError: when a chromosome number is not one of the genome's.
        """
        chromosomes, starts = np.asarray(chromosomes, dtype=np.int64), np.asarray(starts, dtype=np.int64)
        if ((chromosomes < 0) | (chromosomes >= len(self._sizes))).any():
            raise InputError(
                f"{self.path.name} has {len(self._sizes)} chromosomes, numbered from 0; "
                f"windows were asked from numbers {chromosomes.min()} to {chromosomes.max()}"
            )
        is_inside = (starts >= 0) & (starts + width <= self._sizes[chromosomes])
        codes = np.full((len(starts), width), N, dtype=np.uint8)
        if is_inside.any():
            every_window = sliding_window_view(self._codes, width)  # no copy: (total bp - width + 1, width)
            positions = (self._offsets[chromosomes] + starts)[is_inside]
            codes[is_inside] = every_window[positions]
        for row in np.flatnonzero(~is_inside):
            codes[row] = self._slice(chromosomes[row], starts[row], starts[row] + width)
        return Windows(codes & _ID_BITS, codes >= SOFT_MASKED)

    def _slice(self, index: int, start: int, end: int) -> NDArray[np.uint8]:
        """Return the stored bytes of one chromosome, N beyond its ends, shape (end - start,)."""
        size, offset = int(self._sizes[index]), int(self._offsets[index])
        first, last = max(start, 0), min(end, size)
        if (first, last) == (start, end):
            return self._codes[offset + start : offset + end]
        codes = np.full(end - start, N, dtype=np.uint8)
        if first < last:
            codes[first - start : last - start] = self._codes[offset + first : offset + last]
        return codes

    def _unknown(self, chromosome: str) -> str:
        names = list(self.chromosome_sizes)
        shown = ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
        similar = similar_name(chromosome, names)
        hint = f"did you mean {similar!r}?" if similar else "use one of these names"
        return f"chromosome {chromosome!r} is not in {self.path.name}, which has {shown}; {hint}"


def _reopen(path: Path, folder: Path, checksum: str) -> Genome:
    """Return the genome that another process has open; what a pickled genome becomes."""
    store = load_store(folder)
    if store is None or store.checksum != checksum:
        raise InputError(
            f"{folder}: the store of {path.name} was removed or replaced while in use; start again"
        )
    return Genome(path, store, was_cached=True)
