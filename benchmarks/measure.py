"""What every benchmark shares: interleaved timing, the line about the machine, tables and saved results."""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from convnova.training.record import processor

RESULTS = Path(__file__).parent / "results"

Contender = Callable[[], Any]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every benchmark has: ``--quick`` and ``--save``."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="sizes that end in seconds; shows that it runs, measures nothing"
    )
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json")
    return parser


def machine() -> dict[str, Any]:
    """Return what a number means nothing without: date, processor, threads, versions."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def machine_line() -> str:
    """Return `machine` as one line of text."""
    facts = machine()
    return (
        f"{facts['date']}, {facts['processor']}, {facts['threads']} threads, {facts['instructions']}, "
        f"torch {facts['torch']}, Python {facts['python']}"
    )


def seconds(contender: Contender) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    contender()
    return time.perf_counter() - began


def interleaved(contenders: Mapping[str, Contender], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Return the seconds of each call, by contender, one of each a round: A B A B ...

    Whatever else the machine does in the meantime then falls on all of them alike.
    """
    for _ in range(warmup):
        for contender in contenders.values():
            contender()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(seconds(contender))
    return times


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return how many times faster ours is: the median over rounds of theirs / ours in the same round."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths))
    return "\n".join([lines[0], rule + "|", *lines[1:]])


def report(
    name: str, settings: Mapping[str, Any], header: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Print the machine, the settings and the table of one benchmark."""
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    print(f"\n{name}: {shown}\n{machine_line()}\n\n{markdown_table(header, rows)}\n", flush=True)


def save(name: str, result: Mapping[str, Any]) -> Path:
    """Write a result, with the machine it was measured on, and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    print(f"saved {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path
