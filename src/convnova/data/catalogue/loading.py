"""A task of the catalogue as labelled sequences, read and checked the way its suite is published.

a split is published            followed; a share of train serves as validation where none is published
no split is published           80/10/10 by seed (repeats of a sequence stay in one part)
test sequences in training      stated, where the suite is published that way
yeast-histone                   they are removed from training, either strand
"""

from pathlib import Path

from convnova.data.catalogue.folder import SplitFiles, TaskFiles, locate
from convnova.data.catalogue.tables import DataFile, Task
from convnova.data.reading import ReadSettings, SequenceTable, Source, read_sequences
from convnova.data.task import LabelledTask, load_task

REMOVED_FROM_TRAINING = ("yeast-histone",)
"""Suites that are put together here, from sets whose splits are not each other's."""
TEST_SHARE = 0.1
"""Share of all that is held out for test where no split is published."""
_UCI_COLUMNS = ReadSettings(sequence_column="3", label_columns=("1",), name_column="2")


def load_published(
    task: Task,
    folder: str | Path | None = None,
    validation_share: float = 0.1,
    seed: int = 0,
    test_seed: int = 0,
) -> LabelledTask:
    """Return a task of the catalogue, from the files in a data folder.

    Args:
        task: as `suite_tasks` or `find_task` return it.
        folder: the data folder; by default `default_folder`.
        validation_share: share that is held out where no validation is published, of train; of all where
            no split is.
        seed: draws it.
        test_seed: draws the test part where no split is published.

    Raises:
        InputError: when a file is missing, or wrong.
    """
    files = locate(task, folder)
    loaded = load_task(
        source_of(files.train),
        source_of(files.validation) if files.validation else None,
        source_of(files.test) if files.test else None,
        read=read_settings(task),
        kind="single-label",
        names=task.classes,
        # Of all: what is left after a tenth went to test is nine tenths.
        validation_share=validation_share if files.is_split else validation_share / (1 - TEST_SHARE),
        test_share=0.0 if files.is_split else TEST_SHARE,
        seed=seed,
        test_seed=test_seed,
        on_leakage="remove" if task.suite in REMOVED_FROM_TRAINING else "state",
    )
    return loaded._replace(notes=(*loaded.notes, *published_notes(files)))


def published_notes(files: TaskFiles) -> tuple[str, ...]:
    """Return what a reader of a result on a task must know, one sentence each."""
    task = files.task
    notes = [task.note] if task.note else []
    if task.test_in_training and task.suite not in REMOVED_FROM_TRAINING:
        are = "sequence is" if task.test_in_training == 1 else "sequences are"
        notes.append(f"{task.test_in_training} test {are} in training too (either strand), as published")
    return tuple(notes)


def read_settings(task: Task) -> ReadSettings | None:
    """Return how the files of a task are read, where that is not to be found from the files."""
    return _UCI_COLUMNS if any(file.format == "uci" for file in task.files) else None


def source_of(files: SplitFiles) -> Source:
    """Return the files of a split as `read_sequences` takes them."""
    if files.classes:
        return dict(zip(files.classes, files.paths, strict=True))
    return list(files.paths)


def read_file(file: DataFile, path: Path, task: Task) -> SequenceTable:
    """Return the sequences of one file of a task, with its class where the file has no labels."""
    source: Source = {file.class_name: path} if file.class_name else path
    return read_sequences(source, read_settings(task))
