"""Peaks of a BED or narrowPeak file on a genome, and the bins that they make positive.

::

    bins          |====.====.====.====|====.====.====.====|====.====.====.====|
    peaks            <--------------->  <->         <->              <>
    share 0.5               yes                no                   no
    any                     yes               yes                  yes
    summit (^)           ^  yes                ^ yes                ^ yes

Peaks of one track that overlap count once. n peaks.
"""

import codecs
import io
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.tracks.grid import BinGrid
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError
from convnova.genome import Genome, Interval, read_bed
from convnova.genome.bed import bed_rows
from convnova.genome.files import at_place, read_bytes
from convnova.genome.names import LEAVE_OUT

_COLUMNS = ("chromosome", "start", "end")
_NARROW_PEAK_COLUMNS = 10
_NO_NUMBER = -2  # -1 is a peak whose summit was not called


class Peaks(NamedTuple):
    """Peaks of one track, in the order of the file; each column (n,)."""

    chromosome: NDArray[np.int64]
    """Number in the genome."""
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    summit: NDArray[np.int64]
    renamed: dict[str, str]
    """Chromosomes that the genome calls otherwise, and how."""
    unknown: dict[str, int]
    """Chromosomes that it does not have, and how many peaks of them were left out."""


def read_peaks(path: Path, genome: Genome, settings: TrackSettings) -> Peaks:
    """Return the peaks of a file.

    Raises:
        InputError: at the first line that is wrong, past a chromosome end, or, where that is refused, on a
            chromosome that the genome does not have.
    """
    frame = _read_frame(path)
    names, start, end = frame["chromosome"], frame["start"].to_numpy(), frame["end"].to_numpy()
    own = genome.own_names(names.unique(maintain_order=True).to_list())
    index = {name: -1 if found is None else genome.index_of(found) for name, found in own.items()}
    chromosome = names.replace_strict(index, return_dtype=pl.Int64).to_numpy().astype(np.int64)
    sizes = np.array([*genome.chromosome_sizes.values(), 0])[chromosome]  # -1 is the last, which has none
    is_unknown = chromosome < 0
    is_wrong = (end > sizes) & ~(is_unknown & (settings.unknown_chromosomes == "leave-out"))
    if is_wrong.any():
        row = int(is_wrong.argmax())
        name = own[names[row]] or names[row]
        _check_row(path, row, Interval(name, int(start[row]), int(end[row])), genome)
    summit = (start + end) // 2
    if "summit" in frame.columns and settings.overlap == "summit":
        offset = frame["summit"].fill_null(_NO_NUMBER).to_numpy()
        is_wrong = (offset < -1) | (offset >= end - start)
        if is_wrong.any():
            _refuse_summit(path, int(is_wrong.argmax()))
        summit = np.where(offset < 0, summit, start + offset)
    renamed = {name: found for name, found in own.items() if found not in (None, name)}
    left_out = {name: int((names == name).sum()) for name, found in own.items() if found is None}
    known = np.flatnonzero(~is_unknown)
    return Peaks(chromosome[known], start[known], end[known], summit[known], renamed, left_out)


def positive_bins(peaks: Peaks, grid: BinGrid, settings: TrackSettings) -> NDArray[np.int64]:
    """Return the bins that the peaks of one track make positive, sorted."""
    start, end = peaks.start, peaks.end
    if settings.overlap == "summit":
        start, end = peaks.summit, peaks.summit + 1
    touched = grid.touched(*_merged(peaks.chromosome, start, end))
    bins, firsts = np.unique(touched.bins, return_index=True)  # they come sorted, so equal ones in a row
    bases = np.add.reduceat(touched.bases, firsts) if len(bins) else touched.bases
    least = settings.overlap_share * grid.bin_bp if settings.overlap == "share" else 0
    return bins[bases > least]


def _merged(
    chromosome: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return n intervals in genome order, those that overlap as one."""
    order = np.lexsort((start, chromosome))
    chromosome, start, end = chromosome[order], start[order], end[order]
    # On one axis for all chromosomes, farthest is how far the intervals up to each one reach.
    shift = chromosome * (int(end.max(initial=0)) + 1)
    farthest = np.maximum.accumulate(end + shift)
    begins = np.concatenate([[True], (start + shift)[1:] >= farthest[:-1]])[: len(start)]
    firsts = np.flatnonzero(begins)
    lasts = np.append(firsts[1:], len(start))[: len(firsts)] - 1
    return chromosome[firsts], start[firsts], (farthest - shift)[lasts]


def _read_frame(path: Path) -> pl.DataFrame:
    """Return chromosome, start and end of each line, and its summit where there is one.

    Plain lines are read all at once; where a file has other ones, line by line, so that errors name a line.
    """
    if (frame := _parse(read_bytes(path, "a BED file").removeprefix(codecs.BOM_UTF8))) is not None:
        return frame
    rows = [columns for _, columns in bed_rows(path)]
    if not rows:  # an experiment without peaks
        return pl.DataFrame(schema=dict(zip(_COLUMNS, (pl.String, pl.Int64, pl.Int64), strict=True)))
    read_bed(path)
    frame = _parse("\n".join(map("\t".join, rows)).encode())
    if frame is None:
        raise InputError(
            f"{path}: its lines have different columns; give BED or narrowPeak, one or the other"
        )
    return frame


def _parse(text: bytes) -> pl.DataFrame | None:
    """Return the columns of lines that are all plain, or None."""
    try:
        frame = pl.read_csv(
            io.BytesIO(text),
            separator="\t",
            has_header=False,
            comment_prefix="#",
            quote_char=None,
            infer_schema=False,
            truncate_ragged_lines=True,
        )
        chromosome, *numbers = frame.get_columns()  # polars counts their names from 0 or from 1
        columns = [chromosome, *(numbers[index].cast(pl.Int64) for index in (0, 1))]
        if frame.width == _NARROW_PEAK_COLUMNS:  # the last is the summit; of other files it is something else
            columns.append(numbers[-1].cast(pl.Int64, strict=False))
        frame = pl.DataFrame(dict(zip((*_COLUMNS, "summit"), columns, strict=False)))
    except (pl.exceptions.PolarsError, IndexError):
        return None
    starts, ends = frame["start"], frame["end"]
    is_plain = len(frame) and not any(frame[name].has_nulls() for name in _COLUMNS)
    return frame if is_plain and (starts >= 0).all() and (starts < ends).all() else None


def _check_row(path: Path, row: int, interval: Interval, genome: Genome) -> None:
    """Raise what is wrong with one peak, by its line."""
    number, _ = _row(path, row)
    place = f"{path}, line {number}"
    hint = "" if interval.chromosome in genome.chromosome_sizes else LEAVE_OUT
    with at_place(place, hint):
        genome.check_inside(interval)


def _refuse_summit(path: Path, row: int) -> NoReturn:
    number, columns = _row(path, row)
    summit = "".join(columns[_NARROW_PEAK_COLUMNS - 1 :])
    raise InputError(
        f"{path}, line {number}: summit {summit!r} (column 10) is no base of the peak; write how far "
        "it is from the start, or -1 for the middle"
    )


def _row(path: Path, row: int) -> tuple[int, list[str]]:
    """Return the number of a line, and its columns, of a peak by its place in the file."""
    return next(islice(bed_rows(path), row, None))
