"""Scores of labels, one a base, from a table of counts that is small however long the genome is.

K labels, n bases.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError


class LabelScores(NamedTuple):
    """Scores of one label against all others."""

    name: str
    precision: float
    """Share of the bases called so that are so; NaN where none is called so."""
    recall: float
    """Share of the bases that are so that are called so; NaN where none is so."""
    f1: float
    """Harmonic mean of the two; NaN where no base is or is called so."""
    n: int
    """Bases that are so."""


class ConfusionScores(NamedTuple):
    """Scores of the calls of all bases."""

    mcc: float
    """Matthews correlation coefficient of K labels, R_K; 0 where all bases are, or are called, the same.

    Source: Gorodkin 2004, Comput. Biol. Chem. 28:367.
    """
    accuracy: float
    """Share of bases that are called what they are."""
    labels: tuple[LabelScores, ...]
    """Of each label."""


def confusion(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Return how many bases of each label (row) are called each label (column), (K, K).

    Tables of several stretches are added up.

    Args:
        labels: true ones, 0 to K - 1, of any shape; bases with one below 0, as -100, are not counted.
        predictions: what each base is called, of the same shape.
        classes: K.

    Raises:
        InputError: for shapes that differ, or a label that is none of the K.
    """
    if labels.shape != predictions.shape:
        raise InputError(
            f"labels of shape {labels.shape}, predictions of shape {predictions.shape}; give one a base"
        )
    is_counted = labels >= 0
    truth, called = labels[is_counted].astype(np.int64), predictions[is_counted].astype(np.int64)
    if truth.size and (max(truth.max(), called.max()) >= classes or called.min() < 0):
        raise InputError(
            f"labels up to {truth.max()}, predictions from {called.min()} to {called.max()}; "
            f"{classes} labels are numbered from 0 to {classes - 1}"
        )
    return np.bincount(truth * classes + called, minlength=classes**2).reshape(classes, classes)


def scores_of_confusion(matrix: NDArray[np.integer], names: Sequence[str]) -> ConfusionScores:
    """Return the scores of a table of counts.

    Args:
        matrix: as from `confusion`, (K, K).
        names: of the labels, K of them.

    Raises:
        InputError: when no base was counted, or names do not fit.
    """
    if matrix.shape != (len(names), len(names)):
        raise InputError(f"a confusion matrix of shape {matrix.shape} does not fit {len(names)} labels")
    if not matrix.sum():
        raise InputError("no base has a label; give at least one")
    # Products of counts of a large genome are beyond int64.
    right, true, called = (
        part.astype(np.float64) for part in (matrix.diagonal(), matrix.sum(1), matrix.sum(0))
    )
    total = true.sum()
    spread = (total**2 - (true**2).sum()) * (total**2 - (called**2).sum())
    covariance = right.sum() * total - (true * called).sum()
    return ConfusionScores(
        mcc=float(covariance / math.sqrt(spread)) if spread else 0.0,
        accuracy=float(right.sum() / total),
        labels=tuple(
            LabelScores(name, share(r, c), share(r, t), share(2 * r, c + t), int(t))
            for name, r, t, c in zip(names, right.tolist(), true.tolist(), called.tolist(), strict=True)
        ),
    )


def merged(matrix: NDArray[np.integer], into: Sequence[int]) -> NDArray[np.int64]:
    """Return the table of fewer labels, (J, J), of one of K.

    Args:
        matrix: as from `confusion`, (K, K).
        into: the label, 0 to J - 1, that each of the K becomes.
    """
    onto = np.eye(max(into) + 1, dtype=np.int64)[list(into)]
    return onto.T @ matrix @ onto


def share(part: float, whole: float) -> float:
    """Return what part of a whole something is; NaN of nothing."""
    return part / whole if whole else math.nan
