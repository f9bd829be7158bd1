"""What labels mean: classes, independent labels or values; found in training, then the same for all parts.

    single-label   0 1 1 0            negative positive          (n,) int64
    multi-label    columns of 0 and 1; or one column: "liver;heart"   (n, labels) float32
    regression     one column of numbers, or several             (n,) or (n, values) float32

n sequences.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.table import SequenceTable, some
from convnova.errors import InputError

Kind = Literal["single-label", "multi-label", "regression"]
SEPARATOR = ";"
"""Between the names in one column of several labels."""

_MISSING = ("", "na", "n/a", "nan", "null")
_LARGEST = 2**53
_TUPLES = ("names", "columns", "notes")
_PROBLEM_TYPES = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


@dataclass(frozen=True)
class LabelScheme:
    """How raw labels become numbers, the same for training, validation and test."""

    kind: Kind
    """One class each, several independent labels, or numbers."""
    names: tuple[str, ...]
    """Names of the classes, labels or values, in the order of their ids or columns."""
    is_numbered: bool = False
    """Whether the files write a class as its number, though it has a name."""
    notes: tuple[str, ...] = ()
    """What was found, one sentence each."""
    columns: tuple[str, ...] = ()
    """Label columns of the training file, in the order of `names`, where there is one for each."""

    @classmethod
    def infer(
        cls, table: SequenceTable, kind: Kind | None = None, names: Sequence[str] | None = None
    ) -> "LabelScheme":
        """Return the scheme of the training labels.

        Args:
            table: training sequences.
            kind: default found: several columns of 0 and 1, or names separated by ``;``, are multi-label;
                whole numbers from 0 on without gaps, and words, are classes; other numbers are regression.
            names: classes in the order of their ids; default the words sorted, or the numbers.

        Raises:
            InputError: when there are no labels, one is missing, all are the same, or they fit no kind.
        """
        labels = raw_labels(table)
        if kind is None:
            kind = _guess(table, labels)
        if kind == "single-label":
            return _classes(table, labels, names)
        if kind == "multi-label" and not _is_columns_of_bits(labels):
            words = _words(table, labels)
            found = tuple(sorted({word for row in words for word in row}))
            if len(found) < 2:
                raise InputError(
                    f"{table.source}: multi-label needs columns of 0 and 1, or names separated by "
                    f"{SEPARATOR!r}; found {', '.join(map(repr, found)) or 'none'}"
                )
            chosen = tuple(names or found)
            return cls(kind, chosen, notes=(f"{len(chosen)} labels, several for a sequence: {some(chosen)}",))
        columns = tuple(names) if names and len(names) == labels.width else tuple(labels.columns)
        scheme = cls(kind, columns, notes=(f"{kind}: {some(columns)}",), columns=tuple(labels.columns))
        values = scheme.encode(table).reshape(len(table), -1)
        for column, name in zip(values.T, columns, strict=True):
            if column.min() == column.max():
                raise InputError(
                    f"{table.source}: {name!r} is {column[0]:g} for every sequence, so there is nothing to "
                    "learn; give sequences that differ in it"
                )
        return scheme

    @property
    def num_labels(self) -> int:
        """Number of outputs of the model."""
        return len(self.names)

    @property
    def problem_type(self) -> str:
        """What Transformers calls it: ``single_label_classification`` and so on."""
        return _PROBLEM_TYPES[self.kind]

    def encode(self, table: SequenceTable) -> NDArray[Any]:
        """Return the labels of a table as numbers, in the shapes that the head of this module shows.

        Raises:
            InputError: when there are no labels, or at the first that is missing or does not fit.
        """
        labels = raw_labels(table)
        if self.kind == "single-label":
            return self._encode_classes(table, labels)
        if self.kind == "multi-label" and not _is_columns_of_bits(labels):
            return self._encode_words(table, labels)
        labels = self._in_order(table, labels)
        values = np.stack([_numbers(table, labels[name]) for name in labels.columns], axis=1)
        return (values[:, 0] if self.kind == "regression" and values.shape[1] == 1 else values).astype(
            np.float32
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes, for JSON."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "LabelScheme":
        """Return the scheme that `to_dict` gave."""
        tuples: dict[str, Any] = {name: tuple(saved.get(name, ())) for name in _TUPLES}
        return cls(**saved | tuples)

    def _in_order(self, table: SequenceTable, labels: pl.DataFrame) -> pl.DataFrame:
        """Return the columns of the task, by their names; by their places only where they have no names."""
        for known in (self.names, self.columns):
            if known and set(known) <= set(labels.columns):
                return labels.select(known)
        is_numbered = any(
            all(name.isdecimal() for name in names) for names in (labels.columns, self.columns or self.names)
        )
        if labels.width != self.num_labels or not (is_numbered or self.num_labels == 1):
            raise InputError(
                f"{table.source}: label columns {', '.join(labels.columns)}, but the task has "
                f"{', '.join(self.names)}; give these columns"
            )
        return labels

    def _encode_classes(self, table: SequenceTable, labels: pl.DataFrame) -> NDArray[np.int64]:
        words = _single_column(table, labels)
        number = {str(index): index for index in range(self.num_labels)}
        id_of = number if self.is_numbered else {name: index for index, name in enumerate(self.names)}
        ids = _replaced(words, id_of).fill_null(_replaced(_whole(words), id_of)).fill_null(-1).to_numpy()
        if (ids < 0).any():
            row = int((ids < 0).argmax())
            raise InputError(
                f"{table.place(row)}: class {words[row]!r} is not one of the task's, which are "
                f"{some(tuple(id_of))}; correct it, or leave the sequence out"
            )
        return ids

    def _encode_words(self, table: SequenceTable, labels: pl.DataFrame) -> NDArray[np.float32]:
        id_of = {name: index for index, name in enumerate(self.names)}
        encoded = np.zeros((len(table), self.num_labels), dtype=np.float32)
        for row, words in enumerate(_words(table, labels)):
            for word in words:
                if word not in id_of:
                    raise InputError(
                        f"{table.place(row)}: label {word!r} is not one of the task's, which are "
                        f"{some(self.names)}; correct it, or leave the sequence out"
                    )
                encoded[row, id_of[word]] = 1
        return encoded


def raw_labels(table: SequenceTable) -> pl.DataFrame:
    """Return the label columns of a table as they were read.

    Raises:
        InputError: when it has none.
    """
    if table.labels is None:
        among = f"; its columns are {', '.join(map(repr, table.columns))}" if table.columns else ""
        raise InputError(
            f"{table.source}: there are no labels{among}; name the columns in label_columns, write the label "
            "after | in FASTA headers, or give a file for each class"
        )
    return table.labels


def _classes(table: SequenceTable, labels: pl.DataFrame, names: Sequence[str] | None) -> LabelScheme:
    words = _single_column(table, labels)
    numbered = _whole(words)
    words = words if numbered.has_nulls() else numbered
    found = sorted(words.unique().to_list())
    if len(found) == 1:
        raise InputError(
            f"{table.source}: every sequence has the label {found[0]!r}; "
            "give sequences of two classes or more"
        )
    if names is not None:
        is_numbered = set(found) <= {str(index) for index in range(len(names))}
        scheme = LabelScheme("single-label", tuple(names), is_numbered and not set(found) <= set(names))
        scheme.encode(table)
        return scheme
    if all(word.lstrip("-").isdecimal() for word in found):
        numbers = sorted(int(word) for word in found)
        if numbers == [-1, 1]:
            return LabelScheme("single-label", ("-1", "1"), notes=("2 classes: -1 = 0, 1 = 1",))
        if numbers != list(range(len(numbers))):
            raise InputError(
                f"{table.source}: the labels are the numbers {some(tuple(map(str, numbers)))}; classes are "
                f"numbered from 0 without gaps, here 0 to {len(numbers) - 1}; renumber them, write names, "
                "give the names of all classes, or set kind to regression"
            )
        return LabelScheme(
            "single-label", tuple(map(str, numbers)), notes=(f"{len(numbers)} classes, numbered from 0",)
        )
    if len(found) > max(100, len(words) // 10):
        raise InputError(
            f"{table.source}: column {labels.columns[0]!r} has {len(found):,} different labels in "
            f"{len(words):,} sequences, so it is no class; name the right one in label_columns"
        )
    shown = some(tuple(f"{name} = {index}" for index, name in enumerate(found)))
    return LabelScheme(
        "single-label", tuple(found), notes=(f"{len(found)} classes in sorted order: {shown}",)
    )


def _guess(table: SequenceTable, labels: pl.DataFrame) -> Kind:
    if labels.width > 1:
        return "multi-label" if _is_columns_of_bits(labels) else "regression"
    column = labels.to_series()
    words = _words_of(column)
    if words.str.contains(SEPARATOR, literal=True).any():
        return "multi-label"
    known = _present(words)
    numbers = known.cast(pl.Float64, strict=False)
    is_number = len(known) and numbers.null_count() == 0
    return "regression" if is_number and not (numbers == numbers.round()).all() else "single-label"


def _single_column(table: SequenceTable, labels: pl.DataFrame) -> pl.Series:
    """Return the labels of one column as text.

    Raises:
        InputError: when there are several columns, or at the first missing label.
    """
    if labels.width != 1:
        raise InputError(
            f"{table.source}: {labels.width} label columns ({', '.join(labels.columns)}), but a single-label "
            "task has one; name it in label_columns"
        )
    words = _words_of(labels.to_series())
    _check_present(table, words, labels.columns[0])
    return words


def _whole(words: pl.Series) -> pl.Series:
    """Return 1.0 and +1 as 1; null where a word is no whole number."""
    numbers = words.cast(pl.Float64, strict=False)
    is_whole = (numbers.abs() < _LARGEST) & (numbers == numbers.round())
    return numbers.set(~is_whole.fill_null(False), None).cast(pl.Int64).cast(pl.String)


def _replaced(words: pl.Series, id_of: dict[str, int]) -> pl.Series:
    return words.replace_strict(id_of, default=None, return_dtype=pl.Int64)


def _numbers(table: SequenceTable, column: pl.Series) -> NDArray[np.float64]:
    words = _words_of(column)
    _check_present(table, words, column.name)
    numbers = words.cast(pl.Float64, strict=False)
    is_bad = (numbers.is_null() | ~numbers.is_finite()).to_numpy()
    if is_bad.any():
        row = int(is_bad.argmax())
        raise InputError(
            f"{table.place(row)}: {column.name} {words[row]!r} is not a finite number; correct it"
        )
    return numbers.to_numpy()


def _words(table: SequenceTable, labels: pl.DataFrame) -> list[list[str]]:
    """Return the names of each sequence; an empty cell has none."""
    if labels.width != 1:
        _refuse_columns(table, labels)
    cells = _words_of(labels.to_series()).fill_null("")
    return [[word.strip() for word in cell.split(SEPARATOR) if word.strip()] for cell in cells]


def _refuse_columns(table: SequenceTable, labels: pl.DataFrame) -> None:
    """Raise the error of the first cell of several columns that is neither 0 nor 1."""
    for name in labels.columns:
        words = _words_of(labels[name])
        _check_present(table, words, name)
        is_bad = (~words.is_in(_BITS)).to_numpy()
        if is_bad.any():
            row = int(is_bad.argmax())
            raise InputError(
                f"{table.place(row)}: {name} is {words[row]!r}; several label columns hold 0 or 1 each, "
                "or set kind to regression"
            )


_BITS = ["0", "1", "0.0", "1.0"]


def _is_columns_of_bits(labels: pl.DataFrame) -> bool:
    return all(_words_of(column).is_in(_BITS).all() for column in labels.get_columns())


def _words_of(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    return column.cast(pl.String)


def _is_missing(words: pl.Series) -> pl.Series:
    return words.is_null() | words.fill_null("").str.to_lowercase().is_in(_MISSING)


def _present(words: pl.Series) -> pl.Series:
    return words.filter(~_is_missing(words))


def _check_present(table: SequenceTable, words: pl.Series, name: str) -> None:
    is_missing = _is_missing(words).to_numpy()
    if is_missing.any():
        row = int(is_missing.argmax())
        raise InputError(
            f"{table.place(row)}: the label ({name}) is missing ({words[row] or 'empty'}; "
            f"{is_missing.sum():,} of {len(words):,} are); give one, or leave the sequence out"
        )
