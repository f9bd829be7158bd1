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

from rich.console import Console

from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.jobs import Job, is_finished
from convnova.benchmark.outcome import validate_job
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.settings import BenchmarkSettings
from convnova.benchmark.suite import plan, run_jobs
from convnova.console import say
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


def train_all(settings: CompareSettings, models: dict[str, str], console: Console) -> dict[str, Quality]:
    """Train each model on the tasks of the suite, and return what it reached.

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
    rates = _chosen_rates(settings, jobs, console) if settings.learning_rates else {}
    jobs = [_with_rate(job, rates[job.model]) if job.model in rates else job for job in jobs]
    results = run_jobs(jobs, suite, console)
    return {
        name: quality_of([one for one in results if one["model"] == name], rates.get(name)) for name in models
    }


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
