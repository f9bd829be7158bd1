"""A job: one task, one model, one seed. Its result is one JSON file, whole or not there.

OUTPUT/jobs/gue/tf_3/preset_nt/seed0/result.json       scores, settings, checksums, machine
                                     predictions.npz   for the test sequences, in their order
"""

import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.benchmark.protocols import PROTOCOLS, PUBLISHED_GRID
from convnova.data.catalogue import find_task, locate
from convnova.data.catalogue.loading import load_published
from convnova.data.splits import SPLITS
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.training.checkpoints import write_model
from convnova.training.finetune import Finetuned
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.learn import PRESET, SCRATCH, learn, measure
from convnova.training.record import file_checksum, flat, plain, run_record
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.weights import WEIGHTS_NAME
from convnova.writing import whole_file, write_json

RESULT_NAME = "result.json"
PREDICTIONS_NAME = "predictions.npz"


@dataclass(frozen=True)
class Job:
    """All that makes one result."""

    suite: str
    task: str
    model: str
    """Its name in the table."""
    source: str
    """``preset:NAME``, or a folder."""
    seed: int
    protocol: str
    searches_grid: bool
    data: str | None
    network: TaskNetworkSettings
    training: FinetuneSettings
    keeps_model: bool

    def folder(self, output: Path) -> Path:
        """Return where the result goes."""
        parts = (self.suite, self.task, self.model)
        return output.joinpath("jobs", *map(_as_name, parts), f"seed{self.seed}")

    def record(self) -> dict[str, Any]:
        """Return what has to be the same for a result to be this job's; where the data lie is not."""
        return {name: value for name, value in plain(self).items() if name not in ("data", "keeps_model")}

    def __str__(self) -> str:
        return f"{self.suite} {self.task}, {self.model}, seed {self.seed}"


class Outcome(NamedTuple):
    """What a job found, as it is written."""

    result: dict[str, Any]
    predictions: NDArray[np.float32]
    """For the test sequences, in their order, (n, classes)."""
    labels: NDArray[Any]


def run_job(job: Job, output: Path, threads: int | None) -> Outcome:
    """Train, choose on validation, and read the test part once.

    Args:
        job: what to do.
        output: folder of the job, for the model if it is kept.
        threads: CPU threads; None leaves them as they are. The same number gives the same result.

    Raises:
        InputError: when data or model are missing or do not fit.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    began = time.perf_counter()
    protocol, task = PROTOCOLS[job.protocol], find_task(job.suite, job.task)
    parts = load_published(task, job.data, seed=job.seed)
    if protocol.chooses_on_test:
        parts = parts._replace(validation=parts.test)
    metric: Any = protocol.metric or task.metric
    candidates = [replace(job.training, selection=job.training.selection or metric)]
    if job.searches_grid:
        candidates = [_with(candidates[0], *point) for point in PUBLISHED_GRID]
    made, training = _best(job, parts, candidates, output if job.keeps_model else None)
    measured = measure(made, parts, training.average_strands)
    assert parts.test is not None
    model = made.model
    result = {
        **{"suite": job.suite, "task": job.task, "model": job.model, "seed": job.seed},
        **{"protocol": protocol.name, "protocol_sentence": protocol.sentence, "metric": metric},
        "scores": measured.scores,
        "interval": measured.interval._asdict() | {"metric": made.selection},
        "validation": made.best.scores | {"epoch": made.best.epoch},
        "sequences": {split: len(getattr(parts, split)) for split in SPLITS},
        "length_bp": int(np.median(parts.train.ids.lengths)),
        "parameters": model.num_parameters(),
        "receptive_field_bp": model.config.receptive_field,
        "pretrained": None if made.weights is None else str(made.weights),
        "epochs": made.evaluations[-1].epoch,
        "training_seconds": round(made.seconds, 2),
        "seconds": round(time.perf_counter() - began, 2),
        "both_strands": {
            "training": training.augmentation.reverse_complement,
            "test": training.average_strands,
        },
        "notes": list(parts.notes),
        "warnings": list(parts.report.warnings),
        "curve": [[one.epoch, one.training_loss, one.scores[made.selection]] for one in made.evaluations],
        "job": job.record(),
        "network": plain(job.network),
        **{
            name: value
            for name, value in run_record(training, _checksums(job), {}).items()
            if name != "model"
        },
    }
    return Outcome(result, measured.predictions, parts.test.labels)


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write what a job found; its result comes last, so where it is, the job is finished."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / PREDICTIONS_NAME) as staging, staging.open("wb") as file:
        np.savez_compressed(file, predictions=outcome.predictions, labels=outcome.labels)
    write_json(folder / RESULT_NAME, outcome.result)


def is_finished(job: Job, output: Path) -> bool:
    """Return whether the result of a job is there.

    Raises:
        InputError: when the result there is of other settings.
    """
    path = job.folder(output) / RESULT_NAME
    if not path.exists():
        return False
    before = json.loads(path.read_text()).get("job")
    now = job.record()
    if before != now:
        was, is_now = flat(before or {}), flat(now)
        name = next(name for name in is_now if was.get(name) != is_now[name])
        raise InputError(
            f"{path}: this result was made with {name} {was.get(name)}, and now it is {is_now[name]}; "
            "give the same settings, another name to the model (NAME=...), or another output folder"
        )
    return True


def _best(
    job: Job, parts: LabelledTask, candidates: list[FinetuneSettings], output: Path | None
) -> tuple[Finetuned, FinetuneSettings]:
    """Return the candidate that does best on validation."""
    best: tuple[Finetuned, FinetuneSettings] | None = None
    for training in candidates:
        made = learn(parts, job.source, job.network, training)
        value = made.best.scores[made.selection]
        if best is None or value > best[0].best.scores[made.selection]:
            best = made, training
    assert best is not None
    if output is not None:
        write_model(best[0].model, output)
    return best


def _with(training: FinetuneSettings, rate: float, batch: int) -> FinetuneSettings:
    optimizer = replace(training.optimizer, learning_rate=rate)
    return replace(training, optimizer=optimizer, batch_sequences=batch)


def _checksums(job: Job) -> dict[str, str | None]:
    files = locate(find_task(job.suite, job.task), job.data)
    checksums = {
        f"{split}/{path.name}": file_checksum(path)
        for split in SPLITS
        if (part := getattr(files, split)) is not None
        for path in part.paths
    }
    is_pretrained = not job.source.startswith((PRESET, SCRATCH))
    weights = file_checksum(Path(job.source) / WEIGHTS_NAME) if is_pretrained else None
    return checksums | {"pretrained": weights}


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)
