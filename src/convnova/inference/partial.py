"""Arrays on the disk, one after another as they are made, so that a run that was stopped can go on.

::

    OUTPUT.partial    a line of JSON, what the arrays depend on; then of each its shape and its values
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convnova.writing import naming

_SHAPE_BYTES, _VALUE_BYTES = 16, 4
Item = TypeVar("Item")


class Partial:
    """What a run has made so far, arrays (n, K); those of an earlier run with the same settings are there.

    Nothing is written before the first array. An array that was cut short is made again.
    """

    def __init__(self, output: Path, *made_of: Any):
        """Begin, or go on.

        Args:
            output: what the run writes; the arrays wait beside it.
            made_of: what they depend on, as JSON has it; where it was something else they are made anew.
        """
        self._path = output.with_name(f"{output.name}.partial")
        text = json.dumps(made_of)
        self._begin = text.ljust((len(text) // 16 + 1) * 16 - 1).encode() + b"\n"  # values at whole places
        self._places: list[tuple[int, tuple[int, int]]] = []
        self._given = 0
        self._mapped: NDArray[np.uint8] | None = None
        if self._path.exists():
            self._find()

    def _find(self) -> None:
        """Find the arrays that are there, and cut off what is none."""
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            end = len(self._begin) if file.read(len(self._begin)) == self._begin else 0
            while 0 < end <= size - _SHAPE_BYTES:
                file.seek(end)
                rows, columns = (int(one) for one in np.fromfile(file, np.int64, 2))
                after = end + _SHAPE_BYTES + _VALUE_BYTES * rows * columns
                if after > size:
                    break
                self._places.append((end + _SHAPE_BYTES, (rows, columns)))
                end = after
        os.truncate(self._path, end if self._places else 0)

    @property
    def rows(self) -> int:
        """How many rows all arrays have."""
        return sum(rows for _, (rows, _) in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        place, shape = self._places[number]
        end = place + _VALUE_BYTES * shape[0] * shape[1]
        if self._mapped is None or end > len(self._mapped):
            self._mapped = np.memmap(self._path, np.uint8, "r")
        return self._mapped[place:end].view(np.float32).reshape(shape)

    def add(self, values: NDArray[np.floating]) -> None:
        """Keep one more array, (n, K)."""
        rows, columns = values.shape
        end = self._path.stat().st_size if self._path.exists() else 0
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
        self._places.append((end + len(begin) + _SHAPE_BYTES, (rows, columns)))

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
