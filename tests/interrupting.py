"""Trainings that are stopped in the middle, by what a user or a cluster does."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest


@contextmanager
def interrupted(
    monkeypatch: pytest.MonkeyPatch, trainer: type, at: int, stop: Callable[[], None]
) -> Iterator[None]:
    """Let what a trainer trains inside run up to a step, in which SIGTERM comes or Ctrl-C is typed."""
    step, steps = trainer.training_step, count(1)

    def training_step(*given):
        if next(steps) == at:
            stop()
        return step(*given)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "training_step", training_step)
        yield


def sigterm() -> None:
    signal.raise_signal(signal.SIGTERM)


def ctrl_c() -> None:
    raise KeyboardInterrupt
