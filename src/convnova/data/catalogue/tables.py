"""The catalogue of public data sets: four tables beside this file, and their rows as objects.

    suites.csv    one row a suite: title, where it is described, licence, citation
    tasks.csv     one row a task: metric, classes, strand, what published.csv calls it
    files.csv     one row a file: where it is, where it lies in a data folder, checksum, counts
    genomes.csv   assemblies that interval files refer to

Checksums, sizes, counts, lengths and leakage are computed by ``convnova.data.catalogue.describe`` from the
files themselves; an empty cell says that nobody here has seen the file. A checksum is of the content,
decompressed, so that ``train.csv`` and ``train.csv.gz`` have the same.
"""

import csv
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from convnova.errors import InputError, nearest

SPLITS = ("train", "validation", "test")


class DataSet(NamedTuple):
    """A suite of tasks that are reported together: a row of ``suites.csv``."""

    suite: str
    """Name of the suite, as ``--suite`` takes it."""
    title: str
    """The suite in words."""
    url: str
    """Where it is described."""
    licence: str
    """Licence of the data, ``not stated`` where its authors state none."""
    citation: str
    """What to cite."""
    note: str
    """What a reader of results must know."""


class Reference(NamedTuple):
    """An assembly that intervals refer to: a row of ``genomes.csv``."""

    genome: str
    """Its name."""
    organism: str
    """Whose genome it is."""
    sizes_bp: str
    """Length of some of its chromosomes, ``chr1:248956422``, by which it is told from other assemblies."""
    url: str
    """The FASTA that the set's authors used."""
    note: str
    """Other names of the assembly, other files with the same sequence."""


@dataclass(frozen=True)
class DataFile:
    """A published file of a task: a row of ``files.csv``."""

    suite: str
    task: str
    split: str
    """``train``, ``validation`` or ``test``; ``all`` where no split is published."""
    class_name: str
    """Class of every sequence in the file; empty where the file itself holds labels."""
    form: str
    """``sequences``, or ``intervals`` of `genome`."""
    format: str
    """``csv``, ``parquet``, ``fasta``, ``fasta-label`` (class behind ``|``), ``uci``, or ``intervals``."""
    genome: str
    """Assembly of the intervals, a row of ``genomes.csv``."""
    local: str
    """Where `fetch` puts it in a data folder."""
    also: tuple[str, ...]
    """Where else it may lie: other layouts of the same file."""
    sources: tuple[str, ...]
    """Where it can be fetched, best first: an URL, or ``hub:owner/name@revision/path``."""
    sha256: str
    """Of the decompressed content; empty where nobody here has seen the file."""
    size_bytes: int | None
    """Size of the decompressed content."""
    sequences: int | None
    class_counts: dict[str, int]
    """Number of sequences of each class."""
    length_min_bp: int | None
    length_max_bp: int | None


@dataclass(frozen=True)
class Task:
    """A task of a suite: a row of ``tasks.csv`` and its files."""

    suite: str
    name: str
    """Its name in the suite: ``tf/3``."""
    metric: str
    """What the suite reports: ``mcc``, ``f1`` (macro), ``accuracy``."""
    has_strand: bool
    """Whether a sequence is read on one strand (promoters, splice sites); where not, the reverse complement
    of a sequence has the same label."""
    classes: tuple[str, ...]
    """Names by class id; the ids themselves where no names are published."""
    published_suite: str
    """Its suite in the table of published numbers; empty where it has none."""
    published_task: str
    """Its name in the table of published numbers."""
    test_in_training: int | None
    """Test sequences that are in a training file too (either strand), as published; None: not known."""
    note: str
    files: tuple[DataFile, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.suite} {self.name}"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are published; ``("all",)`` where none is."""
        present = {file.split for file in self.files}
        return tuple(split for split in (*SPLITS, "all") if split in present)

    def files_of(self, split: str, form: str = "sequences") -> tuple[DataFile, ...]:
        """Return the files of a split, in the order of the table."""
        return tuple(file for file in self.files if file.split == split and file.form == form)

    @property
    def assemblies(self) -> tuple[str, ...]:
        """The assemblies that its intervals refer to; none where it has no intervals."""
        return tuple(dict.fromkeys(file.genome for file in self.files if file.genome))

    def counts(self, split: str) -> dict[str, int] | None:
        """Return the number of sequences of each class of a split as published, or None where not known."""
        for form in ("sequences", "intervals"):
            chosen = self.files_of(split, form)
            if chosen and all(file.class_counts for file in chosen):
                names = dict.fromkeys(name for file in chosen for name in file.class_counts)
                return {name: sum(file.class_counts.get(name, 0) for file in chosen) for name in names}
        return None


@cache
def catalogue() -> tuple[DataSet, ...]:
    """Return every suite of the catalogue."""
    return tuple(DataSet(**row) for row in _rows("suites.csv"))


@cache
def references() -> dict[str, Reference]:
    """Return the assemblies that interval files refer to, by name."""
    return {row["genome"]: Reference(**row) for row in _rows("genomes.csv")}


def find_reference(name: str) -> Reference:
    """Return an assembly by its name.

    Raises:
        InputError: when there is no such assembly.
    """
    known = references()
    if name not in known:
        raise InputError(
            f"there is no assembly {name!r}; there are {', '.join(known)}{_guess(name, list(known))}"
        )
    return known[name]


def suite_tasks(suite: str) -> tuple[Task, ...]:
    """Return the tasks of a suite, in the order of the table.

    Raises:
        InputError: when there is no such suite.
    """
    names = [row.suite for row in catalogue()]
    if suite not in names:
        raise InputError(f"there is no suite {suite!r}; there are {', '.join(names)}{_guess(suite, names)}")
    return tuple(task for task in _tasks() if task.suite == suite)


def find_task(suite: str, name: str) -> Task:
    """Return a task by its name in a suite.

    Raises:
        InputError: when there is no such suite or task.
    """
    tasks = {task.name: task for task in suite_tasks(suite)}
    if name not in tasks:
        raise InputError(
            f"suite {suite} has no task {name!r}; it has {', '.join(tasks)}{_guess(name, list(tasks))}"
        )
    return tasks[name]


def chosen_tasks(suite: str, names: str) -> tuple[Task, ...]:
    """Return the tasks of a suite that are named, with commas between, each once; all when none is.

    Raises:
        InputError: when there is no such suite or task.
    """
    named = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    return tuple(find_task(suite, name) for name in named) or suite_tasks(suite)


@cache
def _tasks() -> tuple[Task, ...]:
    of_task: dict[tuple[str, str], list[DataFile]] = {}
    for row in _rows("files.csv"):
        of_task.setdefault((row["suite"], row["task"]), []).append(_data_file(row))
    return tuple(
        Task(
            suite=row["suite"],
            name=row["task"],
            metric=row["metric"],
            has_strand=row["strand"] == "one",
            classes=tuple(row["classes"].split()),
            published_suite=row["published_suite"],
            published_task=row["published_task"],
            test_in_training=_number(row["test_in_training"]),
            note=row["note"],
            files=tuple(of_task[row["suite"], row["task"]]),
        )
        for row in _rows("tasks.csv")
    )


def _data_file(row: dict[str, str]) -> DataFile:
    counts = (count.rsplit(":", 1) for count in row["class_counts"].split())
    return DataFile(
        suite=row["suite"],
        task=row["task"],
        split=row["split"],
        class_name=row["class"],
        form=row["form"],
        format=row["format"],
        genome=row["genome"],
        local=row["local"],
        also=tuple(row["also"].split()),
        sources=tuple(row["sources"].split()),
        sha256=row["sha256"],
        size_bytes=_number(row["size_bytes"]),
        sequences=_number(row["sequences"]),
        class_counts={name: int(count) for name, count in counts},
        length_min_bp=_number(row["length_min_bp"]),
        length_max_bp=_number(row["length_max_bp"]),
    )


def _number(cell: str) -> int | None:
    return int(cell) if cell else None


def _rows(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _guess(given: str, names: list[str]) -> str:
    close = nearest(given, names)
    return f"; did you mean {close[0]!r}?" if close else ""
