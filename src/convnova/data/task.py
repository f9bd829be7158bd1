"""A task: labelled sequences to train on, to choose on and to test on, checked against each other.

n sequences.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from convnova.data.duplicates import same_sequence_groups
from convnova.data.held_out import draw_share
from convnova.data.label_scheme import Kind, LabelScheme
from convnova.data.labelled import LabelledSequences
from convnova.data.quality import QualityReport, check_quality
from convnova.data.reading import ReadSettings, Source, read_sequences
from convnova.data.splits import SPLITS, Split
from convnova.data.table import SequenceTable, shared_notes
from convnova.errors import InputError

Parts = dict[Split, LabelledSequences]
Tables = dict[Split, SequenceTable]
OnLeakage = Literal["error", "state", "remove"]


class LabelledTask(NamedTuple):
    """What a model is adapted to and measured on."""

    train: LabelledSequences
    validation: LabelledSequences | None
    """To choose on; None where none is held out."""
    test: LabelledSequences | None
    """Read once; None where there is none."""
    scheme: LabelScheme
    """What the labels mean."""
    report: QualityReport
    """What was found when the parts were checked."""
    notes: tuple[str, ...]
    """What was guessed and drawn, one sentence each."""
    tables: dict[Split, SequenceTable]
    """Names, places and raw labels of the same sequences, in the same order."""


def load_task(
    train: Source,
    validation: Source | None = None,
    test: Source | None = None,
    read: ReadSettings | None = None,
    kind: Kind | None = None,
    names: tuple[str, ...] | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.0,
    seed: int = 0,
    test_seed: int = 0,
    on_leakage: OnLeakage = "error",
) -> LabelledTask:
    """Return the parts of a task, read, encoded and checked.

    Args:
        train: sequences to train on, in any form that `read_sequences` takes. A column ``split`` in it is
            followed.
        validation: sequences to choose on; default drawn from train.
        test: sequences to test on.
        read: how the files are read.
        kind: of labels; default found.
        names: of the classes, in the order of their ids; default found.
        validation_share: share of train that is held out for validation where none is given; 0 for none.
        test_share: share of train that is held out for test where none is given.
        seed: draws validation.
        test_seed: draws test, so that another `seed` keeps the same test sequences.
        on_leakage: what to do when a sequence of test is, on either strand, in another part: an error; only
            state it, where a suite is published that way; or remove sequences of test and validation from
            train, and of test from validation.

    Raises:
        InputError: when a file is wrong, labels are missing or do not fit, all labels of a part are the same,
            train and test are the same, or test sequences leak.
    """
    tables, notes = _read_parts({"train": train, "validation": validation, "test": test}, read)
    scheme = LabelScheme.infer(tables["train"], kind, names)
    notes += list(scheme.notes)
    parts = {split: _labelled(split, table, scheme) for split, table in tables.items()}
    if "test" not in parts and test_share:
        notes.append(hold_out("test", test_share, test_seed, parts, tables))
    removed = _settle_leakage(parts, tables, on_leakage)
    if "validation" not in parts and validation_share:
        notes.append(hold_out("validation", validation_share, seed, parts, tables))
    return checked_task(parts, tables, scheme, notes, removed)


def checked_task(
    parts: Parts, tables: Tables, scheme: LabelScheme, notes: Sequence[str], removed: Mapping[str, int]
) -> LabelledTask:
    """Return the task of some parts, with the report on them.

    Raises:
        InputError: when all sequences of a part have the same labels.
    """
    for split, part in parts.items():
        if (part.labels == part.labels[0]).all():
            raise _all_alike(split, part, tables[split], scheme)
    in_order: dict[str, LabelledSequences] = {split: parts[split] for split in SPLITS if split in parts}
    report = check_quality(in_order, scheme, removed)
    return LabelledTask(
        parts["train"], parts.get("validation"), parts.get("test"), scheme, report, tuple(notes), tables
    )


def _read_parts(sources: dict[Split, Source | None], read: ReadSettings | None) -> tuple[Tables, list[str]]:
    """Return the table of each part that is given, or that a column of train names."""
    tables: Tables = {}
    for split, source in sources.items():
        if source is not None:
            tables[split] = read_sequences(source, read)
    notes = shared_notes({str(split): table.notes for split, table in tables.items()})
    train = tables["train"]
    if train.splits is not None and len(tables) == 1:
        splits = np.array(train.splits)
        tables = {split: train.take(splits == split) for split in SPLITS if (splits == split).any()}
        notes.append("the parts are those of the split column")
    elif any(table.splits is not None for table in tables.values()):
        for split, table in tables.items():
            if table.splits is not None:
                tables[split] = table.take(np.array(table.splits) == split)
                notes.append(f"{split}: only rows whose split column says {split}")
    for split in sources:
        if split in tables and not len(tables[split]):
            raise InputError(f"{tables[split].source}: its split column has no row for {split}; give one")
    if "train" not in tables:
        raise InputError(f"{train.source}: its split column has no row for train; write train in some")
    return tables, notes


def _labelled(split: Split, table: SequenceTable, scheme: LabelScheme) -> LabelledSequences:
    if table.labels is None:
        raise InputError(
            f"{table.source}: there are no labels, and {split} needs them; give them as in train, or use "
            "convnova classify for sequences without"
        )
    if table.ids.is_unknown.all():
        raise InputError(f"{table.source}: its sequences are only N, so {split} says nothing; give others")
    return LabelledSequences(table.ids, scheme.encode(table))


def hold_out(split: Split, share: float, seed: int, parts: Parts, tables: Tables) -> str:
    """Move a share of train to another part by a seed, and return the sentence that says so."""
    is_held_out = draw_share(parts["train"], share, seed)
    for is_chosen, name in ((is_held_out, split), (~is_held_out, "train")):
        # train last: both are taken from what it is now.
        parts[name], tables[name] = parts["train"].take(is_chosen), tables["train"].take(is_chosen)
    return f"{share:g} of train is held out for {split} (seed {seed})"


def _settle_leakage(parts: Parts, tables: Tables, on_leakage: OnLeakage) -> dict[str, int]:
    """Refuse, accept or remove sequences of held-out parts in other parts; return how many were removed.

    Raises:
        InputError: when train and test are the same sequences, when a sequence of test is in another part and
            that is an error, or when nothing is left to train on.
    """
    names: list[Split] = [split for split in ("test", "validation", "train") if split in parts]
    groups = dict(zip(names, same_sequence_groups([parts[name].ids for name in names]), strict=True))
    if "test" in parts and set(groups["train"]) == set(groups["test"]):
        raise InputError(
            f"{tables['train'].source} and {tables['test'].source}: train and test are the same sequences; "
            "give a test set that training does not see, or test_share to hold one out"
        )
    removed: dict[str, int] = {}
    for index, name in enumerate(names):
        for held_out in names[:index]:
            is_shared = np.isin(groups[name], groups[held_out])
            if not is_shared.any():
                continue
            if on_leakage == "error" and held_out == "test":
                raise _leak(name, tables[name], tables["test"], groups[name], groups["test"])
            if on_leakage == "remove":
                if is_shared.all():
                    raise InputError(
                        f"{tables[name].source}: all its sequences are in {held_out} too; give others"
                    )
                parts[name], tables[name] = parts[name].take(~is_shared), tables[name].take(~is_shared)
                groups[name] = groups[name][~is_shared]
                removed[name] = removed.get(name, 0) + int(is_shared.sum())
    return removed


def _leak(
    name: Split, table: SequenceTable, test: SequenceTable, groups: np.ndarray, test_groups: np.ndarray
) -> InputError:
    is_leaked = np.isin(test_groups, groups)
    row = int(is_leaked.argmax())
    other = int((groups == test_groups[row]).argmax())
    return InputError(
        f"{test.place(row)}: the sequence is in {name} too ({table.place(other)}), which "
        f"holds {is_leaked.sum():,} of {len(test):,} test sequences (either strand); set on_leakage to "
        f"remove, which drops them from {name}, or to state where a suite is published that way"
    )


def _all_alike(
    split: Split, part: LabelledSequences, table: SequenceTable, scheme: LabelScheme
) -> InputError:
    first = part.labels[0]
    if scheme.kind == "single-label":
        what = f"every sequence of {split} has the label {scheme.names[first]!r}"
        give = "sequences of two classes or more"
    elif scheme.kind == "multi-label":
        what = f"no label is given to some sequences of {split} and not to others"
        give = "sequences with a label and without it"
    else:
        names, values = ", ".join(map(repr, scheme.names)), ", ".join(f"{value:g}" for value in first.flat)
        what = f"{names} {'is' if first.size == 1 else 'are'} {values} for every sequence of {split}"
        give = "sequences that differ in it"
    return InputError(f"{table.source}: {what}, so no score says anything; give {give}")
