"""A job: one task, one model, one seed. Its result is one JSON file, whole or not there.

OUTPUT/jobs/gue/tf_3/nt/seed0/result.json       scores, settings, checksums, machine
                              predictions.npz   for the test sequences, in their order
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from convnova.benchmark.results import RESULT_NAME
from convnova.data.catalogue import Task, locate
from convnova.data.catalogue.checksums import split_sha256
from convnova.data.splits import SPLITS
from convnova.errors import InputError
from convnova.genome.files import file_checksum
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.record import flat, plain
from convnova.training.start import PRESET, SCRATCH
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.weights import WEIGHTS_NAME

PREDICTIONS_NAME = "predictions.npz"


@dataclass(frozen=True)
class Job:
    """All that makes one result."""

    suite: str
    task: str
    model: str
    """Its name in the table."""
    source: str
    """``preset:NAME``, or the folder of a model, absolute, with ``scratch:`` before it or not."""
    origin: str
    """What `source` is without saying where: the preset, or the checksum of what is read of the folder."""
    seed: int
    protocol: str
    searches_grid: bool
    data: str
    """The data folder, absolute."""
    checksums: dict[str, str]
    """Of the content of the task's files, by split."""
    network: TaskNetworkSettings
    training: FinetuneSettings
    keeps_model: bool

    def folder(self, output: Path) -> Path:
        """Return where the result goes."""
        parts = (self.suite, self.task, self.model)
        return output.joinpath("jobs", *map(as_name, parts), f"seed{self.seed}")

    def record(self) -> dict[str, Any]:
        """Return what has to be the same for a result to be this job's; where its files lie is not."""
        record = {name: value for name, value in plain(self).items() if name not in _NOT_RECORDED}
        return record | {"source": self.origin, "data": self.checksums}

    def __str__(self) -> str:
        return f"{self.suite} {self.task}, {self.model}, seed {self.seed}"


_NOT_RECORDED = ("origin", "checksums", "keeps_model")


class Work(Protocol):
    """What makes one result: a job of a suite, or a training of a study."""

    def folder(self, output: Path) -> Path:
        """Return where the result goes."""

    def record(self) -> dict[str, Any]:
        """Return what has to be the same for a result to be that of this work."""


def is_finished(job: Work, output: Path) -> bool:
    """Return whether the result of a job is there.

    Raises:
        InputError: when the result there is none, or of other settings or data.
    """
    path = job.folder(output) / RESULT_NAME
    if not path.exists():
        return False
    try:
        before = flat(json.loads(path.read_text())["job"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is no result of a job; remove it and run the job again") from None
    # What is newer than the result had the value of its default.
    defaults = flat({"network": plain(TaskNetworkSettings()), "training": plain(FinetuneSettings())})
    for name, now in flat(job.record()).items():
        was = before.get(name, defaults.get(name, now))
        if was != now:
            raise InputError(
                f"{path}: this result was made with {name} {was}, and now it is {now}; "
                "give the same settings, another name to the model (NAME=...), or another output folder"
            )
    return True


def data_checksums(task: Task, folder: str | Path | None) -> dict[str, str]:
    """Return ``sha256:`` and the digest of the content of each split's files.

    Raises:
        InputError: when a file is missing.
    """
    files = locate(task, folder)
    parts = {split: getattr(files, split) for split in SPLITS}
    return {name: f"sha256:{split_sha256(part.paths)}" for name, part in parts.items() if part is not None}


def origin_of(source: str) -> str:
    """Return what a model's source is, without saying where it lies."""
    if source.startswith(PRESET):
        return source
    folder = Path(source.removeprefix(SCRATCH))
    config = file_checksum(folder / "config.json")
    if source.startswith(SCRATCH):
        return f"{SCRATCH}{config}"
    return f"{file_checksum(folder / WEIGHTS_NAME)}, config.json {config}"


def as_name(text: str) -> str:
    """Return the name of a folder for a task or a model."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)
