"""The terminal, or the file in its place."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box, progress
from rich.console import Console
from rich.table import Table

LOG_WIDTH = 160


def log_console() -> Console:
    """Return the terminal; a file or a pipe gets lines long enough for the longest names of a table."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def say(console: Console, line: str) -> None:
    """Print one line as it is: no colours, no line breaks inside."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Table:
    """Return a table without vertical lines; numbers stand right of the first columns, which are words."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far something is, and give what moves the bar on."""
    columns = (progress.BarColumn(), progress.TaskProgressColumn(), progress.TimeRemainingColumn())
    with progress.Progress(
        progress.TextColumn(f"  {what}"), *columns, console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, advance=done)


def duration(seconds: float) -> str:
    """Return a time in words: ``2 h 5 min``, ``3 min 20 s``, ``7 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
