"""The computed columns of the catalogue, from files in a data folder.

``python -m convnova.data.catalogue.describe --data FOLDER`` fills checksum, size, counts and lengths of every
file that the folder holds, and test sequences that are in training too; it leaves the other rows as they are.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from convnova.data.catalogue.checksums import content_sha256, has_published_layout
from convnova.data.catalogue.folder import find_file, locate
from convnova.data.catalogue.intervals import read_intervals
from convnova.data.catalogue.loading import read_file, read_settings, source_of
from convnova.data.catalogue.tables import DataFile, Task, catalogue, suite_tasks
from convnova.data.duplicates import same_sequence_groups
from convnova.data.label_scheme import LabelScheme
from convnova.data.reading import read_sequences
from convnova.errors import InputError

Cells = dict[tuple[str, ...], dict[str, str]]
"""Computed cells by the key of their row."""


def describe_file(file: DataFile, path: Path, task: Task) -> dict[str, str]:
    """Return the computed columns of a file, as ``files.csv`` holds them."""
    if file.form == "intervals":
        frame = read_intervals(path)
        lengths = (frame["end"] - frame["start"]).to_numpy()
        counts = {file.class_name: len(lengths)}
    else:
        table = read_file(file, path, task)
        lengths = table.ids.lengths
        scheme = LabelScheme.infer(table, "single-label", task.classes) if not file.class_name else None
        counts = {file.class_name: len(table)}
        if scheme is not None:
            ids, numbers = np.unique(scheme.encode(table), return_counts=True)
            counts = {task.classes[index]: int(number) for index, number in zip(ids, numbers, strict=True)}
    columns = {
        "sequences": str(len(lengths)),
        "class_counts": " ".join(f"{name}:{count}" for name, count in counts.items()),
        "length_min_bp": str(lengths.min()),
        "length_max_bp": str(lengths.max()),
    }
    if has_published_layout(path, file):
        sha256, size = content_sha256(path)
        columns |= {"sha256": sha256, "size_bytes": str(size)}
    return columns


def count_test_in_training(task: Task, folder: Path) -> int | None:
    """Return how many test sequences are in a training or validation file too, on either strand.

    None where no split is published, or a file is missing.
    """
    try:
        files = locate(task, folder)
    except InputError:
        return None
    if files.test is None:
        return None
    parts = [part for part in (files.test, files.train, files.validation) if part is not None]
    ids = [read_sequences(source_of(part), read_settings(task)).ids for part in parts]
    groups = same_sequence_groups(ids)
    return int(np.isin(groups[0], np.concatenate(groups[1:])).sum())


def describe(folder: Path, tables: Path | None = None) -> int:
    """Fill the computed columns of ``files.csv`` and ``tasks.csv``; return how many files were seen.

    Args:
        folder: a data folder, in any layout.
        tables: folder of the two tables; by default this one.
    """
    tables = tables or Path(__file__).parent
    tasks = [task for row in catalogue() for task in suite_tasks(row.suite)]
    measured: Cells = {
        (file.suite, file.task, file.local): describe_file(file, path, task)
        for task in tasks
        for file in task.files
        if (path := find_file(file, folder))
    }
    shared: Cells = {
        (task.suite, task.name): {"test_in_training": str(count)}
        for task in tasks
        if (count := count_test_in_training(task, folder)) is not None
    }
    _fill(tables / "files.csv", ("suite", "task", "local"), measured)
    _fill(tables / "tasks.csv", ("suite", "task"), shared)
    return len(measured)


def _fill(path: Path, key: tuple[str, ...], cells: Cells) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row | cells.get(tuple(row[name] for name in key), {}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a data folder")
    print(f"{describe(parser.parse_args().data)} files described")
