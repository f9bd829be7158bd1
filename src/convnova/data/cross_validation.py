"""A task without a test set, measured on all of its sequences: each is in the test part once."""

from collections.abc import Iterator

import numpy as np

from convnova.data.held_out import draw_folds
from convnova.data.labelled import LabelledSequences
from convnova.data.packed import join
from convnova.data.table import join_tables
from convnova.data.task import LabelledTask, Parts, Split, Tables, checked_task, hold_out


def cross_validation(
    task: LabelledTask, folds: int, seed: int, validation_share: float = 0.1
) -> Iterator[LabelledTask]:
    """Yield for each fold the task that tests on it, validates on a share of the others, trains on the rest.

    What is divided is train and validation together; a test part stays out of it. Identical sequences, on
    either strand, are in one fold, and classes have the same share in each.

    Args:
        task: as `load_task` returns it.
        folds: number of parts.
        seed: draws the folds and, in each, validation.
        validation_share: of the sequences that are not tested on; 0 for none.

    Raises:
        InputError: when there are fewer different sequences than folds, or a part would have one class only.
    """
    known: list[Split] = ["train", "validation"] if task.validation is not None else ["train"]
    given = [part for part in (task.train, task.validation) if part is not None]
    pool = LabelledSequences(
        join([part.ids for part in given]), np.concatenate([part.labels for part in given])
    )
    table = join_tables([task.tables[split] for split in known])
    fold_of = draw_folds(pool, folds, seed)
    for fold in range(folds):
        is_test = fold_of == fold
        parts: Parts = {"train": pool.take(~is_test), "test": pool.take(is_test)}
        tables: Tables = {"train": table.take(~is_test), "test": table.take(is_test)}
        notes = [*task.notes, f"fold {fold + 1} of {folds} is held out for test (seed {seed})"]
        if validation_share:
            notes.append(hold_out("validation", validation_share, seed, parts, tables))
        yield checked_task(parts, tables, task.scheme, notes, {})
