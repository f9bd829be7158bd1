"""The errors that a user can mend; the command line prints them as one line and exits with status 2."""


class InputError(ValueError):
    """Something given by the user is wrong; the message says where, what, and what to do."""
