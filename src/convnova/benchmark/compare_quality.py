"""What each system of a comparison reaches on the tasks of a suite.

OUTPUT/rates/0.001/jobs/   what a learning rate brings on validation, a file a training
OUTPUT/quality/            the suite with the chosen ones, as `convnova benchmark` leaves it
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

import numpy as np
from rich.console import Console

from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.costs import Cost
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

    mean: float
    """Over tasks, of the mean over seeds."""
    sd: float
    """Over seeds, of the mean over tasks; NaN with one seed."""
    learning_rate: float | None
    """The one that was chosen; None where there was no choice."""


def train_all(
    settings: CompareSettings, models: dict[str, str], costs: Sequence[Cost], console: Console
) -> dict[str, Quality]:
    """Train each model on the tasks of the suite, and return what it reached.

    What each of them costs is needed where trainings have so many minutes.

    Raises:
        InputError: when a model or its data are missing or do not fit.
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
    if settings.minutes is not None:
        lengths = _lengths(jobs)
        jobs = [_within(job, settings.minutes, costs, lengths[job.task]) for job in jobs]
    rates = _chosen_rates(settings, jobs, console) if settings.learning_rates else {}
    jobs = [_with_rate(job, rates[job.model]) if job.model in rates else job for job in jobs]
    results = run_jobs(jobs, suite, console)
    return {
        name: quality_of([one for one in results if one["model"] == name], rates.get(name)) for name in models
    }


def _lengths(jobs: Sequence[Job]) -> dict[str, int]:
    """Return the median length of the training sequences of each task, in bp."""
    tasks = {job.task: job for job in jobs}
    return {
        name: int(np.median(load_published(find_task(job.suite, name), job.data).train.ids.lengths))
        for name, job in tasks.items()
    }


def _within(job: Job, minutes: float, costs: Sequence[Cost], length: int) -> Job:
    """Return a job of as many steps as its model makes in the minutes; of k-mers as it is.

    Raises:
        InputError: when no speed of the model is known.
    """
    if job.training.method == REGRESSION:
        return job
    known = [one for one in costs if (one.model, one.kind) == (job.model, "training") and not one.failure]
    if not known:
        raise InputError(
            f"{job.model}: no step of training could be measured, so minutes say nothing; leave it out"
        )
    speed = min(known, key=lambda one: abs(one.length_bp - length)).bp_per_second
    steps = max(1, int(60 * minutes * speed / (job.training.batch_sequences * length)))
    return replace(
        job, training=replace(job.training, most_steps=min(steps, job.training.most_steps or steps))
    )


def _chosen_rates(settings: CompareSettings, jobs: Sequence[Job], console: Console) -> dict[str, float]:
    """Return the learning rate of each model that does best on validation: first seed, mean over tasks.

    The test part is not looked at. Each training is noted, and not repeated.
    """
    first = [job for job in jobs if job.seed == jobs[0].seed and job.training.method != REGRESSION]
    rates = {}
    for model in dict.fromkeys(job.model for job in first):
        values = {
            rate: fmean(
                _on_validation(settings, _with_rate(job, rate)) for job in first if job.model == model
            )
            for rate in settings.learning_rates
        }
        rates[model] = max(values, key=values.__getitem__)
        shown = ", ".join(f"{rate:g} {value:.4f}" for rate, value in values.items())
        say(console, f"{model}: learning rate {rates[model]:g} (on validation: {shown})")
    return rates


def _on_validation(settings: CompareSettings, job: Job) -> float:
    """Return how good the model of a job is on validation, from its note where there is one."""
    folder = settings.output / RATES_NAME / f"{job.training.optimizer.learning_rate:g}"
    path = job.folder(folder) / RESULT_NAME
    if not is_finished(job, folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"validation": validate_job(job, settings.threads), "job": job.record()})
    return json.loads(path.read_text())["validation"]


def _with_rate(job: Job, rate: float) -> Job:
    optimizer = replace(job.training.optimizer, learning_rate=rate)
    return replace(job, training=replace(job.training, optimizer=optimizer))


def quality_of(results: Sequence[dict[str, Any]], learning_rate: float | None = None) -> Quality:
    """Return the mean of the scores of one model, each task in its own metric."""
    by_seed: dict[int, list[float]] = {}
    for one in results:
        by_seed.setdefault(one["seed"], []).append(one["scores"][one["metric"]])
    means = [fmean(scores) for scores in by_seed.values()]
    return Quality(fmean(means), stdev(means) if len(means) > 1 else math.nan, learning_rate)


def _fitted(job: Job) -> Job:
    """Return the job of k-mers as a regression, which has its solution at once; others as they are."""
    if job.source != KMERS:
        return job
    return replace(job, training=replace(job.training, method=REGRESSION))
