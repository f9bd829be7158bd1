"""Tables of coordinates and targets, as HyenaDNA uses them for DeepSEA's task, as blocks of rows.

::

    train_hg19_coords_targets.csv
    Chr_No,Start,End,y_0,y_1,...        Chr_No counts from 0: 0 is chr1, 22 chrX, 23 chrY
    chr,start,end,CTCF,DNase,...        or names of chromosomes and of tracks

Source: HazyResearch/hyena-dna, src/dataloaders/datasets/chromatin_profile_dataset.py; the numbers of X and Y
are those of jakublipinski/build-deepsea-training-dataset. We differ: an interval is lifted over by its first
and last base, which must come to one chromosome and strand; HyenaDNA takes Start and End by themselves.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, Split
from convnova.data.table import counted, some
from convnova.data.tracks.folder import Rows, TrackFacts
from convnova.data.tracks.grid import window_starts
from convnova.data.tracks.lifting import REASONS, Lifter
from convnova.data.tracks.overlap import shared_windows
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.bed import SPLIT_WORDS
from convnova.genome.files import at_place, open_text
from convnova.genome.names import match_each, renamings

TABLE_HINT = "a table of names and files of tracks has tabs between its columns, and the ending .tsv"
_CHROMOSOME = ("chr_no", "chr", "chrom", "chromosome")
_NUMBERED = "chr_no"
_SEX = {23: "chrX", 24: "chrY"}
_KIND = "a CSV of coordinates and targets"
_BLOCK = 2**13


class TargetTable(NamedTuple):
    """The header of a table."""

    path: Path
    columns: tuple[str, ...]
    chromosome: str
    start: str
    end: str
    targets: tuple[str, ...]

    @property
    def read(self) -> list[str]:
        """Columns that have a meaning, in the order of the file."""
        return [
            name
            for name in self.columns
            if name in (self.chromosome, self.start, self.end) or name in set(self.targets)
        ]


def split_of(path: Path) -> Split:
    """Return the split that a file's name begins with, or has between other words.

    Raises:
        InputError: when there is none.
    """
    words = path.name.lower().replace("-", "_").replace(".", "_").split("_")
    found = next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)
    split = next((split for split in SPLITS if split == found), None)
    if split is None:
        raise InputError(
            f"{path}: its name has none of {', '.join(SPLIT_WORDS)} in it; rename it, as train_x.csv"
        )
    return split


def read_header(path: Path) -> TargetTable:
    """Return what the columns of a table are.

    Raises:
        InputError: when there are no coordinates or no targets among them, or two have one name.
    """
    with open_text(path, _KIND) as file:
        columns = tuple(cell.strip() for cell in _cells(file.readline()))
    repeated = next((name for name in columns if name and columns.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{path}, line 1: two columns are named {repeated!r}; rename or remove one")
    by_word = {name.lower(): name for name in columns}
    chromosome = next((by_word[word] for word in _CHROMOSOME if word in by_word), None)
    if chromosome is None or not {"start", "end"} <= set(by_word):
        raise InputError(
            f"{path}: no coordinates among the columns {some(columns)}; name them Chr_No (from 0) or chr, "
            f"Start and End ({TABLE_HINT})"
        )
    places = chromosome, by_word["start"], by_word["end"]
    numbered = tuple(name for name in columns if name.startswith("y_"))
    targets = numbered or tuple(name for name in columns if name and name not in places)
    if not targets:
        raise InputError(f"{path}: no targets among the columns {some(columns)}; name them y_0, y_1, ...")
    return TargetTable(path, columns, *places, targets)


def table_rows(
    tables: Mapping[Split, TargetTable],
    genome: Genome,
    lifter: Lifter | None,
    facts: TrackFacts,
    left_out: list[str],
) -> Iterator[Rows]:
    """Yield the rows of the tables, train first.

    Args:
        tables: of each split.
        genome: that the intervals lie on, in the end.
        lifter: to that genome; None where they lie on it already.
        facts: gets bin_bp among its settings, and notes: about each split whose intervals were lifted over,
            chromosomes that the table calls otherwise than the genome or the chain file, other widths, and
            windows that parts share.
        left_out: gets a line for each interval that was not, the header first.

    Raises:
        InputError: at the first row that is wrong, by its line; or where windows of test overlap those of
            another part, and that is an error.
    """
    known = genome.chromosome_sizes if lifter is None else lifter.sizes
    found: dict[str, str | None] = {}
    placed: list[pl.DataFrame] = []
    for split in (one for one in SPLITS if one in tables):
        counts: Counter[str] = Counter()
        for line, frame in _blocks(tables[split]):
            intervals, labels = _parse(tables[split], frame, line)
            own = match_each(intervals["chromosome"].unique(maintain_order=True).to_list(), known)
            found |= own
            if lifter is not None:
                intervals, is_kept = _lift(
                    tables[split].path, line, split, intervals, own, lifter, counts, left_out
                )
                labels = labels[is_kept]
            else:
                intervals = _on_genome(tables[split].path, line, intervals, own, genome)
            placed.append(intervals.with_columns(split=pl.lit(SPLITS.index(split))))
            yield Rows(split, labels, intervals=intervals)
        if lifter is not None:
            words = ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS)
            facts.notes.append(f"{split}: {counts['lifted']:,} intervals lifted over; left out: {words}")
    facts.notes.extend(renamings(found, "the genome" if lifter is None else lifter.path.name))
    if sum(map(len, placed)):
        intervals = pl.concat(placed)
        _settle_width((intervals["end"] - intervals["start"]).to_numpy(), facts)
        _settle_leakage(intervals, genome, facts)


def _settle_width(width: NDArray[np.int64], facts: TrackFacts) -> None:
    """Set bin_bp, and note where it is not the width of every interval."""
    widths, counts = np.unique(width, return_counts=True)
    facts.settings["bin_bp"] = common = int(widths[counts.argmax()])
    if len(widths) > 1:
        words = f"intervals have {widths[0]} to {widths[-1]} bp, most often {common} bp"
        facts.notes.append(f"{words}: predict makes bins of that")


def _settle_leakage(intervals: pl.DataFrame, genome: Genome, facts: TrackFacts) -> None:
    """Refuse windows of test that overlap those of another part, or note them, as those of validation."""
    number = {name: genome.index_of(name) for name in intervals["chromosome"].unique()}
    chromosomes = intervals["chromosome"].replace_strict(number).to_numpy()
    start, end, splits = (intervals[name].to_numpy() for name in ("start", "end", "split"))
    starts = window_starts(start, end - start, facts.window_bp)
    for (first, second), count in shared_windows(chromosomes, starts, splits, facts.window_bp).items():
        total = int((splits == SPLITS.index(second)).sum())
        words = f"{count:,} of {total:,} windows of {second} ({facts.window_bp} bp) overlap some of {first}"
        if second == "test" and facts.settings["on_leakage"] == "error":
            raise InputError(
                f"{words}; split by chromosome, lower window_bp, or set on_leakage to state where a suite is "
                "published that way"
            )
        facts.notes.append(f"look: {words}")


def _cells(line: str) -> list[str]:
    """Return the cells of a line; a comma between quotation marks is none that separates."""
    line = line.rstrip("\n")
    return next(csv.reader([line]), [""]) if '"' in line else line.split(",")


def _blocks(table: TargetTable) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the line of the first row of each block, and its columns."""
    wanted = [table.columns.index(name) for name in table.read]
    with open_text(table.path, _KIND) as file:
        file.readline()
        line = 2
        while lines := list(islice(file, _BLOCK)):
            _check_widths(table, lines, line)
            text = io.BytesIO("".join(lines).encode())
            frame = pl.read_csv(text, has_header=False, columns=wanted, infer_schema_length=None)
            yield line, frame
            line += len(lines)


def _check_widths(table: TargetTable, lines: list[str], line: int) -> None:
    """Check that lines have as many cells as the header: Polars takes a cell too many without a word."""
    for number, text in enumerate(lines, start=line):
        found = len(_cells(text)) if '"' in text else text.count(",") + 1
        if found != len(table.columns):
            raise InputError(
                f"{table.path}, line {number}: {counted(found, 'column')}, and the header has "
                f"{len(table.columns)}; correct or remove the line"
            )


def _parse(table: TargetTable, frame: pl.DataFrame, line: int) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Return intervals as the table calls their chromosomes, and labels."""
    column = dict(zip(table.read, frame.get_columns(), strict=True))
    chromosome = column[table.chromosome].cast(pl.String)
    if table.chromosome.lower() == _NUMBERED:
        number = chromosome.cast(pl.Int64, strict=False) + 1
        _check(table, number.is_null() | (number < 1), chromosome, table.chromosome, "a number from 0", line)
        chromosome = pl.Series([_SEX.get(one, f"chr{one}") for one in number.to_list()], dtype=pl.String)
    start, end = (column[name].cast(pl.Int64, strict=False) for name in (table.start, table.end))
    for name, values in ((table.start, start), (table.end, end)):
        _check(
            table, values.is_null() | (values < 0), column[name], name, "a whole number of 0 or more", line
        )
    _check(table, start >= end, end, table.end, "after its start", line)
    labels = np.empty((len(frame), len(table.targets)), dtype=bool)
    for index, name in enumerate(table.targets):
        values = column[name].cast(pl.Float64, strict=False)
        _check(table, ~values.is_in([0.0, 1.0]).fill_null(False), column[name], name, "0 or 1", line)
        labels[:, index] = values.to_numpy() > 0
    return pl.DataFrame({"chromosome": chromosome, "start": start, "end": end}), labels


def _check(
    table: TargetTable, is_bad: pl.Series, values: pl.Series, name: str, wanted: str, line: int
) -> None:
    if is_bad.any():
        row = is_bad.arg_max() or 0
        value = "empty" if values[row] is None else values[row]
        raise InputError(f"{table.path}, line {line + row}: {name} is {value}, not {wanted}; correct it")


def _on_genome(
    path: Path, line: int, intervals: pl.DataFrame, own: dict[str, str | None], genome: Genome
) -> pl.DataFrame:
    """Return intervals with the names of the genome, on which they lie."""
    named = intervals["chromosome"].replace_strict({name: found or name for name, found in own.items()})
    sizes = named.replace_strict(genome.chromosome_sizes, default=-1, return_dtype=pl.Int64)
    if (is_wrong := intervals["end"] > sizes).any():
        row = is_wrong.arg_max() or 0
        try:
            with at_place(f"{path}, line {line + row}"):
                genome.check_inside(Interval(named[row], *intervals.row(row)[1:]))
        except InputError as error:
            raise InputError(f"{error}; or set liftover to a chain file from the table's assembly") from None
    return intervals.with_columns(named.alias("chromosome"))


def _lift(
    path: Path,
    line: int,
    split: Split,
    intervals: pl.DataFrame,
    own: dict[str, str | None],
    lifter: Lifter,
    counts: Counter[str],
    left_out: list[str],
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Return the intervals that could be lifted over, and which of the rows they are."""
    lifted, is_kept = [], np.zeros(len(intervals), dtype=bool)
    for row, (chromosome, start, end) in enumerate(intervals.iter_rows()):
        with at_place(f"{path}, line {line + row}"):
            place = lifter.lift(own[chromosome] or chromosome, start, end)
        if isinstance(place, str):
            counts[place] += 1
            if not left_out:
                left_out.append("split\tchromosome\tstart\tend\treason")
            left_out.append(f"{split}\t{chromosome}\t{start}\t{end}\t{place}")
        else:
            counts["lifted"] += 1
            lifted.append(place)
            is_kept[row] = True
    return pl.DataFrame(lifted, schema=intervals.schema, orient="row"), is_kept
