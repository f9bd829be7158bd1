"""Intervals of a table or a BED file, cut from a genome with their strand.

n intervals.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.columns import IntervalColumns
from convnova.data.packed import PackedSequences, pack
from convnova.data.read_settings import ReadSettings
from convnova.data.table import Places, counted
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.bed import bed_columns
from convnova.genome.interval import STRANDS
from convnova.sequence import N, complement

BED_COLUMNS = ("chromosome", "start", "end", "name", "score", "strand")


class CutIntervals(NamedTuple):
    """What lies at the intervals."""

    ids: PackedSequences
    intervals: pl.DataFrame
    """chromosome, start, end, strand of each; strand is + or -."""
    notes: tuple[str, ...]


def bed_frame(
    path: Path, text: str, skipped: int = 0, least: int = 3
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Return the columns of a BED file as text, the first six by their names, and the line of each row.

    `skipped` lines of the file are before those of the text, and their rows have so many columns at `least`.

    Raises:
        InputError: at a line with fewer columns than the first, or without three.
    """
    rows: list[list[str]] = []
    numbers = []
    for number, line in enumerate(text.splitlines(), start=skipped + 1):
        if not (cells := bed_columns(line)):
            continue
        needed = len(rows[0]) if rows else least
        if len(cells) < needed:
            raise InputError(
                f"{path}, line {number}: too few columns ({len(cells)}), {needed} are needed; "
                "write chromosome, start, end, name, score, strand, separated by tabs"
            )
        rows.append(cells)
        numbers.append(number)
    if not rows:
        raise InputError(f"{path}: no interval in the file; write one a line: chromosome, start, end")
    n_columns = len(rows[0])
    names = [*BED_COLUMNS[:n_columns], *map(str, range(len(BED_COLUMNS) + 1, n_columns + 1))]
    frame = pl.DataFrame({name: [row[i] for row in rows] for i, name in enumerate(names)})
    return frame, np.array(numbers)


def cut_intervals(
    frame: pl.DataFrame, columns: IntervalColumns, places: Places, settings: ReadSettings
) -> CutIntervals:
    """Return the bases of n intervals, 0-based and half-open; on strand ``-`` the reverse complement.

    Raises:
        InputError: without a genome, or at the first interval that is wrong or does not lie on it.
    """
    if settings.genome is None:
        raise InputError(
            f"{places.files[0]}: intervals ({', '.join(columns[:3])}) and no sequences; "
            "give the FASTA that they lie on as genome, or name the sequence_column"
        )
    genome = Genome.open(settings.genome, settings.cache)
    chromosomes = frame[columns.chromosome].cast(pl.String).str.strip_chars().fill_null("")
    starts = _whole_numbers(frame[columns.start], "start", places)
    ends = _whole_numbers(frame[columns.end], "end", places)
    strands, notes = _strands(frame, columns.strand, places, settings)
    names = chromosomes.unique(maintain_order=True).to_list()
    index = chromosomes.replace_strict(names, range(len(names))).to_numpy()
    sizes = np.array([genome.chromosome_sizes.get(name, -1) for name in names])[index]
    is_bad = (starts < 0) | (starts >= ends) | (ends > sizes)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise _bad_interval(genome, chromosomes[row], int(starts[row]), int(ends[row]), places.place(row))
    widths = ends - starts
    if widths.min() == widths.max():
        numbers = np.array([genome.index_of(name) for name in names])[index]
        windows = genome.windows(numbers, starts, int(widths[0])).ids
        is_minus = strands == "-"
        windows[is_minus] = complement(windows[is_minus, ::-1])
        ids = pack(windows)
    else:
        rows = zip(chromosomes.to_list(), starts.tolist(), ends.tolist(), strands.tolist(), strict=True)
        ids = pack(genome.fetch(Interval(*row)) for row in rows)
    intervals = pl.DataFrame({"chromosome": chromosomes, "start": starts, "end": ends, "strand": strands})
    notes += (f"cut from {genome.path.name}, 0-based and half-open",)
    if not genome.was_cached:
        notes += (f"its bases are kept in {genome.folder} for the next time; cache chooses another place",)
    return CutIntervals(ids, intervals, notes)


def check_agreement(cut: PackedSequences, written: PackedSequences, column: str, places: Places) -> None:
    """Check that what was cut is what the file has beside the interval; N agrees with every base.

    Raises:
        InputError: at the first that differs, as with the genome of another assembly.
    """
    is_other = cut.lengths != written.lengths
    if not is_other.any():
        differs = (cut.codes != written.codes) & (cut.codes != N) & (written.codes != N)
        is_other = np.logical_or.reduceat(differs, cut.offsets[:-1])
    if is_other.any():
        raise InputError(
            f"{places.place(int(is_other.argmax()))}: the genome has another sequence there than column "
            f"{column!r} ({is_other.sum():,} of {len(cut):,} differ); give the assembly that the intervals "
            "were made for"
        )


def _whole_numbers(cells: pl.Series, what: str, places: Places) -> NDArray[np.int64]:
    text = cells.cast(pl.String).str.strip_chars().fill_null("")
    is_bad = (~text.str.contains(r"^-?[0-9]{1,18}$")).to_numpy()
    if is_bad.any():
        row = int(is_bad.argmax())
        raise InputError(
            f"{places.place(row)}: {what} {text[row]!r} is not a whole number; write digits only"
        )
    return text.cast(pl.Int64).to_numpy()


def _strands(
    frame: pl.DataFrame, column: str | None, places: Places, settings: ReadSettings
) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Return + or - for each interval, (n,)."""
    if column is None:
        strands = np.full(len(frame), ".")
    else:
        strands = np.array(frame[column].cast(pl.String).fill_null("").str.strip_chars().to_list())
    is_bad = ~np.isin(strands, STRANDS)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise InputError(
            f"{places.place(row)}: strand {str(strands[row])!r} is not allowed; use one of + - ."
        )
    is_open = strands == "."
    if not is_open.any():
        return strands, ()
    row = int(is_open.argmax())
    if settings.unstranded == "refuse":
        what = "there is no strand column" if column is None else "the strand is '.'"
        raise InputError(
            f"{places.place(row)}: {what}, so the sequence could be either; give + or -, "
            "or set unstranded to forward"
        )
    n_open = int(is_open.sum())
    note = f"{counted(n_open, 'interval')} without strand {'is' if n_open == 1 else 'are'} read as +"
    return np.where(is_open, "+", strands), (note,)


def _bad_interval(genome: Genome, chromosome: str, start: int, end: int, place: str) -> InputError:
    if 0 <= start >= end:
        return InputError(
            f"{place}: start {start} is not before end {end}; start is 0-based, end one past the last base"
        )
    try:
        genome.check_inside(Interval(chromosome, start, max(start, end)))
    except InputError as error:
        return InputError(f"{place}: {error}")
    return InputError(f"{place}: {chromosome}, start {start}, end {end} does not lie on {genome.path.name}")
