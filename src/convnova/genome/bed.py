"""Intervals from BED files, and from BED files that say which split each interval belongs to."""

from collections.abc import Iterator
from pathlib import Path

from convnova.errors import InputError
from convnova.genome.files import parse_int, read_lines
from convnova.genome.genome import Genome
from convnova.genome.interval import Interval

SPLIT_WORDS = {
    "train": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What files call a split, and what it is called here."""

_HEADER_WORDS = ("track", "browser")
_COLUMN_NAMES = ("start", "end")
"""What columns 2 and 3 are in a first line that names the columns, as in BEND's files."""


def read_bed(path: str | Path, genome: Genome | None = None) -> list[Interval]:
    """Return the intervals of a BED file with 3 columns or more, plain or gzip, in the order of the file.

    Name (column 4) and strand (column 6) are kept where there are any.

    Args:
        path: the file; its coordinates are 0-based and half-open, as here.
        genome: when given, each interval must lie on it.

    Raises:
        InputError: at the first bad line, by its number; or when the file has no interval.
    """
    return [interval for _, interval in _read(Path(path), genome, min_columns=3)]


def read_split_bed(path: str | Path, genome: Genome) -> dict[str, list[Interval]]:
    """Return the intervals of each split: the keys are always ``train``, ``validation`` and ``test``.

    The file is BED with the split's name as column 4, the form of the ``sequences_human.bed`` that Basenji
    and HyenaDNA use. ``valid``, ``val`` and ``dev`` are other words for ``validation``.

    Raises:
        InputError: as in `read_bed`, and for a split of another name.
    """
    splits: dict[str, list[Interval]] = {split: [] for split in SPLIT_WORDS.values()}
    for place, interval in _read(Path(path), genome, min_columns=4):
        if interval.name not in SPLIT_WORDS:
            raise InputError(
                f"{place}: {interval.name!r} (column 4) is no split; write one of {', '.join(SPLIT_WORDS)}"
            )
        splits[SPLIT_WORDS[interval.name]].append(interval)
    return splits


def bed_columns(line: str) -> list[str]:
    """Return the columns of a line, by tabs or else white space; none where it holds no interval."""
    if not line.strip() or line.startswith("#") or line.split(maxsplit=1)[0] in _HEADER_WORDS:
        return []
    return line.split("\t") if "\t" in line else line.split()


def bed_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the columns of each interval's line; the first line may name the columns."""
    is_first = True
    for number, line in read_lines(path, "a BED file"):
        if columns := bed_columns(line):
            if not (is_first and tuple(columns[1:3]) == _COLUMN_NAMES):
                yield number, columns
            is_first = False


def _read(path: Path, genome: Genome | None, min_columns: int) -> Iterator[tuple[str, Interval]]:
    """Yield each interval after the words for its place in the file, ``x.bed, line 7``."""
    is_empty = True
    for number, columns in bed_rows(path):
        place = f"{path}, line {number}"
        try:
            interval = _parse(columns, min_columns)
            if genome is not None:
                genome.check_inside(interval)
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        is_empty = False
        yield place, interval
    if is_empty:
        raise InputError(f"{path}: no interval in the file; write one a line: chromosome, start, end")


def _parse(columns: list[str], min_columns: int) -> Interval:
    if len(columns) < min_columns:
        names = ("chromosome", "start", "end", "split")[:min_columns]
        raise InputError(f"too few columns ({len(columns)}); write {', '.join(names)}, separated by tabs")
    start, end = parse_int(columns[1], "start"), parse_int(columns[2], "end")
    if start < 0:
        raise InputError(f"start {start} is before the first base, which is 0 in BED; use 0 or more")
    if start >= end:
        raise InputError(
            f"start {start} is not before end {end}; BED starts at 0 and ends past the last base"
        )
    return Interval(
        columns[0],
        start,
        end,
        strand=columns[5] if len(columns) > 5 else ".",
        name=columns[3] if len(columns) > 3 else "",
    )
