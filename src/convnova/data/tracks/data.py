"""A track data set, memory-mapped: its parts are what models are trained and tested on.

n rows, T tracks, L length in bp.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, Split
from convnova.data.tracks.folder import CODES_NAME, INTERVALS_NAME, TARGETS_NAME, TrackFacts, read_facts
from convnova.data.tracks.grid import window_starts
from convnova.data.tracks.overlap import shared_windows
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.files import at_place
from convnova.sequence import Ids

Source = str | Path | Genome

_BLOCK_LABELS = 2**22  # unpacked at a time


class TrackData:
    """A data set of intervals or sequences, and what each track says about them.

    Pickling sends the folder's path, not the arrays: a worker maps the same files.
    """

    folder: Path
    facts: TrackFacts
    genome: Genome | None
    """None where the sequences are stored."""
    window_bp: int
    """Length of each sequence."""

    def __init__(self, folder: Path, facts: TrackFacts, genome: Genome | None, window_bp: int):
        self.folder, self.facts, self.genome, self.window_bp = folder, facts, genome, window_bp
        self._targets = _mapped(folder / TARGETS_NAME)
        if genome is None:
            codes = _mapped(folder / CODES_NAME)
            first = codes.shape[1] // 2 - window_bp // 2
            self._codes = codes[:, first : first + window_bp]
        else:
            intervals = self.intervals()
            index = {name: genome.index_of(name) for name in intervals["chromosome"].unique()}
            self._chromosomes = (
                intervals["chromosome"].replace_strict(index, return_dtype=pl.Int32).to_numpy()
            )
            starts, ends = (intervals[name].to_numpy() for name in ("start", "end"))
            self._starts = window_starts(starts, ends - starts, window_bp)
        ends = np.cumsum([facts.rows[split] for split in SPLITS]).tolist()
        self._slices = dict(zip(SPLITS, map(range, [0, *ends[:-1]], ends), strict=True))
        if len(self._targets) != ends[-1]:
            raise InputError(
                f"{folder}: {TARGETS_NAME} has not as many rows as tracks.json says; build it again"
            )

    @classmethod
    def open(
        cls, folder: str | Path, genome: Source | None = None, window_bp: int | None = None
    ) -> "TrackData":
        """Return the data set of a folder.

        Args:
            folder: what `convnova tracks` wrote.
            genome: that it was made from, or its FASTA; default where that was then.
            window_bp: length around the centre of each interval; default that of the folder.

        Raises:
            InputError: when it is no data set, the genome is another one, stored sequences are shorter or
                have none, or windows longer than those it was built for reach into another part.
        """
        folder = Path(folder)
        facts = read_facts(folder)
        window_bp = facts.window_bp if window_bp is None else window_bp
        if window_bp < 1:
            raise InputError(f"window_bp must be at least 1, got {window_bp}")
        if facts.genome is None:
            if genome is not None:
                raise InputError(f"{folder}: its sequences are stored, so it has no genome; leave genome out")
            if window_bp > facts.window_bp:
                raise InputError(
                    f"{folder}: its sequences are stored, {facts.window_bp} bp each, so window_bp cannot be "
                    f"{window_bp}; lower it"
                )
            return cls(folder, facts, None, window_bp)
        if genome is None:
            with at_place(f"{folder}, its genome"):
                opened = Genome.open(facts.genome["path"], facts.settings["cache"])
        else:
            opened = genome if isinstance(genome, Genome) else Genome.open(genome)
        if opened.checksum != facts.genome["checksum"]:
            raise InputError(
                f"{folder}: made from {Path(facts.genome['path']).name}, and {opened.path} has other bases "
                "or soft-masking; give the genome that it was made from"
            )
        data = cls(folder, facts, opened, window_bp)
        if window_bp > facts.window_bp:
            data._check_reach()
        return data

    def _check_reach(self) -> None:
        """Check that no window overlaps one of another part."""
        splits = np.repeat(range(len(SPLITS)), [self.facts.rows[split] for split in SPLITS])
        shared = shared_windows(self._chromosomes, self._starts, splits, self.window_bp)
        if shared:
            (first, second), count = next(iter(shared.items()))
            raise InputError(
                f"{self.folder}: in windows of {self.window_bp} bp, {count:,} of {second} overlap some of "
                f"{first}, and it was built for {self.facts.window_bp} bp; build it again with window_bp "
                f"{self.window_bp}, or lower it"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return TrackData, (self.folder, self.facts, self.genome, self.window_bp)

    def part(self, split: Split) -> "TrackPart":
        """Return the rows of a split.

        Raises:
            InputError: when it has none.
        """
        rows = self._slices[split]
        if not len(rows):
            raise InputError(f"{self.folder}: there is no row for {split}; build it with chromosomes for it")
        return TrackPart(self, split, rows)

    def intervals(self) -> pl.DataFrame:
        """Return chromosome, start, end and split of each row.

        Raises:
            InputError: when the data set has no coordinates.
        """
        if self.facts.genome is None:
            raise InputError(
                f"{self.folder}: its sequences are stored, without coordinates; read them by part"
            )
        frame = pl.read_parquet(self.folder / INTERVALS_NAME)
        words = [pl.repeat(split, self.facts.rows[split], eager=True, dtype=pl.String) for split in SPLITS]
        return frame.with_columns(split=pl.concat(words))

    def window(self, row: int) -> Ids:
        """Return the ids of one row, (window_bp,)."""
        if self.genome is None:
            return self._codes[row]
        start = int(self._starts[row])
        return self.genome.window(int(self._chromosomes[row]), start, start + self.window_bp)

    def labels(self, rows: int | slice) -> NDArray[np.float32]:
        """Return the labels of one row (T,), or of several (n, T)."""
        stored = self._targets[rows]
        if self.facts.kind == "peaks":
            stored = np.unpackbits(stored, axis=-1, count=len(self.facts.names))
        return stored.astype(np.float32)


@dataclass(frozen=True, eq=False)
class TrackPart:
    """The rows of a split, as a map-style data set of (ids, labels)."""

    data: TrackData
    split: Split
    rows: range
    """In the data set."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Ids, NDArray[np.float32]]:
        """Return ids (L,) uint8 and labels (T,) float32."""
        row = self.rows[index]
        return self.data.window(row), self.data.labels(row)

    @property
    def ids(self) -> "TrackWindows":
        """Ids of each row, read when they are asked for."""
        return TrackWindows(self.data, self.rows)

    @property
    def labels(self) -> NDArray[np.float32]:
        """All labels, (n, T), in memory."""
        return self.data.labels(slice(self.rows.start, self.rows.stop))

    @property
    def label_totals(self) -> NDArray[np.float64]:
        """Number of positives, or sum of the signal, of each track, (T,)."""
        return np.array(self.data.facts.totals[self.split])

    def label_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the labels of consecutive rows, some millions at a time."""
        step = max(1, _BLOCK_LABELS // len(self.data.facts.names))
        for first in range(self.rows.start, self.rows.stop, step):
            yield self.data.labels(slice(first, min(first + step, self.rows.stop)))


@dataclass(frozen=True, eq=False)
class TrackWindows(Sequence[Ids]):
    """Sequences of one length that are read from the genome, or the folder, one by one."""

    data: TrackData
    rows: range

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Ids: ...
    @overload
    def __getitem__(self, index: slice) -> "TrackWindows": ...
    def __getitem__(self, index: int | slice) -> "Ids | TrackWindows":
        if isinstance(index, slice):
            return TrackWindows(self.data, self.rows[index])
        return self.data.window(self.rows[index])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each sequence in bp, (n,)."""
        return np.full(len(self.rows), self.data.window_bp, dtype=np.int64)


def _mapped(path: Path) -> NDArray[Any]:
    """Return a stored array, memory-mapped.

    Raises:
        InputError: when it is missing or cut short.
    """
    try:
        # A plain array over the same pages: slicing an np.memmap costs microseconds of bookkeeping.
        return np.load(path, mmap_mode="r").view(np.ndarray)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be mapped ({error}); build the data set again") from None
