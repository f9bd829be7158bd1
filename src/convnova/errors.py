"""Ends of a run that are no bug: the command line prints them as one line, without a traceback."""


class InputError(ValueError):
    """Something given by the user is wrong; the message says where, what, and what to do. Exit status 2."""


class TerminatedError(Exception):
    """The run was asked to end by SIGTERM, and has saved what it needs to go on. Exit status 143."""
