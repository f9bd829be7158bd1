"""The runner of a suite: the grid of task x model x seed, job by job, to one table.

A finished job is never repeated, and several processes may work on one output folder.
"""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console

from convnova.benchmark.claims import Claims
from convnova.benchmark.engines import ENGINES
from convnova.benchmark.jobs import Job, as_name, data_checksums, is_finished, origin_of
from convnova.benchmark.outcome import write_outcome
from convnova.benchmark.protocols import SUITE_DEFAULTS, Protocol, protocol_of
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.settings import BenchmarkSettings
from convnova.console import duration, log_console, say
from convnova.data.catalogue import Task, chosen_tasks
from convnova.data.catalogue.folder import check_folder
from convnova.errors import InputError
from convnova.precision import resolve_precision
from convnova.training.arguments import quiet_libraries
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.record import RECORD_NAME
from convnova.training.start import PRESET, SCRATCH, check_model
from convnova.training.task_settings import TaskNetworkSettings


def benchmark(settings: BenchmarkSettings, console: Console | None = None) -> list[dict[str, Any]]:
    """Run what is missing of a suite, write the table, and return all results.

    Raises:
        InputError: when data or models are missing, or the folder holds results of other settings; and in the
            end, when jobs failed. The others are finished, and in the table, by then.
    """
    quiet_libraries()
    return run_jobs(plan(settings), settings, console or log_console())


def run_jobs(
    jobs: Sequence[Job], settings: BenchmarkSettings, console: Console, is_shown: bool = True
) -> list[dict[str, Any]]:
    """Run those jobs of a suite that are missing, and show the table; all else is as in `benchmark`."""
    output = settings.output
    if (output / RECORD_NAME).exists():
        raise InputError(f"{output}: another run wrote there ({RECORD_NAME}); choose another output folder")
    missing = [job for job in jobs if not is_finished(job, output)]
    models = ", ".join(dict.fromkeys(job.model for job in jobs))
    say(console, f"{settings.suite}: {len(jobs)} jobs ({models}), {len(jobs) - len(missing)} finished before")
    claims = Claims(missing, output)
    failed: list[InputError] = []
    try:
        for job, outcome in ENGINES[settings.engine](claims, settings):
            if isinstance(outcome, InputError):
                failed.append(outcome)
                claims.give_back(job)
                say(console, f"failed: {outcome}")
                continue
            outcome.result["command"] = command_line(sys.argv[1:])
            write_outcome(outcome, job.folder(output))
            claims.give_back(job)
            say(console, f"{_line(job, outcome.result)}  [{claims.how_far()}]")
    finally:
        claims.close()
    if len(failed) < len(jobs):
        _report(settings, len({job.seed for job in jobs}), console, is_shown)
    if failed:
        several = f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again. The first: "
        raise InputError(f"{several if len(jobs) > 1 else ''}{failed[0]}")
    return [json.loads((job.folder(output) / RESULT_NAME).read_text()) for job in jobs]


def _report(settings: BenchmarkSettings, seeds: int, console: Console, is_shown: bool) -> None:
    """Write the table of all results in the folder, and print it where it is to be shown."""
    from convnova.benchmark.formats import print_report
    from convnova.benchmark.report import write_report

    output = settings.output
    with FileLock(output / ".report.lock"):
        report = write_report(output / "jobs", output, settings.suite, seeds)
    if is_shown:
        print_report(console, report.sheets, report.table)
    for path in (report.markdown, report.csv, report.html):
        if path is not None:
            say(console, f"-> {path}")
    if report.hint:
        say(console, report.hint)


def plan(settings: BenchmarkSettings) -> list[Job]:
    """Return the jobs of a suite, seed by seed, so that a run that is stopped has whole seeds.

    Raises:
        InputError: when a task, its files or a model are missing, or the protocol does not fit.
    """
    tasks = chosen_tasks(settings.suite, settings.tasks or "")
    protocol = protocol_of(settings.protocol, settings.suite)
    for task in tasks:
        protocol.check(task)
    seeds = settings.seeds or SUITE_DEFAULTS.get(settings.suite, ("sound", 3))[1]
    trainings = {
        seed: protocol.training(settings.training, settings.suite, seed)
        for seed in range(settings.first_seed, settings.first_seed + seeds)
    }
    if settings.grid and trainings[settings.first_seed].method == "logistic-regression":
        raise InputError(
            "grid searches learning rate and batch size, and a regression has none; leave it out"
        )
    resolve_precision(settings.training.precision)
    models = models_of(settings.model)
    origins = {}
    for name, source in models.items():
        check_model(source, settings.network)
        origins[name] = origin_of(source)
    data = check_folder(settings.data).resolve()
    checksums = _checksums(tasks, data)
    return [
        Job(
            suite=settings.suite,
            task=task.name,
            model=name,
            source=source,
            origin=origins[name],
            seed=seed,
            protocol=protocol.name,
            searches_grid=settings.grid,
            data=str(data),
            checksums=checksums[task.name],
            **fit_to_task(settings, protocol, task, training),
            keeps_model=settings.keep_models,
        )
        for seed, training in trainings.items()
        for task in tasks
        for name, source in models.items()
    ]


def _checksums(tasks: Sequence[Task], data: Path) -> dict[str, dict[str, str]]:
    """Return the checksums of the files of all tasks.

    Raises:
        InputError: when a file is missing; it names the tasks that could be run.
    """
    found, missing = {}, []
    for task in tasks:
        try:
            found[task.name] = data_checksums(task, data)
        except InputError as error:
            missing.append(error)
    if missing and found:
        raise InputError(
            f"{missing[0]}; or run the {len(found)} of {len(tasks)} tasks that are there: "
            f"--tasks {','.join(found)}"
        )
    if missing:
        raise missing[0]
    return found


def command_line(arguments: list[str]) -> str:
    """Return the command for a record that is shared: of absolute paths only the last part."""
    absolute = re.compile(r"(?<![^=,:\s])/[^=,:\s]+")
    return shlex.join(
        ["convnova", *(absolute.sub(lambda path: Path(path[0]).name, one) for one in arguments)]
    )


def fit_to_task(
    settings: BenchmarkSettings, protocol: Protocol, task: Task, training: FinetuneSettings
) -> dict[str, Any]:
    """Return network and training of a job, with strand and pooling as task and protocol need them.

    Raises:
        InputError: for a pooling that the protocol has not.
    """
    network = settings.network
    if protocol.name == "frozen":
        if network.pooling not in (None, "mean"):
            raise InputError(
                f"protocol frozen is of mean-pooled embeddings, and pooling is {network.pooling}; "
                "leave it out"
            )
        network = replace(network, pooling="mean")
    if settings.by_task and task.has_strand and protocol.name in ("sound", "gue"):
        network, training = on_its_strand(network, training)
    return {"network": network, "training": training}


def on_its_strand(
    network: TaskNetworkSettings, training: FinetuneSettings
) -> tuple[TaskNetworkSettings, FinetuneSettings]:
    """Return how sequences that are aligned on a point are learned: on their strand, pooled by segments."""
    augmentation = replace(training.augmentation, reverse_complement=False)
    training = replace(training, augmentation=augmentation, average_strands=False)
    return replace(network, pooling=network.pooling or "segments"), training


def models_of(given: str) -> dict[str, str]:
    """Return sources by the names of models, as ``--model`` has them; folders are absolute.

    Raises:
        InputError: when there is none, or two have one name.
    """
    models: dict[str, str] = {}
    for item in filter(None, map(str.strip, given.split(","))):
        name, equals, written = item.rpartition("=")
        source = written
        if not source:
            raise InputError(f"{item}: there is no model behind the =; write NAME=preset:NAME or NAME=folder")
        is_preset, is_scratch = source.startswith(PRESET), source.startswith(SCRATCH)
        if not is_preset:
            folder = Path(source.removeprefix(SCRATCH)).resolve()
            source = f"{SCRATCH if is_scratch else ''}{folder}"
        if not equals:
            own = source.removeprefix(PRESET) if is_preset else folder.name
            name = f"{own}-scratch" if is_scratch else own
        if as_name(name) in map(as_name, models):
            raise InputError(f"two models are called {name!r}; give each a name of its own: NAME={written}")
        models[name] = source
    if not models:
        raise InputError("model names none; give at least one, such as preset:nt")
    return models


def _line(job: Job, result: dict[str, Any]) -> str:
    metric = result["metric"]
    return (
        f"{job}: {metric} {result['scores'][metric]:.4f} (validation {result['validation'][metric]:.4f}), "
        f"{duration(result['training_seconds'])}"
    )
