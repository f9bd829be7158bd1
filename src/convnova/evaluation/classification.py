"""Scores of a classifier, by scikit-learn's formulas.

n sequences, K classes.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError


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


def metrics_library() -> ModuleType:
    """Return `sklearn.metrics`.

    Raises:
        InputError: when scikit-learn is not installed; the message says how to get it.
    """
    try:
        import sklearn.metrics
    except ImportError:
        raise InputError(
            "scikit-learn is needed for scores; install it with: pip install 'convnova[report]'"
        ) from None
    return sklearn.metrics


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
    if len(np.unique(labels)) < 2:
        raise InputError("only one class is among the labels; scores need at least two")
    metrics = metrics_library()
    is_class = np.arange(probabilities.shape[1]) == labels[:, None]
    classes = [1] if probabilities.shape[1] == 2 else list(range(probabilities.shape[1]))
    predicted = probabilities.argmax(axis=1)
    low, high = _bootstrap_auroc(metrics, is_class, probabilities, classes, resamples, coverage, seed)
    return ClassificationScores(
        auroc=_mean_over(metrics.roc_auc_score, is_class, probabilities, classes),
        auroc_low=low,
        auroc_high=high,
        auprc=_mean_over(metrics.average_precision_score, is_class, probabilities, classes),
        mcc=float(metrics.matthews_corrcoef(labels, predicted)),
        f1=float(metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
        accuracy=float(metrics.accuracy_score(labels, predicted)),
        n=len(labels),
    )


def _mean_over(
    score: Any, is_class: NDArray[np.bool_], probabilities: NDArray[np.floating], classes: list[int]
) -> float:
    """Return the mean over the classes that have both members and others."""
    usable = [c for c in classes if is_class[:, c].any() and not is_class[:, c].all()]
    return float(np.mean([score(is_class[:, c], probabilities[:, c]) for c in usable]))


def _bootstrap_auroc(
    metrics: ModuleType,
    is_class: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    classes: list[int],
    resamples: int,
    coverage: float,
    seed: int,
) -> tuple[float, float]:
    rng, n, scores = np.random.default_rng(seed), len(is_class), []
    for _ in range(resamples):
        drawn = rng.integers(0, n, n)
        if len(np.unique(is_class[drawn].argmax(axis=1))) > 1:  # else the sample has no ROC curve
            scores.append(_mean_over(metrics.roc_auc_score, is_class[drawn], probabilities[drawn], classes))
    if not scores:
        return float("nan"), float("nan")
    tail = (1 - coverage) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)
