"""The two principal components of embeddings, as PNG bytes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.benchmark.figures import OUR_COLOURS, THEIR_COLOURS
from convnova.training.figures import COLOURS, new_figure, png, styled

_MOST_LABELS = 10
"""Above which colours cannot be told apart."""
_SIZES = (7, 30)
"""Of points, of many and of few, in square points."""


@styled
def embedding_figure(values: NDArray[np.float32], labels: Sequence[str]) -> bytes:
    """Return where sequences lie along the components of most variance, and how much of it they hold.

    Args:
        values: embeddings, (n, C), of two sequences or more.
        labels: of each, for its colour; of more than ten classes the most frequent nine have their own, and
            more than ten numbers are values on a scale.
    """
    from sklearn.decomposition import PCA

    fitted = PCA(min(2, *values.shape), random_state=0)
    points = fitted.fit_transform(values.astype(np.float64))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    shares = [*fitted.explained_variance_ratio_, 0.0]
    figure, axes = new_figure(6.0, 5.2)
    look: dict[str, Any] = {"s": np.clip(6000 / len(points), *_SIZES), "alpha": 0.6, "lw": 0}
    frequent = [name for name, _ in Counter(labels).most_common()]
    numbers = _numbers(labels) if len(frequent) > _MOST_LABELS else None
    if numbers is not None:
        figure.colorbar(axes.scatter(*points.T, c=numbers, cmap="viridis", **look), label="label")
    elif len(frequent) > 1:
        others = frequent[_MOST_LABELS - 1 :] if len(frequent) > _MOST_LABELS else []
        shown = sorted(set(frequent) - set(others))
        kinds = np.array(["" if label in others else f"={label}" for label in labels])
        for name, colour in zip(shown, (*OUR_COLOURS, *THEIR_COLOURS), strict=False):
            axes.scatter(*points[kinds == f"={name}"].T, color=colour, label=name or "no label", **look)
        if others:
            axes.scatter(*points[kinds == ""].T, color=COLOURS[2], label=f"{len(others):,} others", **look)
        axes.legend(fontsize=8, markerscale=2)
    else:
        axes.scatter(*points.T, color=COLOURS[0], **look)
    axes.set(
        xlabel=f"first component ({shares[0]:.0%} of the variance)",
        ylabel=f"second component ({shares[1]:.0%})",
        title=f"Embeddings of {len(values):,} sequences",
    )
    return png(figure)


def _numbers(labels: Sequence[str]) -> NDArray[np.float64] | None:
    """Return labels as numbers, NaN where there is none; nothing where they are words."""
    try:
        return np.array([float(label or "nan") for label in labels])
    except ValueError:
        return None
