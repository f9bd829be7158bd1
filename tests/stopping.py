"""A run that is stopped while it makes the arrays of a `Partial`."""

from contextlib import contextmanager

import pytest

from convnova.inference.partial import Partial


@contextmanager
def stopped_after(count, monkeypatch):
    """Expect that what runs here is stopped once so many arrays are kept."""
    add, added = Partial.add, []

    def interrupted(self, values):
        if len(added) == count:
            raise KeyboardInterrupt
        added.append(len(values))
        add(self, values)

    with monkeypatch.context() as patch:
        patch.setattr(Partial, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield


@contextmanager
def counted(monkeypatch):
    """Give a list that gets the number of rows of each array that is made."""
    add, made = Partial.add, []
    with monkeypatch.context() as patch:
        patch.setattr(Partial, "add", lambda self, values: (made.append(len(values)), add(self, values)))
        yield made
