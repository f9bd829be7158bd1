"""What each system of a comparison reaches on the tasks of a suite.

OUTPUT/rates/0.001/jobs/   what a learning rate brings on validation, a file a training
OUTPUT/quality/            the suite with the chosen ones, as `convnova benchmark` leaves it
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from rich.console import Console

from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.cost_table import CostTable
from convnova.benchmark.jobs import Job, is_finished
from convnova.benchmark.outcome import validate_job
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.settings import BenchmarkSettings
from convnova.benchmark.suite import plan, run_jobs
from convnova.console import say
from convnova.data.catalogue import find_task
from convnova.data.catalogue.loading import load_published
from convnova.errors import InputError
from convnova.writing import write_json

QUALITY_NAME, RATES_NAME = "quality", "rates"
KMERS: Final = "preset:kmers"
REGRESSION: Final = "logistic-regression"


class Quality(NamedTuple):
    """What a model reached on the tasks of a suite."""

    mean: float = math.nan
    """Over tasks, of the mean over seeds."""
    sd: float = math.nan
    """Over seeds, of the mean over tasks; NaN with one seed."""
    learning_rate: float | None = None
    """The one that was chosen; None where there was no choice."""
    tasks: Mapping[str, Sequence[float]] = MappingProxyType({})
    """Scores by task, one a seed."""
    epochs: Mapping[str, float] = MappingProxyType({})
    """Epochs that the trainings on a task had, on average."""
    failure: str = ""
    """Why it was not trained; empty where it was."""


def train_all(
    settings: CompareSettings, models: dict[str, str], costs: CostTable, console: Console
) -> dict[str, Quality]:
    """Train each model on the tasks of the suite, and return what it reached, or why it could not.

    Where trainings have so many minutes, what a step of each costs on each task is measured first.

    Raises:
        InputError: when a model or data are missing.
    """
    suite = BenchmarkSettings(
        suite=settings.suite or "",
        output=settings.output / QUALITY_NAME,
        model=",".join(f"{name}={source}" for name, source in models.items()),
        tasks=settings.tasks,
        seeds=settings.seeds,
        data=settings.data,
        training=settings.training,
        threads=settings.threads,
    )
    jobs = list(map(_fitted, plan(suite)))
    by_model = {name: [job for job in jobs if job.model == name] for name in models}
    failures: dict[str, str] = {}
    if settings.minutes is not None:  # all is measured before anything is trained
        lengths = _lengths(jobs)
        for name, own in by_model.items():
            with _noted(failures, name, console):
                by_model[name] = [_within(job, settings.minutes, costs, lengths[job.task]) for job in own]
    rates: dict[str, float | None] = {}
    for name in [name for name in models if name not in failures and settings.learning_rates]:
        with _noted(failures, name, console):
            rates[name] = rate = _chosen_rate(settings, by_model[name], console)
            by_model[name] = [_with_rate(job, rate) for job in by_model[name]]
    ready = {name: own for name, own in by_model.items() if name not in failures}
    reason = ""
    try:
        run_jobs(list(chain(*zip(*ready.values(), strict=True))), suite, console, is_shown=False)
    except InputError as error:  # the other jobs have ended by then
        reason = str(error)
    found = {name: Quality(failure=failure) for name, failure in failures.items()}
    for name, own in ready.items():
        if reason and not all(is_finished(job, suite.output) for job in own):
            found[name] = Quality(failure=reason)
            continue
        results = [json.loads((job.folder(suite.output) / RESULT_NAME).read_text()) for job in own]
        found[name] = quality_of(results, rates.get(name))
    return {name: found[name] for name in models}


@contextmanager
def _noted(failures: dict[str, str], name: str, console: Console) -> Iterator[None]:
    """Note what is wrong with a model, so that the others go on."""
    try:
        yield
    except InputError as error:
        say(console, f"failed: {error}")
        failures[name] = str(error)


def _lengths(jobs: Sequence[Job]) -> dict[str, int]:
    """Return the median length of the training sequences of each task, in bp."""
    tasks = {job.task: job for job in jobs}
    return {
        name: int(np.median(load_published(find_task(job.suite, name), job.data).train.ids.lengths))
        for name, job in tasks.items()
    }


def _within(job: Job, minutes: float, costs: CostTable, length: int) -> Job:
    """Return a job of as many steps as its model makes in the minutes; of k-mers as it is.

    A step is one of the job's batches, of sequences of the task's median length. Validation is not counted.

    Raises:
        InputError: when no step of the model could be measured.
    """
    if job.training.method == REGRESSION:
        return job
    batch = job.training.batch_sequences
    step = costs.cost(job.model, job.source, "training", length, batch)
    if step.failure:
        raise InputError(
            f"{job}: no step of training could be measured, so minutes say nothing ({step.failure}); "
            "leave the model out"
        )
    steps = max(1, round(60 * minutes * step.bp_per_second / (batch * length)))
    return replace(
        job, training=replace(job.training, most_steps=min(steps, job.training.most_steps or steps))
    )


def _chosen_rate(settings: CompareSettings, jobs: Sequence[Job], console: Console) -> float | None:
    """Return the learning rate that does best on validation: first seed, mean over tasks; None for k-mers.

    The test part is not looked at. Each training is noted, and not repeated.
    """
    first = [job for job in jobs if job.seed == jobs[0].seed and job.training.method != REGRESSION]
    if not first:
        return None
    values = {
        rate: fmean(_on_validation(settings, _with_rate(job, rate)) for job in first)
        for rate in settings.learning_rates
    }
    best = max(values, key=values.__getitem__)
    shown = ", ".join(f"{rate:g} {value:.4f}" for rate, value in values.items())
    say(console, f"{jobs[0].model}: learning rate {best:g} (on validation: {shown})")
    return best


def _on_validation(settings: CompareSettings, job: Job) -> float:
    """Return how good the model of a job is on validation, from its note where there is one."""
    folder = settings.output / RATES_NAME / f"{job.training.optimizer.learning_rate:g}"
    path = job.folder(folder) / RESULT_NAME
    if not is_finished(job, folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"validation": validate_job(job, settings.threads), "job": job.record()})
    return json.loads(path.read_text())["validation"]


def _with_rate(job: Job, rate: float | None) -> Job:
    if rate is None:
        return job
    optimizer = replace(job.training.optimizer, learning_rate=rate)
    return replace(job, training=replace(job.training, optimizer=optimizer))


def quality_of(results: Sequence[dict[str, Any]], learning_rate: float | None = None) -> Quality:
    """Return the scores of one model, each task in its own metric."""
    by_seed, by_task = defaultdict(list), defaultdict(list)
    for one in results:
        score = one["scores"][one["metric"]]
        by_seed[one["seed"]].append(score)
        by_task[one["task"]].append(score)
    means = [fmean(scores) for scores in by_seed.values()]
    epochs = {task: fmean(one["epochs"] for one in results if one["task"] == task) for task in by_task}
    return Quality(fmean(means), spread(means), learning_rate, dict(by_task), epochs)


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation of scores; NaN of one."""
    return stdev(values) if len(values) > 1 else math.nan


def _fitted(job: Job) -> Job:
    """Return the job of k-mers as a regression, which has its solution at once; others as they are."""
    if job.source != KMERS:
        return job
    return replace(job, training=replace(job.training, method=REGRESSION))
