"""The learning curve of a pretraining run, and the style that all figures of the package share.

Nothing here touches pyplot: the backend and the settings of whoever calls stay as they were.
"""

import csv
import functools
import importlib.util
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from convnova.evaluation.masked_lm import Summary
from convnova.training.metrics import METRICS_NAME
from convnova.training.record import SCORES_NAME, read_scores
from convnova.writing import whole_file

P = ParamSpec("P")

FIGURE_NAME = "learning_curve.png"
BASES = "ACGT"
BASE_COLOURS = {"A": "#2a9d4b", "C": "#2b6cb0", "G": "#e0a100", "T": "#c8323c"}
COLOURS = ("#1b4965", "#e07a2f", "#7a7a7a")
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.dpi": 130,
}


def write_learning_curve(run: Path) -> Path | None:
    """Draw the learning curve of a run into its folder, and return its path.

    None, and no file, where matplotlib is not installed or the run has logged nothing.
    """
    if importlib.util.find_spec("matplotlib") is None or not (run / METRICS_NAME).exists():
        return None
    path = run / FIGURE_NAME
    path.write_bytes(learning_curve(run))
    return path


def write_figure(path: Path, draw: Callable[[], bytes]) -> None:
    """Draw a figure into a file, whole or not at all; not at all where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is not None:
        with whole_file(path) as staging:
            staging.write_bytes(draw())


def styled(draw: Callable[P, bytes]) -> Callable[P, bytes]:
    """Return a figure function that draws in the package's style, and leaves matplotlib's as it was."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> bytes:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return in_style


@styled
def learning_curve(run: Path) -> bytes:
    """Return the learning curve of a run as PNG, with what counting reaches on the same bases as lines.

    Args:
        run: folder with metrics.csv and, once the run has ended, scores.json.
    """
    train, validation = _curves(run)
    scores = _validation_scores(run)
    counting = [row for row in scores if not row.model.startswith(("ConvNova", "uniform"))]
    ours = [row for row in scores if row.model == "ConvNova"]
    last = max(epoch for epoch, _ in train + validation)

    figure, axes = new_figure(6.4, 3.8)
    if train:
        axes.plot(*zip(*train, strict=True), color=COLOURS[0], alpha=0.35, lw=1, label="training")
    if validation:
        axes.plot(*zip(*validation, strict=True), "o-", color=COLOURS[0], lw=2, label="validation")
    for row in ours:
        label = f"validation, at the end: {row.bits_per_base:.3f}"
        axes.plot(last, row.bits_per_base, "o", ms=11, mfc="none", mec=COLOURS[1], ls="", label=label)
    for row in counting:
        axes.axhline(row.bits_per_base, color=COLOURS[2], lw=1, ls="--")
        axes.annotate(
            f"{row.model}: {row.bits_per_base:.3f}",
            (last, row.bits_per_base),
            ha="right",
            va="bottom",
            fontsize=8,
            color="#555555",
        )
    # The axis follows validation and the lines: a training loss of few bases would stretch it.
    values = [bits for _, bits in validation] + [row.bits_per_base for row in counting + ours]
    values = values or [bits for _, bits in train]
    axes.set_ylim(min(values) - 0.015, max(values) + 0.035)
    axes.set(xlabel="epoch", ylabel="bits per base", title="Predicting hidden bases")
    axes.legend(loc="upper right", fontsize=8, bbox_to_anchor=(1, 1.02))
    return png(figure)


def new_figure(width: float, height: float, rows: int = 1, **layout: Any) -> tuple[Any, Any]:
    """Return a figure, in inches, and its axes: one, or an array of one a row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, **layout)


def png(figure: Any) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _curves(run: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return (epoch, bits per base) of training and of validation."""
    with (run / METRICS_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    train = [(float(row["epoch"]), float(row["loss"]) / math.log(2)) for row in rows if row["loss"]]
    return train, [
        (float(row["epoch"]), float(row["eval_bits_per_base"])) for row in rows if row["eval_bits_per_base"]
    ]


def _validation_scores(run: Path) -> list[Summary]:
    return read_scores(run).get("validation", []) if (run / SCORES_NAME).exists() else []
