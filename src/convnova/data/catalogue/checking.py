"""Whether the files of a task are there, are the right ones, and what is suspicious about them."""

from pathlib import Path
from typing import NamedTuple

from convnova.data.catalogue.checksums import has_published_layout, recorded_checksum, what_is_wrong
from convnova.data.catalogue.describe import describe_file
from convnova.data.catalogue.folder import find_file, prepare_command, prepared_path
from convnova.data.catalogue.loading import load_published
from convnova.data.catalogue.tables import DataFile, Task
from convnova.errors import InputError


class TaskState(NamedTuple):
    """What a data folder holds of a task."""

    task: Task
    expected: int
    """Files that the task has; of Genomic Benchmarks those of the form that is there, and other sequences."""
    present: int
    """Files that are there."""
    matching: int
    """Files whose checksum is the catalogue's, or that of the first fetch."""
    counted: int
    """Files in another layout, or of no known checksum, that hold as many sequences of each class as the
    catalogue says."""
    wrong: tuple[str, ...]
    """Files that are not those of the catalogue, one sentence each."""
    findings: tuple[str, ...]
    """What the quality report says of a complete task, or what is missing."""


def check_task(task: Task, folder: Path) -> TaskState:
    """Return what a data folder holds of a task; nothing is refused."""
    sequences = [file for split in task.splits for file in task.files_of(split)]
    intervals = [file for file in task.files if file.form == "intervals"]
    found = {file.local: path for file in sequences + intervals if (path := find_file(file, folder))}
    ready = [file for file in sequences if file.local in found]
    there = [file for file in intervals if file.local in found]
    is_complete = len(ready) == len(sequences)
    is_intervals = bool(there) and not is_complete and (not ready or len(there) == len(intervals))
    files = intervals + ready if is_intervals else sequences
    wrong, matching, counted = [], 0, 0
    for file in files:
        if path := found.get(file.local):
            reason = _why_other(path, file, task, folder)
            is_known = bool(file.sha256) or recorded_checksum(file, folder) is not None
            if reason:
                wrong.append(f"{path}: {reason}")
            elif is_known and has_published_layout(path, file):
                matching += 1
            elif file.class_counts:
                counted += 1
    missing = [file.local for file in files if file.local not in found]
    findings: tuple[str, ...] = ()
    if missing:
        findings = (f"missing: {', '.join(missing)}",)
    elif is_intervals and not prepared_path(task, "test", folder).exists():
        command = prepare_command(task.suite, task.name, folder, task.assemblies)
        findings = (f"the sequences are not built from the intervals yet: {command}",)
    elif not wrong:
        findings = _quality(task, folder)
    return TaskState(task, len(files), len(files) - len(missing), matching, counted, tuple(wrong), findings)


def other_files(task: Task, folder: Path) -> list[str]:
    """Return which sequence files of a task, of those that are there, are not the published ones, and why."""
    files = [file for split in task.splits for file in task.files_of(split)]
    there = [(file, path) for file in files if (path := find_file(file, folder))]
    reasons = [(file.local, _why_other(path, file, task, folder)) for file, path in there]
    return [f"{local}: {reason}" for local, reason in reasons if reason]


def _why_other(path: Path, file: DataFile, task: Task, folder: Path) -> str | None:
    """Return why a file is not the one of the catalogue; None where nothing speaks against it."""
    return what_is_wrong(path, file, folder) or _other_counts(path, file, task)


def _other_counts(path: Path, file: DataFile, task: Task) -> str | None:
    """Return a sentence where a file of another layout holds other sequences than the table says."""
    if not file.class_counts or (file.sha256 and has_published_layout(path, file)):
        return None
    try:
        counts = describe_file(file, path, task)["class_counts"]
    except InputError as error:
        return str(error)
    expected = " ".join(f"{name}:{count}" for name, count in file.class_counts.items())
    return None if counts == expected else f"it holds {counts}, the catalogue says {expected}"


def _quality(task: Task, folder: Path) -> tuple[str, ...]:
    try:
        loaded = load_published(task, folder)
    except InputError as error:
        return (str(error),)
    return tuple(loaded.report.lines())
