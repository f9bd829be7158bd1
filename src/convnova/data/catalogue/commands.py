"""``convnova data list | fetch | prepare | check``: the catalogue and a data folder, from a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from convnova.console import log_console
from convnova.data.catalogue.checking import TaskState, check_task
from convnova.data.catalogue.fetching import fetch_files
from convnova.data.catalogue.folder import check_folder, default_folder, locate, prepare_command
from convnova.data.catalogue.http import Patience
from convnova.data.catalogue.preparing import parse_genomes, prepare_task
from convnova.data.catalogue.settings import CheckSettings, FetchSettings, ListSettings, PrepareSettings
from convnova.data.catalogue.tables import Task, catalogue, chosen_tasks, references, suite_tasks
from convnova.errors import InputError


def list_data(settings: ListSettings) -> None:
    """Print the suites of the catalogue, or the tasks of one, and what of them is in the data folder.

    Raises:
        InputError: when there is no such suite.
    """
    folder = settings.data or default_folder()
    console = log_console()
    if settings.suite is None:
        console.print(_suite_table(folder))
        return
    tasks = suite_tasks(settings.suite)
    row = next(row for row in catalogue() if row.suite == settings.suite)
    console.print(_task_table(tasks, folder))
    console.print(f"{row.title}. {row.note}\n{row.url}, licence: {row.licence}, cite: {row.citation}")
    for name in dict.fromkeys(name for task in tasks for name in task.assemblies):
        console.print(f"genome {name}: {references()[name].url} ({references()[name].note})")


def fetch(settings: FetchSettings) -> None:
    """Fetch the files of a suite that the data folder does not hold yet.

    Raises:
        InputError: when there is no such suite or task, or when a file could not be fetched: which, why, and
            where to put it by hand.
    """
    folder = settings.data or default_folder()
    tasks = chosen_tasks(settings.suite, settings.tasks)
    files = [file for task in tasks for split in task.splits for file in task.files_of(split, settings.form)]
    if not files:
        raise InputError(f"suite {settings.suite} has no {settings.form}; fetch its sequences")
    once = list({file.local: file for file in files}.values())
    done = fetch_files(once, folder, Patience(settings.tries, settings.stall_s))
    print(f"{folder}: {len(done.fetched)} files fetched, {len(done.present)} were there")
    genomes = list(dict.fromkeys(file.genome for file in once if file.genome))
    if genomes:
        command = prepare_command(settings.suite, settings.tasks, folder, genomes)
        sources = ", ".join(f"{name} from {references()[name].url}" for name in genomes)
        print(f"next: {command} ({sources})")


def prepare(settings: PrepareSettings) -> None:
    """Write tasks as Parquet, building sequences from intervals where these are what is published.

    Raises:
        InputError: when a file or genome is missing or wrong; without named tasks, when none can be prepared.
    """
    folder, genomes = check_folder(settings.data), parse_genomes(settings.genome)
    reasons = []
    tasks = chosen_tasks(settings.suite, settings.tasks)
    for task in tasks:
        try:
            written = prepare_task(task, folder, genomes, settings.cache)
        except InputError as error:
            if settings.tasks:
                raise
            reasons.append(str(error))
            print(f"left out: {error}")
            continue
        for path, count in written.items():
            print(f"{path}: {count:,} sequences")
    if len(reasons) == len(tasks):
        raise InputError(f"none of the {len(tasks)} tasks of {settings.suite} can be prepared: {reasons[0]}")


def check(settings: CheckSettings) -> None:
    """Print for each task what of it is in the data folder, whether it is right, and what leaks.

    Raises:
        InputError: when there is no such folder, suite or task, or a file is not the one of the catalogue.
    """
    folder = check_folder(settings.data)
    if settings.tasks and not settings.suite:
        raise InputError(f"tasks are {settings.tasks!r}, but no suite is given; say which with --suite")
    suites = [settings.suite] if settings.suite else [row.suite for row in catalogue()]
    tasks = [task for suite in suites for task in chosen_tasks(suite, settings.tasks)]
    states = [check_task(task, folder) for task in tasks]
    some = [state for state in states if state.present]
    if some:
        log_console().print(_state_table(some))
    if len(some) < len(states):
        absent = len(states) - len(some)
        print(f"{absent} of {len(states)} tasks have no file in {folder}; convnova data list shows all")
    partial = [str(state.task) for state in some if state.present < state.expected]
    if partial:
        print(f"{len(partial)} of {len(states)} tasks lack files: {', '.join(partial)}")
    wrong = [sentence for state in states for sentence in state.wrong]
    if wrong:
        more = f"; and {len(wrong) - 1} more in the table" if len(wrong) > 1 else ""
        raise InputError(f"{wrong[0]}; delete the file and fetch it again{more}")


def _suite_table(folder: Path) -> Table:
    table = Table("suite", "tasks", f"in {folder}", "licence", "what")
    for row in catalogue():
        tasks = suite_tasks(row.suite)
        present = sum(_is_present(task, folder) for task in tasks)
        table.add_row(row.suite, str(len(tasks)), str(present), row.licence, row.title)
    return table


def _task_table(tasks: Sequence[Task], folder: Path) -> Table:
    table = Table("task", "train", "validation", "test", "bp", "classes", "metric", "strand", "leaks", "here")
    for task in tasks:
        counts = [_number(task.counts(split)) for split in ("train", "validation", "test")]
        if task.splits == ("all",):
            counts = [_number(task.counts("all")), "by seed", "by seed"]
        table.add_row(
            task.name,
            *counts,
            _lengths(task),
            str(len(task.classes)),
            task.metric,
            "one" if task.has_strand else "either",
            "?" if task.test_in_training is None else str(task.test_in_training),
            "yes" if _is_present(task, folder) else "no",
        )
    table.caption = "leaks: test sequences that are in training too, as published; ?: not known here"
    return table


def _state_table(states: Sequence[TaskState]) -> Table:
    table = Table("task", "files", "as published", "what was found")
    for state in states:
        table.add_row(
            str(state.task),
            f"{state.present} of {state.expected}",
            _agreement(state),
            "\n".join((*state.wrong, *state.findings)),
        )
    return table


def _agreement(state: TaskState) -> str:
    """Return how many files agree with the catalogue, and by what: ``3 by checksum, 1 by counts``."""
    counts = {
        "by checksum": state.matching,
        "by counts": state.counted,
        "unknown": state.present - state.matching - state.counted - len(state.wrong),
        "WRONG": len(state.wrong),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _is_present(task: Task, folder: Path) -> bool:
    try:
        locate(task, folder)
    except InputError:
        return False
    return True


def _number(counts: dict[str, int] | None) -> str:
    return f"{sum(counts.values()):,}" if counts else "?"


def _lengths(task: Task) -> str:
    shortest = [file.length_min_bp for file in task.files if file.length_min_bp is not None]
    longest = [file.length_max_bp for file in task.files if file.length_max_bp is not None]
    if not shortest or not longest:
        return "?"
    return str(min(shortest)) if min(shortest) == max(longest) else f"{min(shortest)}-{max(longest)}"
