"""The terminal, or the file in its place."""

from rich.console import Console

LOG_WIDTH = 160


def log_console() -> Console:
    """Return the terminal; a file or a pipe gets lines long enough for the longest names of a table."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def say(console: Console, line: str) -> None:
    """Print one line as it is: no colours, no line breaks inside."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)
