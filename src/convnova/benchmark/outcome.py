"""What a job does: train, choose on validation, read the test part once, and write down what came of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.baselines.heads import parameters_in_use
from convnova.benchmark.jobs import PREDICTIONS_NAME, Job, data_checksums
from convnova.benchmark.protocols import PROTOCOLS, PUBLISHED_GRID
from convnova.benchmark.results import RESULT_NAME
from convnova.data.catalogue import Task, find_task, locate
from convnova.data.catalogue.checking import other_files
from convnova.data.catalogue.loading import load_published, published_notes
from convnova.data.splits import SPLITS
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.evaluation.bootstrap import bootstrap_interval
from convnova.evaluation.scores import goodness
from convnova.precision import resolve_precision
from convnova.training.checkpoints import write_model
from convnova.training.finetune import Finetuned
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.learn import learn, measure
from convnova.training.record import plain, session
from convnova.writing import whole_file, write_json


class Outcome(NamedTuple):
    """What a job found, as it is written."""

    result: dict[str, Any]
    predictions: NDArray[np.float32]
    """For the test sequences, in their order, (n, classes)."""
    labels: NDArray[Any]


class Candidate(NamedTuple):
    """A point of the grid, or all there is without one."""

    training: FinetuneSettings
    made: Finetuned

    @property
    def value(self) -> float:
        """How good it is on validation; the higher the better."""
        return goodness(self.made.selection, self.made.best.scores)


class _Trained(NamedTuple):
    """What is there before the test part is looked at."""

    parts: LabelledTask
    metric: Any
    """Score that is reported."""
    candidates: list[Candidate]
    best: Candidate


def run_job(job: Job, folder: Path, threads: int | None) -> Outcome:
    """Train, choose on validation, and read the test part once.

    Args:
        job: what to do.
        folder: of the job, for the model if it is kept.
        threads: CPU threads; None leaves them as they are. The same number gives the same result.

    Raises:
        InputError: when data or model are missing or do not fit; it names the job.
    """
    with _naming(job, threads):
        return _run(job, folder)


def validate_job(job: Job, threads: int | None) -> float:
    """Train, and return how good the model is on validation, the higher the better; test is not looked at.

    Arguments and errors are those of `run_job`.
    """
    with _naming(job, threads):
        return _train(job).best.value


@contextmanager
def _naming(job: Job, threads: int | None) -> Iterator[None]:
    """Name the job where something about it is wrong, and give it its threads."""
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    except InputError as error:
        raise InputError(f"{job}: {error}") from error


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write what a job found; its result comes last, so where it is, the job is finished."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / PREDICTIONS_NAME) as staging, staging.open("wb") as file:
        np.savez_compressed(file, predictions=outcome.predictions, labels=outcome.labels)
    write_json(folder / RESULT_NAME, outcome.result)


def _train(job: Job) -> _Trained:
    """Train, and choose on validation."""
    protocol, task = PROTOCOLS[job.protocol], find_task(job.suite, job.task)
    if data_checksums(task, job.data) != job.checksums:
        raise InputError(f"{job.data}: its files are others than when the suite was begun; begin it again")
    share = 0.0 if protocol.chooses_on_test else 0.1
    parts = load_published(task, job.data, validation_share=share, seed=job.seed)
    if protocol.chooses_on_test:
        parts = parts._replace(validation=parts.test)
    metric: Any = protocol.metric or task.metric
    wanted = replace(job.training, selection=job.training.selection or metric)
    grid = [_with(wanted, *point) for point in PUBLISHED_GRID] if job.searches_grid else [wanted]
    candidates = [Candidate(training, learn(parts, job.source, job.network, training)) for training in grid]
    return _Trained(parts, metric, candidates, max(candidates, key=lambda candidate: candidate.value))


def _run(job: Job, folder: Path) -> Outcome:
    began = time.perf_counter()
    protocol, task = PROTOCOLS[job.protocol], find_task(job.suite, job.task)
    parts, metric, candidates, best = _train(job)
    if job.keeps_model:
        write_model(best.made.model, folder)
    measured = measure(best.made, parts, best.training.average_strands)
    assert parts.test is not None
    interval = measured.interval
    if best.made.selection != metric:
        problem = parts.scheme.problem_type
        interval = bootstrap_interval(problem, metric, parts.test.labels, measured.predictions)
    published = published_notes(locate(task, job.data))
    result = {
        **{"suite": job.suite, "task": job.task, "model": job.model, "seed": job.seed},
        **{"protocol": protocol.name, "protocol_sentence": protocol.sentence, "metric": metric},
        "switches": _switches(best, searches_grid=job.searches_grid),
        "scores": measured.scores,
        "interval": interval._asdict() | {"metric": metric},
        **_about_training(best, candidates),
        **_about_data(parts),
        "notes": [
            *_others(task, job),
            *published,
            *_leaks(parts, is_known=bool(task.test_in_training)),
            *protocol.departures(best.training, job.suite),
        ],
        # Where the data lie is no part of a result, which is made to be shared.
        "reading": [note.replace(f"{job.data}/", "") for note in parts.notes if note not in published],
        "seconds": round(time.perf_counter() - began, 2),
        "job": job.record(),
        "data": job.checksums,
        **_about_machine(),
    }
    return Outcome(result, measured.predictions, parts.test.labels)


def _switches(best: Candidate, searches_grid: bool) -> str:
    """Return in one sentence what a reader must know of how a model was trained and used."""
    training, config = best.training, best.made.model.config
    strands = "both strands" if training.augmentation.reverse_complement else "the strand given"
    averaged = "averaged over both" if training.average_strands else "of the strand given"
    segments = f" by {config.pooling_segments} parts" if config.pooling == "segments" else ""
    sentence = f"trained on {strands}, predictions {averaged}, {config.pooling} pooling{segments}"
    if searches_grid:
        sentence += ", learning rate and batch chosen on validation from the published grid"
    return sentence


def _about_training(best: Candidate, candidates: list[Candidate]) -> dict[str, Any]:
    training, made = best
    return {
        "validation": made.best.scores | {"epoch": made.best.epoch},
        "selection": made.selection,
        "parameters": parameters_in_use(made.model),
        "receptive_field_bp": made.model.config.receptive_field,
        "dilations": list(getattr(made.model.config, "dilations", ())),
        "pretrained": None if made.weights is None else str(made.weights),
        "epochs": made.evaluations[-1].epoch,
        "training_seconds": round(made.seconds, 2),
        "both_strands": {
            "training": training.augmentation.reverse_complement,
            "test": training.average_strands,
        },
        "precision": resolve_precision(training.precision),
        "settings": plain(training),
        "grid": [
            {
                "learning_rate": one.training.optimizer.learning_rate,
                "batch_sequences": one.training.batch_sequences,
                "validation": one.made.best.scores[one.made.selection],
                "training_seconds": round(one.made.seconds, 2),
            }
            for one in candidates
            if len(candidates) > 1
        ],
        "curve": [[one.epoch, one.training_loss, one.scores[made.selection]] for one in made.evaluations],
    }


def _about_data(parts: LabelledTask) -> dict[str, Any]:
    return {
        "sequences": {split: len(getattr(parts, split)) for split in SPLITS},
        "length_bp": int(np.median(parts.train.ids.lengths)),
        "leakage": {name: getattr(parts.report, name) for name in ("shared", "shared_conflicts", "removed")},
        "warnings": list(parts.report.warnings),
    }


def _others(task: Task, job: Job) -> list[str]:
    """Return that files are not the published ones, if so: the published numbers are then of other data."""
    return [
        f"NOT the published data, so not to be compared with published numbers: {sentence}"
        for sentence in other_files(task, Path(job.data))[:1]
    ]


def _leaks(parts: LabelledTask, is_known: bool) -> list[str]:
    """Return what was shared between parts, or was and is no longer, a sentence each.

    Args:
        parts: of the task.
        is_known: whether the notes of the catalogue tell of test sequences in other parts already.
    """
    shared = {pair: count for pair, count in parts.report.shared.items() if not (is_known and "test" in pair)}
    return [
        f"{count:,} sequences of {pair.rpartition(' and ')[2]} are in {pair.partition(' and ')[0]} too "
        "(either strand)"
        for pair, count in shared.items()
        if count
    ] + [
        f"{count:,} sequences are removed from {name}, since a held-out part has them (either strand)"
        for name, count in parts.report.removed.items()
    ]


def _about_machine() -> dict[str, Any]:
    """Return versions, commit and machine of the process that ran the job, which may be elsewhere."""
    return {name: value for name, value in session().items() if name != "command"}


def _with(training: FinetuneSettings, rate: float, batch: int) -> FinetuneSettings:
    optimizer = replace(training.optimizer, learning_rate=rate)
    return replace(training, optimizer=optimizer, batch_sequences=batch)
