"""Files that appear whole or not at all: they are filled under another name, then renamed."""

import json
import os
from collections.abc import Iterator
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


@contextmanager
def whole_file(path: Path, ending: str = "") -> Iterator[Path]:
    """Give a path to write to; what is there replaces `path` once nothing has failed.

    Args:
        path: the file.
        ending: of the path to write to, for libraries that know a format by it.
    """
    staging = path.with_name(f"{path.name}.incomplete{ending}")
    try:
        yield staging
        with staging.open("r+b") as file:  # on the disk before it has the name, also when power fails
            os.fsync(file.fileno())
        staging.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # a full disk, which knows no file
            error.filename = str(path)
        raise
    finally:
        staging.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of text whole or not at all."""
    with whole_file(path) as staging:
        staging.write_text(text, encoding="utf-8")
