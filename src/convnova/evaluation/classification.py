"""Scores of a classifier with the interval of its AUROC, in one row.

n sequences, K classes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.evaluation.bootstrap import bootstrap_interval
from convnova.evaluation.scores import score


class ClassificationScores(NamedTuple):
    """Scores of one classifier on one set of labelled sequences."""

    auroc: float
    """Area under the ROC curve; with more than two classes the mean over classes, each against the rest."""
    auroc_low: float
    """Lower end of the bootstrap interval of `auroc`."""
    auroc_high: float
    """Upper end of the bootstrap interval of `auroc`."""
    auprc: float
    """Average precision; with more than two classes the mean over classes."""
    mcc: float
    """Matthews correlation coefficient of the most probable class."""
    f1: float
    """F1 of the most probable class, the mean over classes."""
    accuracy: float
    """Share of sequences whose most probable class is the true one."""
    n: int
    """Number of sequences."""


def score_classifier(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    resamples: int = 1000,
    coverage: float = 0.95,
    seed: int = 0,
) -> ClassificationScores:
    """Return the scores of predicted class probabilities.

    Args:
        labels: true classes, (n,).
        probabilities: of each class, (n, K).
        resamples: bootstrap samples of sequences for the interval of AUROC; 0 leaves it NaN.
        coverage: share of bootstrap samples inside the interval.
        seed: of the bootstrap.

    Raises:
        InputError: when fewer than two classes are among the labels, or shapes do not fit.
    """
    labels = np.asarray(labels)
    if probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise InputError(
            f"{len(labels)} labels but probabilities of shape {probabilities.shape}; give (n, classes)"
        )
    kind = "single_label_classification"
    scores = score(kind, labels, probabilities)
    interval = bootstrap_interval(kind, "auroc", labels, probabilities, resamples, coverage, seed)
    return ClassificationScores(
        auroc=scores["auroc"],
        auroc_low=interval.low,
        auroc_high=interval.high,
        auprc=scores["auprc"],
        mcc=scores["mcc"],
        f1=scores["f1"],
        accuracy=scores["accuracy"],
        n=len(labels),
    )
