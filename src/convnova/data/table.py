"""What every reader returns: sequences, the labels as they were written, and where each of them stands.

n sequences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.columns import Columns
from convnova.data.packed import PackedSequences, join
from convnova.errors import InputError


class Places(NamedTuple):
    """Where each of n sequences stands, so that an error can say it."""

    files: tuple[str, ...]
    """The files, as errors name them."""
    units: tuple[str, ...]
    """What is counted in each file: ``line``, ``record``, ``row``; empty where a file is one sequence."""
    file: NDArray[np.int64]
    """For each sequence its place in `files`, (n,)."""
    number: NDArray[np.int64]
    """For each sequence its line or record in that file, counted from 1, (n,)."""

    @classmethod
    def of_file(cls, file: object, unit: str, numbers: NDArray[np.int64]) -> "Places":
        """Return the places of the sequences of one file."""
        return cls((str(file),), (unit,), np.zeros(len(numbers), dtype=np.int64), numbers)

    def place(self, index: int) -> str:
        """Return the words for one sequence: ``train.csv, line 17``."""
        file, unit = self.files[self.file[index]], self.units[self.file[index]]
        return f"{file}, {unit} {self.number[index]}" if unit else file


@dataclass(frozen=True, eq=False)
class SequenceTable:
    """Sequences as they were read from one file or several."""

    ids: PackedSequences
    """Ids of the n sequences."""
    places: Places
    """Where each of them stands."""
    source: str
    """File or files, as errors name them."""
    names: list[str] | None = None
    """Name of each sequence, where the file has names."""
    labels: pl.DataFrame | None = None
    """Label columns as they were read, n rows; None where there are none."""
    splits: list[str] | None = None
    """``train``, ``validation`` or ``test`` for each sequence, where a column says so."""
    intervals: pl.DataFrame | None = None
    """chromosome, start, end, strand of each sequence, 0-based and half-open, where a genome was read."""
    columns: tuple[str, ...] = ()
    """All columns of the file, where it has columns."""
    roles: Columns | None = None
    """Which of them hold what."""
    notes: tuple[str, ...] = ()
    """What was guessed, changed or left out, one sentence each."""

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, index: int) -> str:
        """Return where a sequence stands: ``train.csv, line 17``, with its name where it has one."""
        has_number = self.places.units[self.places.file[index]]
        name = self.names[index] if self.names and has_number else ""
        return self.places.place(index) + (f" ({name})" if name else "")

    def take(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> "SequenceTable":
        """Return the sequences at some indices, in their order, or where a mask (n,) is true."""
        rows = np.arange(len(self))[indices]
        return replace(
            self,
            ids=self.ids.take(rows),
            places=self.places._replace(file=self.places.file[rows], number=self.places.number[rows]),
            names=None if self.names is None else [self.names[row] for row in rows],
            labels=None if self.labels is None else self.labels[rows],
            splits=None if self.splits is None else [self.splits[row] for row in rows],
            intervals=None if self.intervals is None else self.intervals[rows],
        )


def counted(number: int, noun: str = "sequence") -> str:
    """Return ``1 sequence``, ``2,000 sequences``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], most: int = 8) -> str:
    """Return ``a, b, c``, or the first of many names and how many there are: ``a, b, ... (12 in all)``."""
    return ", ".join(names[:most]) + (f", ... ({len(names):,} in all)" if len(names) > most else "")


def join_tables(tables: Sequence[SequenceTable]) -> SequenceTable:
    """Return the sequences of all tables, one table after another.

    Raises:
        InputError: when some have labels and others have none, or their label columns differ.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables[1:]:
        if _label_columns(table) != _label_columns(first):
            raise InputError(
                f"{table.source}: its labels are {_label_columns(table)}, those of {first.source} are "
                f"{_label_columns(first)}; files that are read together need the same label columns"
            )
    begins = np.cumsum([0] + [len(table.places.files) for table in tables[:-1]])
    places = Places(
        tuple(file for table in tables for file in table.places.files),
        tuple(unit for table in tables for unit in table.places.units),
        np.concatenate([table.places.file + begin for table, begin in zip(tables, begins, strict=True)]),
        np.concatenate([table.places.number for table in tables]),
    )
    return SequenceTable(
        join([table.ids for table in tables]),
        places,
        source=", ".join(table.source for table in tables),
        names=_joined_names(tables),
        labels=None
        if first.labels is None
        else pl.concat([t.labels for t in tables if t.labels is not None]),
        splits=_joined([table.splits for table in tables]),
        intervals=_stacked([table.intervals for table in tables]),
        columns=first.columns,
        notes=tuple(shared_notes({table.source: table.notes for table in tables})),
    )


def _label_columns(table: SequenceTable) -> str:
    return "none" if table.labels is None else ", ".join(table.labels.columns)


def shared_notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the notes that all files share once, and the others with the name of their file."""
    common = set.intersection(*(set(each) for each in notes.values()))
    named = (note if note in common else f"{name}: {note}" for name, each in notes.items() for note in each)
    return list(dict.fromkeys(named))


def _joined_names(tables: Sequence[SequenceTable]) -> list[str] | None:
    if all(table.names is None for table in tables):
        return None
    return [name for table in tables for name in table.names or [""] * len(table)]


def _joined(parts: Sequence[list[str] | None]) -> list[str] | None:
    known = [part for part in parts if part is not None]
    return [word for part in known for word in part] if len(known) == len(parts) else None


def _stacked(parts: Sequence[pl.DataFrame | None]) -> pl.DataFrame | None:
    known = [part for part in parts if part is not None]
    return pl.concat(known) if len(known) == len(parts) else None
