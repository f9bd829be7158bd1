"""The runner of a suite: the grid of task x model x seed, job by job, to one table.

A finished job is never repeated. Several processes may work on one output folder: each job has a lock, and
who holds it runs the job.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from convnova.benchmark.engines import ENGINES, Claimed
from convnova.benchmark.jobs import RESULT_NAME, Job, is_finished, write_outcome
from convnova.benchmark.protocols import SUITE_DEFAULTS, protocol_of
from convnova.benchmark.settings import BenchmarkSettings
from convnova.data.catalogue import find_task, locate, suite_tasks
from convnova.errors import InputError
from convnova.training.arguments import quiet_libraries, resolve_precision
from convnova.training.learn import PRESET, check_model
from convnova.training.report import say

POLL_SECONDS = 5.0


def benchmark(settings: BenchmarkSettings, console: Console | None = None) -> list[dict[str, Any]]:
    """Run what is missing of a suite, write the table, and return all results.

    Raises:
        InputError: when data or models are missing, or the folder holds results of other settings.
    """
    console = console or Console()
    quiet_libraries()
    jobs = plan(settings)
    output = settings.output
    missing = [job for job in jobs if not is_finished(job, output)]
    models = ", ".join(dict.fromkeys(job.model for job in jobs))
    say(console, f"{settings.suite}: {len(jobs)} jobs ({models}), {len(jobs) - len(missing)} finished before")
    locks: dict[Job, FileLock] = {}
    claims = _claims(missing, output, locks, console)
    done, began = 0, time.perf_counter()
    try:
        for job, outcome in ENGINES[settings.engine](claims, settings):
            write_outcome(outcome, job.folder(output))
            locks.pop(job).release()
            done += 1
            left = (time.perf_counter() - began) / done * (len(missing) - done)
            say(console, f"{_line(job, outcome.result)}  [{done} of {len(missing)}, {_duration(left)} left]")
    finally:
        for lock in locks.values():
            lock.release()
    return [json.loads((job.folder(output) / RESULT_NAME).read_text()) for job in jobs]


def plan(settings: BenchmarkSettings) -> list[Job]:
    """Return the jobs of a suite, seed by seed, so that a run that is stopped has whole seeds.

    Raises:
        InputError: when a task, its files or a model are missing.
    """
    named = [find_task(settings.suite, name) for name in _items(settings.tasks)]
    tasks = named or suite_tasks(settings.suite)
    protocol = protocol_of(settings.protocol, settings.suite)
    seeds = settings.seeds or SUITE_DEFAULTS.get(settings.suite, ("sound", 3))[1]
    resolve_precision(settings.training.precision)
    models = _models(settings.model)
    for task in tasks:
        locate(task, settings.data)
    return [
        Job(
            suite=settings.suite,
            task=task.name,
            model=name,
            source=source,
            seed=seed,
            protocol=protocol.name,
            searches_grid=settings.grid,
            data=None if settings.data is None else str(settings.data),
            network=settings.network,
            training=protocol.training(settings.training, seed),
            keeps_model=settings.keep_models,
        )
        for seed in range(settings.first_seed, settings.first_seed + seeds)
        for task in tasks
        for name, source in models.items()
    ]


def _items(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _models(given: str) -> dict[str, str]:
    """Return sources by the names of the models."""
    models: dict[str, str] = {}
    for item in _items(given):
        name, equals, source = item.partition("=")
        source = source if equals else item
        name = name if equals else item.removeprefix(PRESET).replace(":", " ").rstrip("/").split("/")[-1]
        if name in models:
            raise InputError(f"two models are called {name!r}; give each a name of its own: NAME={source}")
        check_model(source)
        models[name] = source
    if not models:
        raise InputError("model names none; give at least one, such as preset:nt")
    return models


def _claims(
    missing: list[Job], output: Path, locks: dict[Job, FileLock], console: Console
) -> Iterator[Claimed]:
    """Yield each job once its lock is ours; jobs that another process is at are looked at again later."""
    waiting, has_said = list(missing), False
    while waiting:
        others = []
        for job in waiting:
            folder = job.folder(output)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                others.append(job)
                continue
            if is_finished(job, output):
                lock.release()
                continue
            locks[job] = lock
            yield job, folder
        if others and len(others) == len(waiting):
            if not has_said:
                say(console, f"another process is at {len(others)} jobs; waiting for it")
                has_said = True
            time.sleep(POLL_SECONDS)
        waiting = others


def _line(job: Job, result: dict[str, Any]) -> str:
    metric = result["metric"]
    return (
        f"{job}: {metric} {result['scores'][metric]:.4f} (validation {result['validation'][metric]:.4f}), "
        f"{_duration(result['training_seconds'])}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
