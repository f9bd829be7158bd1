"""`convnova compare`: quality, size, speed and memory of several systems in one table, from one run.

OUTPUT/costs.csv        a row a measurement, added as it is made; those that are there are not made again
OUTPUT/quality/         the suite, as `convnova benchmark` leaves it; rates/ where learning rates are chosen
OUTPUT/compare.md       the table, and how time and memory grow with length
OUTPUT/time.png, memory.png
"""

import csv
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from convnova.benchmark.compare_figure import growth_figure
from convnova.benchmark.compare_quality import KMERS, train_all
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.compare_table import Comparison, report, table_of
from convnova.benchmark.costs import KINDS, Cost, Kind, measure_cost, size_of
from convnova.benchmark.suite import models_of
from convnova.console import log_console, plain_table, say
from convnova.errors import InputError, nearest
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.writing import make_folder, write_text

SYSTEMS = {
    "convnova": {"0.5m": "nt-0.5m", "1.7m": "nt"},
    "dnabert": {"0.5m": "dnabert-3-0.5m", "1.7m": "dnabert-3-1.7m"},
    "dnabert2": {"0.5m": "dnabert2-0.5m", "1.7m": "dnabert2-1.7m"},
    "nt": {"0.5m": "nt-v2-0.5m", "1.7m": "nt-v2-1.7m"},
    "hyenadna": {"0.5m": "hyenadna-0.5m", "1.7m": "hyenadna-1.7m"},
    "caduceus-ph": {"0.5m": "caduceus-ph-0.5m", "1.7m": "caduceus-ph-1.7m"},
    "caduceus-ps": {"0.5m": "caduceus-ps-0.5m", "1.7m": "caduceus-ps-1.7m"},
    "cnn": {"0.5m": "cnn", "1.7m": "cnn"},
    "kmers": {"0.5m": "kmers", "1.7m": "kmers"},
}
"""Preset of each system by size."""
COSTS_NAME, TABLE_NAME = "costs.csv", "compare.md"


def compare(settings: CompareSettings, console: Console | None = None) -> Comparison:
    """Measure what is missing of a comparison, write the table, and return all of it.

    Raises:
        InputError: for an unknown system, or a suite that cannot be run.
    """
    console = console or log_console()
    quiet_libraries()
    models = named_models(settings.models, settings.size)
    make_folder(settings.output)
    sizes = {name: size_of(source) for name, source in models.items()}
    costs = _costs(settings, models, console)
    quality = {} if settings.suite is None else train_all(settings, models, costs, console)
    found = Comparison(sizes, costs, quality)
    header, rows = table_of(found)
    console.print(plain_table(header, rows))
    write_text(settings.output / TABLE_NAME, report(settings, found))
    for kind in ("time", "memory"):
        write_figure(settings.output / f"{kind}.png", partial(growth_figure, costs, kind))
    say(console, f"-> {settings.output / TABLE_NAME}")
    return found


def named_models(given: str, size: str) -> dict[str, str]:
    """Return sources by the names of models: of systems at a size, or as ``--model`` takes them.

    Raises:
        InputError: for a name that is no system, with the nearest ones.
    """
    written = []
    for item in filter(None, map(str.strip, given.split(","))):
        if "=" not in item and item not in SYSTEMS:
            near = nearest(item, SYSTEMS) or SYSTEMS
            raise InputError(
                f"there is no system {item!r}; nearest are {', '.join(near)}; others as NAME=preset:NAME"
            )
        written.append(item if "=" in item else f"{item}=preset:{SYSTEMS[item][size]}")
    return models_of(",".join(written))


def _costs(settings: CompareSettings, models: dict[str, str], console: Console) -> list[Cost]:
    """Return the cost of each model at each length, up to the longest that it takes; known ones are read."""
    path, threads = settings.output / COSTS_NAME, settings.threads or torch.get_num_threads()
    known = {(cost.model, cost.kind, cost.length_bp): cost for cost in _read(path)}
    found = []
    for name, source in models.items():
        for kind in KINDS if source != KMERS else KINDS[1:]:
            for length in settings.lengths_bp:
                cost = known.get((name, kind, length))
                if cost is None:
                    cost = measure_cost(name, source, kind, length, settings.most_seconds, threads)
                    _append(path, cost)
                    speed = cost.failure or f"{cost.bp_per_second:,.0f} bp/s, {cost.bytes / 2**20:,.0f} MB"
                    say(console, f"{name}, {kind}, {length:,} bp: {speed}")
                found.append(cost)
                if cost.failure:
                    break
    return found


def _read(path: Path) -> list[Cost]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Cost(
                row["model"],
                _kind(row["kind"]),
                int(row["length_bp"]),
                int(row["batch"]),
                float(row["bp_per_second"]),
                float(row["bytes"]),
                row["failure"],
            )
            for row in csv.DictReader(file)
        ]


def _kind(text: str) -> Kind:
    return "training" if text == "training" else "inference"


def _append(path: Path, cost: Cost) -> None:
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            writer.writerow(Cost._fields)
        writer.writerow(cost)
