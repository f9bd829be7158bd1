"""Ends of a run that are no bug: the command line prints them as one line, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any


class InputError(ValueError):
    """Something given by the user is wrong; the message says where, what, and what to do. Exit status 2."""


class TerminatedError(Exception):
    """The run was asked to end by SIGTERM (exit status 143) or Ctrl-C (130), and can go on where it was."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that an unknown one may mean, for an error to offer; the likeliest first.

    Those that begin with it, or else at most three of similar spelling.
    """
    known = list(known)
    return [one for one in known if name and one.startswith(name)] or get_close_matches(name, known)


def optional(module: str, what: str, extra: str) -> Any:
    """Return a module of a library that only some uses need.

    Args:
        module: its name.
        what: it is needed for, as the error says it.
        extra: of this package that brings it.

    Raises:
        InputError: when it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise InputError(
            f"{package} is needed for {what}; install it with: pip install 'convnova[{extra}]'"
        ) from None
