"""Arrays on the disk, one after another as they are made, so that a run that was stopped can go on.

::

    OUTPUT.partial    a line of JSON, what the arrays depend on; then of each its shape and its values
"""

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from transformers.utils import CONFIG_NAME

from convnova.console import say
from convnova.data.table import counted
from convnova.errors import InputError
from convnova.genome.files import file_checksum
from convnova.inference.saved_task import TASK_NAME
from convnova.writing import naming

_SHAPE_BYTES, _VALUE_BYTES = 16, 4
Item = TypeVar("Item")


class Partial:
    """What a run of a model has made so far, arrays (n, K), and an earlier run with the same settings too.

    Nothing is written, and nothing of other settings removed, before the first array. An array that was cut
    short is made again.
    """

    def __init__(self, output: Path, model: Path, *made_of: Any):
        """Begin, or go on.

        Args:
            output: what the run writes; the arrays wait beside it.
            model: folder of the model that they are of.
            made_of: what else they depend on, as JSON has it; where it was something else they are made anew.
        """
        self._path = output.with_name(f"{output.name}.partial")
        text = json.dumps([_checksums(model), *made_of])
        self._begin = text.ljust((len(text) // 16 + 1) * 16 - 1).encode() + b"\n"  # values at whole places
        self._ends = array("q", [len(self._begin)])
        """Where each array ends, after where the first one begins."""
        self.rows = 0
        """How many rows all arrays have."""
        self._given = 0
        self._is_other = False
        self._mapped: NDArray[np.uint8] | None = None
        if self._path.exists():
            self._find()

    def _find(self) -> None:
        """Find the arrays that are there, and cut off what is none."""
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            self._is_other = file.read(len(self._begin)) != self._begin
            while not self._is_other and self._ends[-1] <= size - _SHAPE_BYTES:
                file.seek(self._ends[-1])
                rows, columns = (int(one) for one in np.fromfile(file, np.int64, 2))
                end = self._ends[-1] + _SHAPE_BYTES + _VALUE_BYTES * rows * columns
                if end > size:
                    break
                self._ends.append(end)
                self.rows += rows
        if not self._is_other:
            os.truncate(self._path, self._ends[-1] if len(self) else 0)

    def tell(self, console: Console, noun: str | None = None) -> None:
        """Say where a run goes on, in rows that are called so, or that it begins anew."""
        if len(self):
            where = "where it was stopped" if noun is None else f"after {counted(self.rows, noun)}"
            say(console, f"goes on {where}")
        elif self._is_other:
            say(console, f"begins anew: {self._path.name} is of another model or input, or of other settings")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        begin, end = self._ends[number], self._ends[number + 1]
        if self._mapped is None or end > len(self._mapped):
            self._mapped = np.memmap(self._path, np.uint8, "r")
        shape = self._mapped[begin : begin + _SHAPE_BYTES].view(np.int64)
        return self._mapped[begin + _SHAPE_BYTES : end].view(np.float32).reshape(shape)

    def add(self, values: NDArray[np.floating]) -> None:
        """Keep one more array, (n, K).

        Raises:
            InputError: when another run has written there.
        """
        rows, columns = values.shape
        if self._is_other:
            self._path.unlink()
            self._is_other = False
        end = self._path.stat().st_size if self._path.exists() else 0
        if end != (self._ends[-1] if len(self) else 0):
            raise InputError(
                f"{self._path}: another run writes it too; end one of them, or give it another output"
            )
        begin = b"" if end else self._begin
        try:
            with naming(self._path), self._path.open("ab") as file:
                file.write(begin + np.array([rows, columns], np.int64).tobytes())
                file.write(np.ascontiguousarray(values, np.float32).data)
        except OSError:  # a full disk
            os.truncate(self._path, end)
            if not end:
                self.remove()
            raise
        self._ends.append(self._ends[-1] + _SHAPE_BYTES + _VALUE_BYTES * rows * columns)
        self.rows += rows

    def filled(
        self, items: Iterable[Item], make: Callable[[Item], NDArray[np.floating]]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Yield each item with its array: the next that is there, or else one that is made and kept.

        Another call goes on where the one before ended.
        """
        for item in items:
            if self._given == len(self):
                self.add(make(item))
            yield item, self[self._given]
            self._given += 1

    def remove(self) -> None:
        """Remove the arrays, once they are elsewhere."""
        self._mapped = None
        self._path.unlink(missing_ok=True)


def made_of_each(
    items: Iterable[Item], make: Callable[[Item], NDArray[np.floating]]
) -> Iterator[tuple[Item, NDArray[np.floating]]]:
    """Yield each item with its array, as `Partial.filled` does, and keep none."""
    for item in items:
        yield item, make(item)


def _checksums(model: Path) -> dict[str, str | None]:
    """Return the checksums of the files in the folder of a model that its outputs depend on."""
    of_weights = (".safetensors", ".bin")
    described = (CONFIG_NAME, TASK_NAME)
    paths = sorted(path for path in model.iterdir() if path.suffix in of_weights or path.name in described)
    return {path.name: file_checksum(path) for path in paths}
