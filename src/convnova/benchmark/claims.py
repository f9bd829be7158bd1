"""Jobs of an output folder that this process may run: several processes share one, each job has a lock.

The lock ends with its process, however that ends, so a killed process leaves nothing behind.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock, Timeout

from convnova.benchmark.jobs import Work, is_finished
from convnova.benchmark.results import RESULT_NAME
from convnova.console import duration

AnyWork = TypeVar("AnyWork", bound=Work)

POLL_SECONDS = 2.0
"""Time between two looks at the jobs of another process."""


class Claims(Generic[AnyWork]):
    """Jobs that are not finished; `take` hands out one that nobody else is at."""

    def __init__(self, jobs: Sequence[AnyWork], output: Path):
        self.output = output
        self.waiting = list(jobs)
        """Neither taken nor known to be finished."""
        self._all, self._done, self._began = list(jobs), 0, time.perf_counter()
        self._locks: dict[Path, FileLock] = {}

    def take(self) -> AnyWork | None:
        """Return the first job that is free, now ours; None when others are at all that are left.

        Raises:
            InputError: when another process finished one under other settings.
        """
        for job in list(self.waiting):
            folder = job.folder(self.output)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self.waiting.remove(job)
            if is_finished(job, self.output):
                lock.release()
                continue
            self._locks[folder] = lock
            return job
        return None

    def in_turn(self) -> Iterator[AnyWork]:
        """Yield what is free, one after another, until nothing is left; wait where others are at all of it.

        Raises:
            InputError: as `take` does.
        """
        while self.waiting:
            if (job := self.take()) is not None:
                yield job
            elif self.waiting:
                self.pause()

    def how_far(self) -> str:
        """Return how much is done, by whom it may be, and how long the rest takes at the speed so far."""
        still_open = sum(not _has_result(job, self.output) for job in self._all)
        left = (time.perf_counter() - self._began) / max(self._done, 1) * still_open
        return f"{len(self._all) - still_open} of {len(self._all)}, about {duration(left)} left"

    def pause(self) -> None:
        """Wait until it is worth to ask again."""
        time.sleep(POLL_SECONDS)

    def give_back(self, job: AnyWork) -> None:
        """Open the lock of a job, when its result is written, or when it failed."""
        self._done += _has_result(job, self.output)
        self._locks.pop(job.folder(self.output)).release()

    def close(self) -> None:
        """Open all locks that are left, also after an error."""
        while self._locks:
            self._locks.popitem()[1].release()


def _has_result(job: Work, output: Path) -> bool:
    return (job.folder(output) / RESULT_NAME).exists()
