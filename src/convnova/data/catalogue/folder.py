"""A data folder: which file of a task lies where, in any of the layouts the files are published in.

DATA/gue/tf/3/train.csv                     where `fetch` puts it
DATA/gue/tf/3/train.csv.gz                  the same, compressed
DATA/GUE/tf/3/train.csv                     the official archive, unpacked into DATA
DATA = …/GUE: DATA/tf/3/train.csv           the archive itself given as DATA
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convnova.data.catalogue.tables import DataFile, Task
from convnova.errors import InputError

PREPARED = "prepared"
"""Folder in a data folder for what `prepare` builds."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split of a task."""

    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    """Class of all sequences of each file, one a path; empty where the files hold labels."""
    formats: tuple[str, ...] = ()
    """Format of each file as the catalogue calls it."""


@dataclass(frozen=True)
class TaskFiles:
    """A task resolved to files on disk."""

    task: Task
    folder: Path
    train: SplitFiles
    """Everything, where no split is published: `is_split` is then False."""
    validation: SplitFiles | None
    """None where the suite publishes none: a share of `train` then serves."""
    test: SplitFiles | None
    """None only where no split is published."""

    @property
    def is_split(self) -> bool:
        """Whether train and test are published; otherwise they are drawn by seed, 80/10/10."""
        return self.test is not None


def default_folder() -> Path:
    """Return ``$CONVNOVA_DATA``, or ``convnova/data`` in the user's cache where that is not set."""
    if given := os.environ.get("CONVNOVA_DATA"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convnova" / "data"


def locate(task: Task, folder: str | Path | None = None) -> TaskFiles:
    """Return where the files of a task lie in a data folder.

    Args:
        task: as `suite_tasks` or `find_task` return it.
        folder: the data folder; by default `default_folder`.

    Raises:
        InputError: when the folder or a file is missing; it says which, how to fetch it, where to put it.
    """
    folder = check_folder(folder)
    found = {split: _find_split(task, split, folder) for split in task.splits}
    missing = [file for split, files in found.items() if files is None for file in task.files_of(split)]
    missing = [file for file in missing if find_file(file, folder) is None]
    if missing:
        raise InputError(_missing(task, missing, folder))
    return TaskFiles(
        task,
        folder,
        train=found.get("train") or found.get("all") or SplitFiles((), ()),
        validation=found.get("validation"),
        test=found.get("test"),
    )


def check_folder(folder: str | Path | None) -> Path:
    """Return the data folder that is meant.

    Raises:
        InputError: when it is no folder.
    """
    chosen = default_folder() if folder is None else Path(folder)
    if not chosen.is_dir():
        how = "is no folder" if chosen.exists() else "no such folder"
        raise InputError(
            f"{chosen}: {how}; give the folder of the data sets with --data, or set CONVNOVA_DATA, "
            "or fill one with: convnova data fetch --suite SUITE --data FOLDER"
        )
    return chosen


def find_file(file: DataFile, folder: Path) -> Path | None:
    """Return where a file of the catalogue lies in a data folder, in any layout; None when it is missing."""
    return next((path for path in _candidates(file, folder) if path.is_file()), None)


def prepared_path(task: Task, split: str, folder: Path) -> Path:
    """Return where `prepare` puts the sequences of a split."""
    return folder / PREPARED / task.suite / task.name / f"{split}.parquet"


def prepare_command(suite: str, tasks: str, folder: Path, genomes: Iterable[str]) -> str:
    """Return the command that builds sequences from intervals, with a place for each FASTA."""
    chosen = f" --tasks {tasks}" if tasks else ""
    return f"convnova data prepare --suite {suite}{chosen} --data {folder} {genome_flag(genomes)}"


def genome_flag(names: Iterable[str]) -> str:
    """Return the flag for the FASTA of each assembly: ``--genome GRCh38=FASTA,WBcel235=FASTA``."""
    return "--genome " + ",".join(f"{name}=FASTA" for name in names)


def _find_split(task: Task, split: str, folder: Path) -> SplitFiles | None:
    """Return the files of a split, or None when one is missing."""
    files = task.files_of(split)
    paths = [find_file(file, folder) for file in files]
    present = [path for path in paths if path is not None]
    if len(present) == len(files):
        classes = tuple(file.class_name for file in files if file.class_name)
        return SplitFiles(tuple(present), classes, tuple(file.format for file in files))
    prepared = prepared_path(task, split, folder)
    return SplitFiles((prepared,), (), ("parquet",)) if prepared.is_file() else None


def _candidates(file: DataFile, folder: Path) -> list[Path]:
    paths = []
    for written in (file.local, *file.also):
        for name in dict.fromkeys(
            (written, f"{written.removesuffix('.gz')}.gz", written.removesuffix(".gz"))
        ):
            first, *rest = PurePosixPath(name).parts
            paths.append(folder / name)
            if rest and folder.name == first:
                paths.append(folder.joinpath(*rest))
    return paths


def _missing(task: Task, missing: list[DataFile], folder: Path) -> str:
    places = ", ".join(dict.fromkeys(file.local for file in missing[:4]))
    more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
    said = f"{task}: not in {folder}: {places}{more}"
    intervals = [file for file in task.files if file.form == "intervals"]
    if intervals and all(find_file(file, folder) for file in intervals):
        command = prepare_command(task.suite, task.name, folder, task.assemblies)
        return f"{said}; its intervals are there: build the sequences with {command}"
    if all(file.sources for file in missing):
        command = f"convnova data fetch --suite {task.suite} --tasks {task.name} --data {folder}"
        return f"{said}; fetch with: {command}; or put the files there, plain or gzip"
    return f"{said}; put the files there, plain or gzip (no stable place to fetch them is known)"
