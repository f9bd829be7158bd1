"""Files that appear whole or not at all: they are filled under another name, then renamed."""

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convnova.errors import InputError


def make_folder(path: Path) -> None:
    """Make a folder, and those above it; one that is there is kept.

    Raises:
        InputError: when it cannot be made, or nothing can be written to it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(path, os.W_OK) else "no permission to write"
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        raise InputError(f"{path}: cannot be used for output ({reason}); choose another place")


def make_place(path: Path, *inputs: str | Path | None) -> None:
    """Make the folder of a file that will be written: better now than after hours.

    Args:
        path: the file.
        inputs: files that are read, which must be others.

    Raises:
        InputError: when it cannot be made or written to, or the path is that of a folder or an input.
    """
    make_folder(path.parent)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    check_other(path, *inputs)


def check_new(path: Path, overwrite: bool) -> None:
    """Check that an output is not there yet, or may be replaced.

    Raises:
        InputError: when it is there and may not.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path}: already exists; give another name, or --overwrite to replace it")


def check_other(path: Path, *inputs: str | Path | None) -> None:
    """Check that a file to write is none of those that are read.

    Raises:
        InputError: when it is one.
    """
    if any(one is not None and Path(one).resolve() == path.resolve() for one in inputs):
        raise InputError(f"{path}: is named twice, to read and write or to write; name another")


@contextmanager
def whole_file(path: Path, ending: str = "") -> Iterator[Path]:
    """Give a path to write to; what is there replaces `path` once nothing has failed.

    Args:
        path: the file.
        ending: of the path to write to, for libraries that know a format by it.
    """
    staging = path.with_name(f"{path.name}.incomplete{ending}")
    try:
        with naming(path):
            yield staging
            with staging.open("r+b") as file:  # on the disk before it has the name, also when power fails
                os.fsync(file.fileno())
            staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error that names no file, as that of a full disk, name the one that is written.

    Raises:
        InputError: in place of one of a library, which says even less.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise InputError(
                f"{path}: cannot be written ({error}); free some space, or choose another place"
            ) from None
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def whole_zarr(path: Path) -> Iterator[Path]:
    """Give a folder to write a Zarr group to; it replaces `path` once nothing has failed.

    Raises:
        InputError: when there is something else of that name.
    """
    if path.exists() and not (path / "zarr.json").exists():
        raise InputError(f"{path}: is no Zarr group, and is not replaced by one; give another name")
    make_folder(path.parent)
    staging = path.with_name(f"{path.name}.incomplete")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with naming(path):
            yield staging
            shutil.rmtree(path, ignore_errors=True)
            staging.rename(path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinity, which JSON does not know, become null."""
    write_text(path, json.dumps(_strict(content), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of text whole or not at all."""
    with whole_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all; the first row is its header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _strict(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
