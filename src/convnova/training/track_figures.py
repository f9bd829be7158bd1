"""The figure of a model of many tracks: how well each is predicted, by group."""

import numpy as np

from convnova.evaluation.track_scores import TrackScores
from convnova.training.figures import COLOURS, new_figure, png, styled

_NO_GROUP = "tracks"
_NUMBER = {"ha": "center", "fontsize": 9, "bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5}}


@styled
def track_figure(scores: TrackScores) -> bytes:
    """Return AUROC and AUPRC of each track as points by group, with the median of each, as PNG."""
    groups = np.array([group or _NO_GROUP for group in scores.groups])
    names = list(dict.fromkeys(groups[~np.isnan(scores.auroc)]))
    figure, panels = new_figure(2.4 + 1.1 * len(names), 4.2, 1, ncols=2)
    rng = np.random.default_rng(0)  # spreads points of one group
    for axes, what, values in zip(panels, ("AUROC", "AUPRC"), (scores.auroc, scores.auprc), strict=True):
        ticks = []
        for place, name in enumerate(names):
            own = values[(groups == name) & ~np.isnan(values)]
            spread = place + rng.uniform(-0.28, 0.28, len(own))
            axes.plot(spread, own, "o", ms=3, alpha=0.45, mew=0, color=COLOURS[0])
            median = float(np.median(own))
            axes.hlines(median, place - 0.36, place + 0.36, color=COLOURS[1], lw=2)
            axes.annotate(f"{median:.3f}", (place, median), (0, 5), textcoords="offset points", **_NUMBER)
            ticks.append(f"{name}\n({len(own)})")
        axes.set_xticks(range(len(names)), ticks)
        axes.set(xlim=(-0.6, len(names) - 0.4), title=f"{what} of each track")
    panels[0].axhline(0.5, color=COLOURS[2], lw=1, ls="--")
    return png(figure)
