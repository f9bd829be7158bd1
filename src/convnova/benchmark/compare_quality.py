"""What each system of a comparison reaches on the tasks of a suite."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, NamedTuple

from rich.console import Console

from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.jobs import Job
from convnova.benchmark.settings import BenchmarkSettings
from convnova.benchmark.suite import plan, run_jobs

QUALITY_NAME = "quality"
KMERS = "preset:kmers"


class Quality(NamedTuple):
    """What a model reached on the tasks of a suite."""

    mean: float
    """Over tasks, of the mean over seeds."""
    sd: float
    """Over seeds, of the mean over tasks; NaN with one seed."""


def train_all(settings: CompareSettings, models: dict[str, str], console: Console) -> dict[str, Quality]:
    """Train each model on the tasks of the suite, and return what it reached."""
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
    results = run_jobs(list(map(_fitted, plan(suite))), suite, console)
    return {name: quality_of([one for one in results if one["model"] == name]) for name in models}


def quality_of(results: Sequence[dict[str, Any]]) -> Quality:
    """Return the mean of the scores of one model, each task in its own metric."""
    by_seed: dict[int, list[float]] = {}
    for one in results:
        by_seed.setdefault(one["seed"], []).append(one["scores"][one["metric"]])
    means = [fmean(scores) for scores in by_seed.values()]
    return Quality(fmean(means), stdev(means) if len(means) > 1 else math.nan)


def _fitted(job: Job) -> Job:
    """Return the job of k-mers as a regression, which has its solution at once; others as they are."""
    if job.source != KMERS:
        return job
    return replace(job, training=replace(job.training, method="logistic-regression"))
