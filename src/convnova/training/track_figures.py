"""Figures of a model of many tracks: how well each is predicted, by group and beside a baseline."""

from typing import Any

import numpy as np

from convnova.evaluation.scores import METRIC_NAMES
from convnova.evaluation.track_scores import TrackScores
from convnova.training.figures import COLOURS, new_figure, png, styled

_NO_GROUP = "tracks"
_CHANCE = {"auroc": 0.5, "pearson": 0.0, "spearman": 0.0}
_NUMBER = {"ha": "center", "fontsize": 9, "bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5}}


@styled
def track_figure(scores: TrackScores) -> bytes:
    """Return both scores of each track as points by group, with the median of each, as PNG."""
    groups = np.array([group or _NO_GROUP for group in scores.groups])
    names = list(dict.fromkeys(groups[scores.is_scored]))
    figure, panels = new_figure(max(6.4, 2.4 + 1.1 * len(names)), 4.2, 1, ncols=2)
    rng = np.random.default_rng(0)  # spreads points of one group
    for axes, (metric, values) in zip(panels, scores.by_metric.items(), strict=True):
        ticks = []
        for place, name in enumerate(names):
            own = values[(groups == name) & scores.is_scored]
            spread = place + rng.uniform(-0.28, 0.28, len(own))
            axes.plot(spread, own, "o", ms=3, alpha=0.45, mew=0, color=COLOURS[0])
            median = float(np.median(own))
            axes.hlines(median, place - 0.36, place + 0.36, color=COLOURS[1], lw=2)
            axes.annotate(f"{median:.3f}", (place, median), (0, 5), textcoords="offset points", **_NUMBER)
            ticks.append(f"{name}\n({len(own)})")
        axes.set_xticks(range(len(names)), ticks)
        axes.set(xlim=(-0.6, len(names) - 0.4), title=f"{_short(metric)} of each track")
        _add_chance(axes, metric)
    return png(figure)


@styled
def baseline_figure(scores: TrackScores, baseline: TrackScores, name: str) -> bytes:
    """Return both scores of each track against those of a baseline, as PNG; above the line ours is better."""
    figure, panels = new_figure(8.4, 4.2, 1, ncols=2)
    for axes, (metric, values) in zip(panels, scores.by_metric.items(), strict=True):
        own, other = values[scores.is_scored], baseline.by_metric[metric][scores.is_scored]
        axes.plot(other, own, "o", ms=4, alpha=0.5, mew=0, color=COLOURS[0])
        ends = [min(own.min(), other.min()), max(own.max(), other.max())]
        axes.plot(ends, ends, color=COLOURS[2], lw=1, ls="--")
        better = int((own > other).sum())
        axes.set(xlabel=name, ylabel="model", title=f"{_short(metric)}: {better} of {len(own)} tracks better")
    return png(figure)


def _short(metric: str) -> str:
    return METRIC_NAMES[metric].removesuffix(" correlation")


def _add_chance(axes: Any, metric: str) -> None:
    if metric in _CHANCE:
        axes.axhline(_CHANCE[metric], color=COLOURS[2], lw=1, ls="--")
