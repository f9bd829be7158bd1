"""Costs in a file, each measured once: a row is used again for the same model, processor and threads."""

import csv
from pathlib import Path

from rich.console import Console

from convnova.benchmark.costs import BASES, FAILED, TOO_LONG, Cost, Kind, measure_cost
from convnova.benchmark.jobs import origin_of
from convnova.console import say
from convnova.errors import InputError
from convnova.training.record import processor

_TEXT = ("model", "origin", "kind", "processor", "failure")
_WHOLE = ("length_bp", "batch", "threads")


class CostTable:
    """The costs that a file has, and those that are added to it as they are measured.

    Raises:
        InputError: when the file is no table of costs.
    """

    def __init__(self, path: Path, threads: int, most_seconds: float, console: Console):
        self._path, self._threads, self._most_seconds = path, threads, most_seconds
        self._console, self._processor = console, processor()
        self._known = _read(path)

    def cost(self, name: str, source: str, kind: Kind, length_bp: int, batch: int | None = None) -> Cost:
        """Return a cost; it is measured where it is not known.

        Args:
            name: of the model.
            source: what it is, as ``--model`` takes it.
            kind: what is done.
            length_bp: of the sequences.
            batch: sequences at once; default as many as have `BASES` bases.
        """
        batch = max(1, BASES // length_bp) if batch is None else batch
        asked = Cost(name, origin_of(source), kind, length_bp, batch, self._threads, self._processor)
        for known in reversed(self._known):
            if known[: len(_ASKED)] == asked[: len(_ASKED)] and not self._is_worth_another_try(known):
                return known
        found = measure_cost(asked, source, self._most_seconds)
        self._known.append(found)
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not file.tell():
                writer.writerow(Cost._fields)
            writer.writerow(found)
        speed = found.failure or f"{found.bp_per_second:,.0f} bp/s, {found.bytes / 2**20:,.0f} MB"
        say(self._console, f"{name}, {kind}, {batch} x {length_bp:,} bp: {speed}")
        return found

    def _is_worth_another_try(self, known: Cost) -> bool:
        """Return whether a failure was a crash, or of another limit of time."""
        is_other_limit = known.failure != f"{TOO_LONG} {self._most_seconds:g} s"
        return known.failure.startswith(FAILED) or (known.failure.startswith(TOO_LONG) and is_other_limit)


_ASKED = Cost._fields[: Cost._fields.index("bp_per_second")]
"""What tells one measurement from another."""


def _read(path: Path) -> list[Cost]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != Cost._fields:
            raise InputError(
                f"{path}: its columns are not {', '.join(Cost._fields)}; choose another output folder"
            )
        return [_cost(path, number, row) for number, row in enumerate(rows, start=2)]


def _cost(path: Path, line: int, row: dict[str, str]) -> Cost:
    try:
        values = {
            name: int(row[name]) if name in _WHOLE else float(row[name]) for name in set(row) - {*_TEXT}
        }
        return Cost(**{name: row[name] for name in _TEXT} | values)  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError):
        raise InputError(
            f"{path}, line {line}: is no measurement; remove the line, and it is made again"
        ) from None
