"""Which column of a table is what: given, or found by its name or its content and stated."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import polars as pl

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError, nearest

SEQUENCE_WORDS = ("sequence", "sequences", "seq", "seqs", "dna", "dna_sequence", "dna_seq", "nucleotides")
LABEL_WORDS = ("label", "labels", "target", "targets", "class", "classes", "y", "category")
VALUE_WORDS = ("score", "value", "activity", "expression")
"""Read as labels where no column has a name of `LABEL_WORDS`."""
LABEL_PREFIXES = ("label_", "target_", "class_", "y_")
"""Several columns that begin with one of these are the labels together."""
NAME_WORDS = ("name", "names", "id", "ids", "seq_id", "sequence_id", "identifier", "header", "accession")
SPLIT_COLUMNS = ("split", "partition", "subset")
CHROMOSOME_WORDS = ("chromosome", "chrom", "chr", "region", "contig", "seqname", "seqnames")
START_WORDS = ("start", "chromstart", "chrom_start", "begin")
END_WORDS = ("end", "chromend", "chrom_end", "stop")

_DNA = re.compile(r"[ACGTUN]+", re.IGNORECASE)


Named = Callable[[Sequence[str]], list[str]]
"""Columns that have one of some names, in the order of these names."""


class IntervalColumns(NamedTuple):
    """Columns that say where on a genome a sequence lies."""

    chromosome: str
    start: str
    end: str
    strand: str | None


class Columns(NamedTuple):
    """Columns of a table by what they hold."""

    sequence: str | None
    """With an interval too, what the genome must agree with."""
    labels: tuple[str, ...]
    name: str | None
    split: str | None
    interval: IntervalColumns | None
    notes: tuple[str, ...]


def looks_like_dna(cell: str, shortest: int = 8) -> bool:
    """Whether a cell holds a sequence rather than a name: eight bases or more, nothing else."""
    return len(cell.strip()) >= shortest and _DNA.fullmatch(cell.strip()) is not None


def find_columns(frame: pl.DataFrame, settings: ReadSettings, source: str) -> Columns:
    """Return which columns hold sequences or intervals, labels, names and splits.

    Raises:
        InputError: for a column that is given and is not there, or when several columns could be meant.
    """
    names, notes = frame.columns, []
    by_word: dict[str, list[str]] = {}
    for name in names:
        by_word.setdefault(_normal(name), []).append(name)

    def named(words: Sequence[str]) -> list[str]:
        return [name for word in words for name in by_word.get(word, [])]

    interval = _interval(named)
    sequence = settings.sequence_column
    if sequence is not None:
        _check_known(sequence, names, "sequence_column", source)
        interval = None
    elif interval is not None and settings.genome is not None:
        notes.append(f"sequences are cut from the genome at {', '.join(filter(None, interval))}")
        sequence = next(iter(named(SEQUENCE_WORDS)), None)
    else:
        found = named(SEQUENCE_WORDS) or [name for name in names if _holds_dna(frame[name])]
        if len(found) > 1:
            raise InputError(_several(source, "sequences", found, "sequence_column"))
        sequence = found[0] if found else None
        if sequence is not None:
            interval = None
            notes.append(f"column {sequence!r} holds the sequences")

    split = next(iter(named(SPLIT_COLUMNS)), None)
    identifier = settings.name_column
    if identifier is not None:
        _check_known(identifier, names, "name_column", source)
    else:
        identifier = next((name for name in named(NAME_WORDS) if name != sequence), None)
    labels: tuple[str, ...] = ()
    if settings.read_labels and settings.label_columns:
        for column in settings.label_columns:
            _check_known(column, names, "label_columns", source)
        labels = tuple(settings.label_columns)
    elif settings.read_labels:
        unnamed = [name for name in names if _normal(name).startswith("unnamed") or not _normal(name)]
        used = {sequence, split, identifier, *(interval or ()), *unnamed}
        labels = _labels(frame, named, used, source)
        if labels:
            many = "columns {} hold" if len(labels) > 1 else "column {} holds"
            notes.append(many.format(", ".join(map(repr, labels))) + " the labels")
    if identifier in labels:
        identifier = None
    return Columns(sequence, labels, identifier, split, interval, tuple(notes))


def _labels(frame: pl.DataFrame, named: Named, used: set[str | None], source: str) -> tuple[str, ...]:
    for words in (LABEL_WORDS, VALUE_WORDS):
        found = [name for name in named(words) if name not in used]
        if len(found) > 1:
            raise InputError(_several(source, "labels", found, "label_columns"))
        if found:
            return (found[0],)
    rest = [name for name in frame.columns if name not in used]
    prefixed = tuple(name for name in rest if _normal(name).startswith(LABEL_PREFIXES))
    if prefixed or len(rest) == 1:
        return prefixed or tuple(rest)
    return tuple(rest) if all(_holds_bits(frame[name]) for name in rest) else ()


def _interval(named: Named) -> IntervalColumns | None:
    parts = [named(words) for words in (CHROMOSOME_WORDS, START_WORDS, END_WORDS)]
    if not all(parts):
        return None
    strand = named(("strand",))
    chromosome, start, end = (part[0] for part in parts)
    return IntervalColumns(chromosome, start, end, strand[0] if strand else None)


def _holds_dna(cells: pl.Series) -> bool:
    first = cells.head(20).drop_nulls()
    return first.dtype == pl.String and len(first) > 0 and all(looks_like_dna(cell) for cell in first)


def _holds_bits(cells: pl.Series) -> bool:
    return cells.cast(pl.String, strict=False).is_in(["0", "1"]).all()


def _normal(name: str) -> str:
    return name.strip().lower().removeprefix("#").replace(" ", "_").replace("-", "_")


def _several(source: str, what: str, found: Sequence[str], setting: str) -> str:
    return f"{source}: columns {', '.join(map(repr, found))} could all hold the {what}; name it in {setting}"


def _check_known(column: str, names: list[str], setting: str, source: str) -> None:
    if column not in names:
        close = nearest(column, names)
        hint = f"did you mean {close[0]!r}?" if close else "use one of these"
        raise InputError(
            f"{source}: there is no column {column!r} ({setting}), only {', '.join(map(repr, names))}; {hint}"
        )
