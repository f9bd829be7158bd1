"""The tasks of a study, of the catalogue or of the user, each loaded by a seed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from convnova.analysis.study_settings import StudySettings
from convnova.benchmark.jobs import data_checksums
from convnova.data.catalogue import Task, chosen_tasks
from convnova.data.catalogue.folder import check_folder
from convnova.data.catalogue.loading import load_published
from convnova.data.labelled import LabelledSequences, checksum
from convnova.data.splits import SPLITS
from convnova.data.task import LabelledTask, load_task
from convnova.evaluation.scores import SELECTION

HELD_OUT = 0.1
"""Share of train that serves as validation, or as test, where none is given."""


class StudyTask(NamedTuple):
    """Labelled sequences that networks are compared on."""

    name: str
    metric: Any
    """Score that is reported."""
    has_strand: bool
    """Whether its sequences are read on one strand."""
    published: tuple[str, str] | None
    """Its suite and task in the table of published numbers."""
    load: Callable[[int], LabelledTask]
    """Gives its parts by a seed, which draws validation where none is published."""
    checksums: dict[str, str]
    """Of the content of its files, by split."""


def study_tasks(settings: StudySettings) -> list[StudyTask]:
    """Return the tasks of a study.

    Raises:
        InputError: when a file is missing or wrong.
    """
    if settings.suite is None:
        return [_own(settings)]
    tasks = chosen_tasks(settings.suite, settings.tasks or "")
    folder = check_folder(settings.data).resolve()
    return [_of_catalogue(task, folder) for task in tasks]


def _of_catalogue(task: Task, folder: Path) -> StudyTask:
    def load(seed: int) -> LabelledTask:
        return load_published(task, folder, HELD_OUT, seed)

    published = (task.published_suite, task.published_task) if task.published_suite else None
    return StudyTask(task.name, task.metric, task.has_strand, published, load, data_checksums(task, folder))


def _own(settings: StudySettings) -> StudyTask:
    assert settings.train is not None
    train = settings.train

    def load(seed: int) -> LabelledTask:
        return load_task(
            train,
            settings.validation,
            settings.test,
            read=settings.read,
            validation_share=HELD_OUT,
            test_share=HELD_OUT,
            seed=seed,
        )

    task = load(0)
    parts: dict[str, LabelledSequences | None] = {split: getattr(task, split) for split in SPLITS}
    checksums = {split: checksum(part) for split, part in parts.items() if part is not None}
    name = Path(train).name.partition(".")[0] or "own"
    return StudyTask(name, SELECTION[task.scheme.problem_type], False, None, load, checksums)
