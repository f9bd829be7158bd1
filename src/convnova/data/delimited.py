"""Tables of sequences or intervals: CSV, TSV and Parquet, with a header or without.

n rows.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.columns import Columns, find_columns, looks_like_dna
from convnova.data.interval_table import check_agreement, cut_intervals
from convnova.data.letters import pack_letters
from convnova.data.read_settings import ReadSettings
from convnova.data.table import Places, SequenceTable
from convnova.errors import InputError
from convnova.genome.bed import SPLIT_WORDS

SEPARATORS = "\t,;"


def read_delimited(
    path: Path, text: str, settings: ReadSettings, skipped: int = 0, before: SequenceTable | None = None
) -> SequenceTable:
    """Return the rows of a CSV or TSV file; blank lines are passed over.

    `skipped` lines of the file are before those of the text, which repeats its header, and `before` is the
    table of some of these: columns hold the same in both.

    Raises:
        InputError: when columns are missing or cannot be told apart, or a row is wrong, by its line.
    """
    if "\n" not in text:
        text = text.replace("\r", "\n")  # old Macintosh, and some spreadsheets
    n_lines, text = text.count("\n"), text.lstrip("\r\n")
    n_skipped = skipped + n_lines - text.count("\n")
    separator, cells, has_header = _first_line_of(text, settings)
    repeated = next((name for name in cells if name and cells.count(name) > 1), None)
    if has_header and repeated is not None:
        raise InputError(f"{path}: two columns are named {repeated!r}; rename or remove one")
    frame = _parse(path, text, separator, has_header, n_skipped)
    numbers = np.arange(len(frame)) + n_skipped + (2 if has_header else 1)
    frame = frame.rename({name: name.strip() for name in frame.columns})
    is_blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    if is_blank.any():
        frame, numbers = frame.filter(~is_blank), numbers[~is_blank]
    notes: tuple[str, ...] = ()
    if not has_header:
        notes = ("the file has no header; its columns are counted from 1",)
        is_guess = settings.sequence_column is None or not settings.label_columns
        if len(frame.columns) > 2 and settings.read_labels and is_guess:
            raise InputError(
                f"{path}: {len(frame.columns)} columns and no header; add one, as in 'sequence,label', or "
                "give sequence_column and label_columns as numbers, counted from 1"
            )
    return table_of(path, frame, "line", numbers, settings, notes, None if before is None else before.roles)


def header_of(text: str, columns: Sequence[str], settings: ReadSettings) -> str:
    """Return the line that names the columns of a table, for rows that follow; made where there is none."""
    text = text.lstrip("\r\n")
    separator, _, has_header = _first_line_of(text, settings)
    return (text.split("\n", 1)[0] if has_header else separator.join(columns)) + "\n"


class _FirstLine(NamedTuple):
    separator: str
    cells: list[str]
    has_header: bool


def _first_line_of(text: str, settings: ReadSettings) -> _FirstLine:
    """Return what the first line of a table says."""
    first = text.split("\n", 1)[0].rstrip("\r")
    separator = next((letter for letter in SEPARATORS if letter in first), ",")
    cells = [cell.strip().strip('"') for cell in first.split(separator)]
    given = settings.sequence_column
    is_numbered = given is not None and given.isdecimal() and given not in cells
    return _FirstLine(separator, cells, not any(map(looks_like_dna, cells)) and not is_numbered)


def read_parquet(path: Path, data: bytes, settings: ReadSettings) -> SequenceTable:
    """Return the rows of a Parquet file; errors count them from 1.

    Raises:
        InputError: as in `read_delimited`.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: not a Parquet file that can be read ({_first_line(error)}); write it again"
        ) from None
    lists = pl.col(pl.List(pl.String))
    frame = frame.with_columns(lists.list.join(";"))  # several labels of a sequence
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    notes = (f"columns of lists are left out: {', '.join(nested)}",) if nested else ()
    return table_of(path, frame.drop(nested), "row", np.arange(len(frame)) + 1, settings, notes)


def table_of(
    path: Path,
    frame: pl.DataFrame,
    unit: str,
    numbers: NDArray[np.int64],
    settings: ReadSettings,
    notes: tuple[str, ...] = (),
    roles: Columns | None = None,
) -> SequenceTable:
    """Return the sequences and labels of n rows.

    Args:
        path: as errors name it.
        frame: columns of the file.
        unit: what `numbers` count.
        numbers: line or row of each row in the file, (n,).
        settings: which columns hold what, and the genome for intervals.
        notes: what is stated already.
        roles: which columns hold what, where that is known already.
    """
    if not len(frame):
        raise InputError(f"{path}: no row in the file; write one sequence a line below the header")
    columns = roles or find_columns(frame, settings, str(path))
    places = Places.of_file(path, unit, numbers)
    intervals = None
    if columns.interval is not None:
        ids, intervals, changes = cut_intervals(frame, columns.interval, places, settings)
        if columns.sequence is not None:
            written = pack_letters(frame[columns.sequence].cast(pl.String), places, settings).ids
            check_agreement(ids, written, columns.sequence, places)
            changes = (*changes, f"they agree with column {columns.sequence!r}")
    elif columns.sequence is not None:
        ids, changes = pack_letters(frame[columns.sequence].cast(pl.String), places, settings)
    else:
        among = ", ".join(map(repr, frame.columns))
        what = "name it in sequence_column, or give columns chromosome, start, end, strand and a genome"
        if len(frame.columns) == 1 and " " in frame.columns[0]:
            what = "separate columns by tabs or commas"
        raise InputError(f"{path}: no column holds sequences, among {among}; {what}")
    return SequenceTable(
        ids,
        places,
        source=str(path),
        names=None if columns.name is None else _names(frame[columns.name]),
        labels=_stripped(frame.select(columns.labels)) if columns.labels else None,
        splits=_splits(frame, columns, places),
        intervals=intervals,
        columns=tuple(frame.columns),
        roles=columns,
        notes=notes + columns.notes + changes,
    )


def _parse(path: Path, text: str, separator: str, has_header: bool, n_skipped: int) -> pl.DataFrame:
    """Return all columns as text."""
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), separator=separator, has_header=has_header, infer_schema=False
        )
    except pl.exceptions.NoDataError:
        raise InputError(f"{path}: the file is empty; give one with sequences") from None
    except pl.exceptions.PolarsError as error:
        raise InputError(_bad_line(path, text, separator, n_skipped) or _unreadable(path, error)) from None
    if not len(frame) and (bad := _bad_line(path, text, separator, n_skipped)):
        raise InputError(bad)
    return frame if has_header else frame.rename(dict(zip(frame.columns, _numbers(frame), strict=True)))


def _numbers(frame: pl.DataFrame) -> list[str]:
    return [str(number) for number in range(1, len(frame.columns) + 1)]


def _bad_line(path: Path, text: str, separator: str, n_skipped: int) -> str | None:
    """Return the error of the first line with a stray quotation mark, or with more cells than the first."""
    quoted = re.compile(rf'(^|{separator}) *"([^"]|"")*" *(?={separator}|$)')
    lines = [quoted.sub(r"\1", line) for line in text.splitlines()]
    columns = lines[0].count(separator) + 1
    for number, line in enumerate(lines, start=n_skipped + 1):
        if '"' in line:
            return (
                f'{path}, line {number}: a " that neither opens nor closes a cell; remove it, or quote the '
                'whole cell and write "" for each " in it'
            )
        if line.count(separator) + 1 > columns:
            return (
                f"{path}, line {number}: {line.count(separator) + 1} columns, where the first line has "
                f"{columns}; separate columns by {separator!r}, and quote a cell that has one in it"
            )
    return None


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path}: cannot be read as a table ({_first_line(error)}); give CSV or TSV with one row a line"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def _names(cells: pl.Series) -> list[str]:
    return cells.cast(pl.String).fill_null("").str.strip_chars().to_list()


def _stripped(labels: pl.DataFrame) -> pl.DataFrame:
    return labels.with_columns(pl.col(pl.String).str.strip_chars())


def _splits(frame: pl.DataFrame, columns: Columns, places: Places) -> list[str] | None:
    """Return the split of each row; None where the column holds other words than splits."""
    if columns.split is None or columns.split in columns.labels:
        return None
    words = [word.strip().lower() for word in frame[columns.split].cast(pl.String).fill_null("")]
    if not set(words) & set(SPLIT_WORDS):
        return None
    for row, word in enumerate(words):
        if word not in SPLIT_WORDS:
            raise InputError(
                f"{places.place(row)}: {word!r} (column {columns.split!r}) is no split; "
                f"write one of {', '.join(SPLIT_WORDS)}"
            )
    return [SPLIT_WORDS[word] for word in words]
