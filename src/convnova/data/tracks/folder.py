"""The folder of a track data set, written row by row, whole or not at all.

::

    tracks.json         names and groups, counts, the genome, settings, what was found and left out
    targets.npy         n rows; peaks: one bit a track (numpy.packbits), signals: float16
    intervals.parquet   chromosome, start, end of each row; not for sequences without coordinates
    codes.npy           ids of each row's sequence, only for sequences without coordinates
    left_out.tsv        intervals that could not be lifted over, and why; only where there are some

Rows are in the order train, validation, test, so that a part is a slice.

n rows, T tracks, L length in bp.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, Split
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.sequence import Ids
from convnova.writing import write_json

FORMAT_VERSION = 1
FACTS_NAME, TARGETS_NAME = "tracks.json", "targets.npy"
INTERVALS_NAME, CODES_NAME, LEFT_OUT_NAME = "intervals.parquet", "codes.npy", "left_out.tsv"


class Rows(NamedTuple):
    """Some rows of one split, b of them."""

    split: Split
    labels: NDArray[Any]
    """bool for peaks, float16 for signals, (b, T)."""
    intervals: pl.DataFrame | None = None
    """chromosome, start and end of each row."""
    codes: Ids | None = None
    """(b, L)."""


@dataclass(frozen=True)
class TrackFacts:
    """What tracks.json says."""

    kind: Literal["peaks", "signal"]
    names: list[str]
    groups: list[str]
    """Of each track; empty where none is known."""
    window_bp: int
    """Length around the centre of an interval, unless another is wanted."""
    genome: dict[str, str] | None
    """path and checksum of the genome that intervals lie on."""
    settings: dict[str, Any]
    notes: list[str]
    """What was found and left out, one sentence each."""
    tracks_left_out: dict[str, str] = field(default_factory=dict)
    """Tracks that are not in it, and why."""
    rows: dict[str, int] = field(default_factory=dict)
    """Of each split."""
    totals: dict[str, list[float]] = field(default_factory=dict)
    """Of each split: positives of each track, or the sum of its signal."""


def describe_genome(genome: Genome) -> dict[str, str]:
    """Return what a folder remembers of its genome."""
    return {"path": str(genome.path.absolute()), "checksum": genome.checksum}


def read_facts(folder: Path) -> TrackFacts:
    """Return what a folder says about itself.

    Raises:
        InputError: when it is no track data set.
    """
    try:
        saved = json.loads((folder / FACTS_NAME).read_text(encoding="utf-8"))
        if saved.pop("format") == FORMAT_VERSION:
            return TrackFacts(**saved)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{folder}: no track data set of this version; make one with convnova tracks")


def write_folder(
    output: Path, blocks: Iterable[Rows], facts: TrackFacts, left_out: Sequence[str]
) -> TrackFacts:
    """Write a data set from blocks of rows, which come in the order of `SPLITS`, and return its facts.

    Args:
        output: folder; must be new or empty.
        blocks: rows, of which one block at a time is in memory.
        facts: all but rows and totals, which are counted; notes and settings may grow while blocks are read.
        left_out: lines about intervals left out, which may come while blocks are read.

    Raises:
        InputError: when the folder holds something, or there is no row.
    """
    with whole_folder(output) as partial:
        rows = dict.fromkeys(map(str, SPLITS), 0)
        totals = {split: np.zeros(len(facts.names)) for split in rows}
        intervals = []
        with _RowFile(partial / TARGETS_NAME) as targets, _RowFile(partial / CODES_NAME) as codes:
            for block in blocks:
                rows[block.split] += len(block.labels)
                totals[block.split] += block.labels.sum(axis=0, dtype=np.float64)
                is_bits = block.labels.dtype == bool
                targets.append(np.packbits(block.labels, axis=1) if is_bits else block.labels)
                if block.codes is not None:
                    codes.append(block.codes)
                if block.intervals is not None:
                    intervals.append(block.intervals)
        if not sum(rows.values()):
            raise InputError("no row is left for the data set; see what was left out, and why")
        if intervals:
            pl.concat(intervals).write_parquet(partial / INTERVALS_NAME)
        counted = {split: total.tolist() for split, total in totals.items()}
        made = replace(facts, rows=rows, totals=counted)
        if left_out:
            (partial / LEFT_OUT_NAME).write_text("\n".join(left_out) + "\n", encoding="utf-8")
        write_json(partial / FACTS_NAME, {"format": FORMAT_VERSION} | asdict(made))
    return made


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Give a folder to fill; it gets its name once nothing has failed.

    Raises:
        InputError: when there is something already.
    """
    check_empty(output)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed
    partial.mkdir(parents=True)
    try:
        yield partial
        if output.exists():
            output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_empty(output: Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        InputError: when it is not.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already and not an empty folder; choose another output folder")


class _RowFile:
    """A .npy file that grows by rows; none is written where no row comes."""

    def __init__(self, path: Path):
        self.path, self.rows = path, 0
        self.file: BinaryIO | None = None

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows of one width and type, (b, ...)."""
        if self.file is None:
            self.file = self.path.open("wb")
            self.dtype, self.shape = rows.dtype, rows.shape[1:]
            self._write_header(self.file)
        self.file.write(np.ascontiguousarray(rows).data)
        self.rows += len(rows)

    def _write_header(self, file: BinaryIO) -> None:
        # numpy leaves room in the header for any number of rows, so the last one fits over the first.
        shape = (self.rows, *self.shape)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

    def __enter__(self) -> "_RowFile":
        return self

    def __exit__(self, *error: object) -> None:
        if self.file is not None:
            self.file.seek(0)
            self._write_header(self.file)
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
