"""The two principal components of embeddings, as PNG bytes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convnova.benchmark.figures import OUR_COLOURS, THEIR_COLOURS
from convnova.training.figures import COLOURS, new_figure, png, styled

_MOST_LABELS = 10
"""Above which colours cannot be told apart."""


@styled
def embedding_figure(values: NDArray[np.float32], labels: Sequence[str]) -> bytes:
    """Return where sequences lie along the components of most variance, and how much of it they hold.

    Args:
        values: embeddings, (n, C), of two sequences or more.
        labels: of each, for its colour; with more than ten of them all have one colour.
    """
    from sklearn.decomposition import PCA

    fitted = PCA(min(2, *values.shape), random_state=0)
    points = fitted.fit_transform(values.astype(np.float64))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    shares = [*fitted.explained_variance_ratio_, 0.0]
    figure, axes = new_figure(6.0, 5.2)
    known = sorted(set(labels))
    colours = (*OUR_COLOURS, *THEIR_COLOURS)
    if 1 < len(known) <= min(_MOST_LABELS, len(colours)):
        for name, colour in zip(known, colours, strict=False):
            own = np.array([label == name for label in labels])
            axes.scatter(*points[own].T, s=7, color=colour, alpha=0.6, lw=0, label=name)
        axes.legend(fontsize=8, markerscale=2)
    else:
        axes.scatter(*points.T, s=7, color=COLOURS[0], alpha=0.6, lw=0)
    axes.set(
        xlabel=f"first component ({shares[0]:.0%} of the variance)",
        ylabel=f"second component ({shares[1]:.0%})",
        title=f"Embeddings of {len(values):,} sequences",
    )
    return png(figure)
