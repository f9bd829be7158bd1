"""Tracks for a genome browser: many bigWig files filled side by side, in constant memory.

pybigtools pulls the values of one file from an iterator until it ends. Here values of many files arrive
together, tile by tile, so each file has a thread that is fed through a short queue.

    tile ──► runs of equal values ──► queue ──► thread ──► track.bw
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError, optional
from convnova.writing import whole_file

Run = tuple[str, int, int, float]
_QUEUED_TILES = 4


@contextmanager
def bigwig_files(paths: Iterable[Path], sizes: Mapping[str, int]) -> Iterator[list["BigWigFile"]]:
    """Give bigWig files to add values to; each is there, whole, once nothing has failed.

    Args:
        paths: the files.
        sizes: length in bp of each chromosome.

    Raises:
        InputError: when pybigtools is missing.
    """
    library = bigwig_library()
    with ExitStack() as stack:
        files = []
        for path in paths:
            staging = stack.enter_context(whole_file(path, ".bw"))
            file = BigWigFile(library, path, staging, dict(sizes))
            stack.push(file.finish)  # before its thread runs: a signal may come at any step
            file.start()
            files.append(file)
        yield files


def bigwig_library() -> ModuleType:
    """Return pybigtools.

    Raises:
        InputError: when it is missing.
    """
    return optional("pybigtools", "bigWig", "tracks")


class BigWigFile:
    """One file that is being filled."""

    def __init__(self, library: Any, path: Path, staging: Path, sizes: dict[str, int]):
        self._library, self._path, self._staging = library, path, staging
        self._runs: queue.Queue[list[Run] | None] = queue.Queue(_QUEUED_TILES)
        self._error: BaseException | None = None
        writer = library.open(str(staging), "w")
        self._thread = threading.Thread(target=self._write, args=(writer, sizes), daemon=True)

    def start(self) -> None:
        """Begin to write what is added."""
        self._thread.start()

    def finish(self, *error: object) -> None:
        """Wait until the file is written, and check it unless there was an error."""
        self._put(None)
        if self._thread.is_alive():
            self._thread.join()
        if error[0] is None:
            self._check()

    def add(self, chromosome: str, start: int, values: NDArray[np.floating]) -> None:
        """Add the values of a stretch; stretches come in order, chromosome by chromosome.

        Args:
            chromosome: where it lies.
            start: its first base, 0-based.
            values: one for each base, (L,). Neighbours with the same value become one run, and runs of 0 are
                left out, so rounded values make a small file.
        """
        if len(values):
            self._put(_runs(chromosome, start, values))

    def add_bins(
        self,
        chromosome: str,
        starts: NDArray[np.integer],
        ends: NDArray[np.integer],
        values: NDArray[np.floating],
    ) -> None:
        """Add the values of bins of one chromosome, in order, (b,); each becomes a run, also one of 0."""
        self._put(_rows(chromosome, starts, ends, values))

    def _check(self) -> None:
        """Open what was written: pybigtools prints some errors and raises none."""
        if self._error is None:
            try:
                self._library.open(str(self._staging))
                return
            except Exception as error:
                self._error = error
        raise InputError(f"{self._path}: the bigWig could not be written ({self._error}); is the disk full?")

    def _put(self, runs: list[Run] | None) -> None:
        """Hand runs over; a thread that failed takes no more."""
        while self._thread.is_alive():
            try:
                return self._runs.put(runs, timeout=1)
            except queue.Full:
                continue

    def _write(self, writer: Any, sizes: dict[str, int]) -> None:
        try:
            writer.write(sizes, self._taken(sizes))
        except BaseException as error:  # told where the file is used
            self._error = error

    def _taken(self, sizes: dict[str, int]) -> Iterator[Run]:
        is_empty = True
        while (runs := self._runs.get()) is not None:
            yield from runs
            is_empty = is_empty and not runs
        if is_empty:  # pybigtools makes no file of no value
            yield next(iter(sizes)), 0, 1, 0.0


def _runs(chromosome: str, start: int, values: NDArray[np.floating]) -> list[Run]:
    """Return runs of equal values, those of 0 left out."""
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    last = np.append(first[1:], len(values))
    kept = values[first] != 0
    return _rows(chromosome, first[kept] + start, last[kept] + start, values[first[kept]])


def _rows(chromosome: str, *columns: NDArray[Any]) -> list[Run]:
    """Return columns of starts, ends and values as runs."""
    return [(chromosome, *run) for run in zip(*(column.tolist() for column in columns), strict=True)]
