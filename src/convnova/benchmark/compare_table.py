"""The tables of `convnova compare`: what each system reaches and costs, and how that grows with length."""

import math
import sys
from collections.abc import Sequence
from datetime import date
from statistics import fmean
from typing import NamedTuple

import torch

from convnova.benchmark.compare_quality import Quality, spread
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.costs import BASES, KINDS, Cost, Kind, Size, growth
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.sheets import score_text
from convnova.benchmark.suite import command_line
from convnova.data.table import counted
from convnova.precision import resolve_precision
from convnova.training.record import processor, source_commit

SHOWN_BP = 1024
"""Length at which the table shows speed and memory."""
RATIOS_BP = (1024, 8192, 32_768)
"""Lengths at which the first model is set against each other one."""


class Comparison(NamedTuple):
    """What was measured."""

    sizes: dict[str, Size]
    costs: list[Cost]
    quality: dict[str, Quality]
    """By model; empty without a suite."""


def table_of(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table; speeds are beside those of the first model."""
    first = next(iter(found.sizes))
    is_chosen = any(one.learning_rate is not None for one in found.quality.values())
    header = ["model", *(["score"] if found.quality else []), *(["rate"] if is_chosen else [])]
    header += ["parameters", "mult-adds/bp", "training bp/s", "of first", "inference bp/s", "of first"]
    header += ["training MB", "longest training", "longest inference"]
    rows = []
    for name, size in found.sizes.items():
        row = [name]
        if found.quality:
            quality = found.quality[name]
            row.append(score_text(quality.mean, quality.sd, 100))
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


def _quality(settings: CompareSettings, found: Comparison) -> list[str]:
    """Return the lines on what each model reached on each task, and how it was trained."""
    trained = {name: one for name, one in found.quality.items() if not one.failure}
    tasks = list(dict.fromkeys(task for one in trained.values() for task in one.tasks))
    header = ["model", *tasks, "mean", "epochs"]
    rows = []
    for name, one in trained.items():
        scores = [score_text(fmean(one.tasks[task]), spread(one.tasks[task]), 100) for task in tasks]
        epochs = [one.epochs[task] for task in tasks]
        rows.append(
            [
                *(name, *scores, score_text(one.mean, one.sd, 100)),
                " to ".join(dict.fromkeys(f"{one:.2g}" for one in (min(epochs), max(epochs)))),
            ]
        )
    lines = [f"## {settings.suite}: test scores x 100, mean ± sd over {counted(settings.seeds, 'seed')}", ""]
    lines += [*markdown_table(header, rows), ""]
    most = settings.training.most_steps
    limit = counted(settings.training.epochs, "epoch") + ("" if most is None else f", at most {most:,} steps")
    budget = (
        limit
        if settings.minutes is None
        else f"as many steps as each makes in {60 * settings.minutes:g} s by what was measured, but at most "
        f"{limit}; validation is not counted"
    )
    lines += [f"All from random weights, with one trainer, the best epoch on validation. Budget: {budget}."]
    if settings.learning_rates:
        tried = ", ".join(f"{rate:g}" for rate in settings.learning_rates)
        lines += [f"Each learning rate is the best of {tried} on validation: first seed, mean over tasks."]
    lines += [f"{name} was not trained: {one.failure}" for name, one in found.quality.items() if one.failure]
    return [*lines, "Scores with intervals, published values and settings: quality/report.md.", ""]


def _ratios(found: Comparison) -> list[str]:
    """Return the lines on how many times faster and smaller the first model is than each other."""
    first, *others = found.sizes
    lengths = [length for length in RATIOS_BP if _at(found.costs, first, "inference", length)]
    if not others or not lengths:
        return []
    header = ["model"]
    header += [f"{kind}, {length // 1024} kb" for kind in KINDS for length in lengths]
    rows = [
        [name]
        + [
            _times(_at(found.costs, first, kind, length), _at(found.costs, name, kind, length))
            for kind in KINDS
            for length in lengths
        ]
        for name in others
    ]
    lines = [f"## {first} against each", ""]
    lines += ["How many times as fast, and how many times less memory beside the weights:", ""]
    return [*lines, *markdown_table(header, rows), ""]


def _times(ours: Cost | None, theirs: Cost | None) -> str:
    """Return speed and memory ratio, or what ended the other one."""
    if ours is None or ours.failure or theirs is None:
        return "-"
    if theirs.failure:
        return theirs.failure.partition(" (")[0]
    speed, memory = ours.bp_per_second / theirs.bp_per_second, theirs.bytes / max(ours.bytes, 1.0)
    return f"{speed:.1f}, {memory:.1f}"


def _power(exponent: float) -> str:
    return "-" if math.isnan(exponent) else f"{exponent:.2f}"


def report(settings: CompareSettings, found: Comparison) -> str:
    """Return all tables as Markdown."""
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
    precision = resolve_precision("auto")
    lines = [
        *("# Systems compared", ""),
        f"`{command_line(sys.argv[1:])}`",
        *(
            "",
            f"{processor()}, {counted(threads, 'thread')}, {precision}, torch {torch.__version__}, "
            f"{date.today()}" + (f", commit {commit}." if (commit := source_commit()) else "."),
            "",
        ),
        *markdown_table(header, rows),
        "",
    ]
    lines += [
        f"Speeds are of sequences of {SHOWN_BP:,} bp, and beside those of the first model. Parameters are "
        "those in use. Multiply-adds are of matrix products and convolutions over 1 kb, or the longest "
        "sequence that a model reads, as PyTorch counts them: scans and Fourier transforms are in none. MB "
        f"is what a pass over {BASES:,} bases, or one sequence that is longer, holds at its peak without the "
        "weights. A longest length is one of those asked for. A regression on k-mers is solved at once: it "
        "has no step of training. A system of one length is counted at 1 kb.",
        "",
        *(_quality(settings, found) if found.quality else []),
        *_ratios(found),
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
