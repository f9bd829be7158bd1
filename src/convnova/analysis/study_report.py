"""What the reports of studies and of receptive fields share: how differences are shown, and three files."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from convnova.analysis.study_settings import StudySettings
from convnova.data.table import counted
from convnova.evaluation.statistics import FEWEST_SIGNS, PairedComparison
from convnova.training.figures import write_figure
from convnova.training.record import processor
from convnova.writing import write_csv, write_text

DIFFERENCE_NOTE = (
    "Difference and its 95 % interval are of the paired t over seeds, which takes differences between seeds "
    f"for normal; so is p, with {FEWEST_SIGNS} seeds and more of a sign-flip test. They tell of the spread "
    "between seeds, not of that of the test set; no p is corrected for the number of comparisons."
)


def made_with(settings: StudySettings) -> str:
    """Return what a study was made with, as a line of its report."""
    return f"{settings.model}, {counted(settings.seeds, 'seed')}. {processor()}, torch {torch.__version__}."


def difference_shown(found: PairedComparison | None) -> list[str]:
    """Return a difference, its 95 % interval and its p value, times 100, as three cells of a table."""
    if found is None:
        return ["", "", ""]
    low, high = found.interval
    interval = "" if math.isnan(low) else f"{100 * low:+.1f} to {100 * high:+.1f}"
    return [f"{100 * found.difference:+.1f}", interval, "" if math.isnan(found.p) else f"{found.p:.3f}"]


def difference_numbers(found: PairedComparison | None) -> list[Any]:
    """Return difference, both ends of its 95 % interval, p of the t test and p of the signs, for CSV."""
    return [""] * 5 if found is None else [found.difference, *found.interval, found.p_t, found.p_signs]


def write_report(
    path: Path, lines: Sequence[str], table: Sequence[Sequence[Any]], draw: Callable[[], bytes]
) -> None:
    """Write a report, its numbers and its figure as .md, .csv and .png; the path is without its ending."""
    write_text(path.with_suffix(".md"), "\n".join(lines))
    write_csv(path.with_suffix(".csv"), table)
    write_figure(path.with_suffix(".png"), draw)
