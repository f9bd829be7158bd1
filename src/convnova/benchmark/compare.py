"""`convnova compare`: quality, size, speed and memory of several systems in one table, from one run.

OUTPUT/costs.csv        a row a measurement, added as it is made; those that are there are not made again
OUTPUT/quality/         the suite, as `convnova benchmark` leaves it; rates/ where learning rates are chosen
OUTPUT/compare.md       the table, and how time and memory grow with length
OUTPUT/time.png, memory.png
"""

import csv
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from convnova.benchmark.compare_figure import growth_figure
from convnova.benchmark.compare_quality import KMERS, Quality, train_all
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.costs import BASES, KINDS, Cost, Kind, Size, growth, measure_cost, size_of
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.suite import models_of
from convnova.console import log_console, plain_table, say
from convnova.errors import InputError, nearest
from convnova.training.arguments import quiet_libraries
from convnova.training.record import processor
from convnova.writing import make_folder, whole_file, write_text

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
SHOWN_BP = 1024
"""Length at which the table shows speed and memory."""


class Comparison(NamedTuple):
    """What was measured."""

    sizes: dict[str, Size]
    costs: list[Cost]
    quality: dict[str, Quality]
    """By model; empty without a suite."""


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
    write_text(settings.output / TABLE_NAME, _report(settings, found))
    if importlib.util.find_spec("matplotlib") is not None:
        for kind in ("time", "memory"):
            with whole_file(settings.output / f"{kind}.png") as staging:
                staging.write_bytes(growth_figure(costs, kind))
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


def table_of(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table; speeds are beside those of the first model."""
    first = next(iter(found.sizes))
    is_chosen = any(one.learning_rate for one in found.quality.values())
    header = ["model", *(["mean score"] if found.quality else []), *(["learning rate"] if is_chosen else [])]
    header += ["parameters", "multiply-adds a bp"]
    header += [f"training, {SHOWN_BP:,} bp: bp/s", "of the first", "inference: bp/s", "of the first"]
    header += ["training: MB", "longest, training", "longest, inference"]
    rows = []
    for name, size in found.sizes.items():
        row = [name]
        if found.quality:
            quality = found.quality[name]
            spread = "" if math.isnan(quality.sd) else f" ± {100 * quality.sd:.1f}"
            row.append(f"{100 * quality.mean:.1f}{spread}")
            row += [f"{quality.learning_rate:g}" if quality.learning_rate else "-"] if is_chosen else []
        row += [f"{size.parameters:,}", f"{size.multiply_adds_per_bp:,.0f}"]
        for kind in KINDS:
            ours, theirs = (_at(found.costs, one, kind, SHOWN_BP) for one in (first, name))
            row += [_shown(theirs, "bp_per_second"), _ratio(theirs, ours)]
        row.append(_shown(_at(found.costs, name, "training", SHOWN_BP), "bytes"))
        row += [_longest(found.costs, name, kind) for kind in KINDS]
        rows.append(row)
    return header, rows


def _at(costs: Sequence[Cost], name: str, kind: Kind, length: int) -> Cost | None:
    return next((c for c in costs if (c.model, c.kind, c.length_bp) == (name, kind, length)), None)


def _shown(cost: Cost | None, what: str) -> str:
    if cost is None or cost.failure:
        return "-"
    return f"{cost.bp_per_second:,.0f}" if what == "bp_per_second" else f"{cost.bytes / 2**20:,.0f}"


def _ratio(theirs: Cost | None, ours: Cost | None) -> str:
    if theirs is None or ours is None or theirs.failure or ours.failure:
        return "-"
    return f"{theirs.bp_per_second / ours.bp_per_second:.2f}"


def _longest(costs: Sequence[Cost], name: str, kind: Kind) -> str:
    """Return the longest length that was possible, and what ended it; a dash where none was tried."""
    own = [cost for cost in costs if (cost.model, cost.kind) == (name, kind)]
    possible = [cost.length_bp for cost in own if not cost.failure]
    ended = next((f", then {cost.failure.partition(' (')[0]}" for cost in own if cost.failure), "")
    return f"{max(possible):,} bp{ended}" if possible else ended.removeprefix(", then ") or "-"


def _about_rates(settings: CompareSettings) -> list[str]:
    if not settings.learning_rates:
        return []
    tried = ", ".join(f"{rate:g}" for rate in settings.learning_rates)
    return [f"Each learning rate is the best of {tried} on validation: first seed, mean over tasks.", ""]


def _power(exponent: float) -> str:
    return "-" if math.isnan(exponent) else f"{exponent:.2f}"


def _report(settings: CompareSettings, found: Comparison) -> str:
    header, rows = table_of(found)
    threads = settings.threads or torch.get_num_threads()
    growths = [
        [name]
        + [
            _power(growth([c for c in found.costs if (c.model, c.kind) == (name, kind)], what))
            for kind in KINDS
            for what in ("seconds", "bytes")
        ]
        for name in found.sizes
    ]
    lines = ["# Systems compared", "", f"{processor()}, {threads} threads, torch {torch.__version__}.", ""]
    lines += [*markdown_table(header, rows), ""]
    lines += [
        "Parameters are those in use. Multiply-adds are of matrix products and convolutions over 1 kb, or "
        "the longest sequence that a model reads, as PyTorch counts them: scans and Fourier transforms are "
        f"in none. MB is what a pass over {BASES:,} bases, or one sequence that is longer, holds at its peak "
        "without the weights. A regression on k-mers is solved at once: it has no step of training.",
        "",
        *_about_rates(settings),
        "## Growth with length",
        "",
        "Time and memory of a sequence grow as its length to this power, over the longer half of lengths:",
        "",
    ]
    growth_header = ["model", *(f"{kind}, {what}" for kind in KINDS for what in ("time", "memory"))]
    lines += [*markdown_table(growth_header, growths), "", "## Each measurement", ""]
    lines += markdown_table(
        ["model", "pass", "bp", "batch", "bp/s", "MB", ""],
        [
            [
                cost.model,
                cost.kind,
                f"{cost.length_bp:,}",
                str(cost.batch),
                _shown(cost, "bp_per_second"),
                _shown(cost, "bytes"),
                cost.failure,
            ]
            for cost in found.costs
        ],
    )
    return "\n".join(lines) + "\n"
