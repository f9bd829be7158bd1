"""Scores of predictions, by kind of label: one table for fine-tuning, evaluation and benchmarks.

Single values come from scikit-learn and scipy. n sequences, K classes, labels or values.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError

METRICS: dict[str, tuple[str, ...]] = {
    "single_label_classification": ("mcc", "f1", "accuracy", "auroc", "auprc", "loss"),
    "multi_label_classification": ("auroc", "auprc", "f1", "mcc", "accuracy", "loss"),
    "regression": ("pearson", "spearman", "r2", "mse", "loss"),
}
"""What is scored, by Transformers' problem type; the first is what a model is chosen by.

    mcc, f1, accuracy   of the most probable class; for independent labels of p > 0.5, the mean over labels
    auroc, auprc        mean over classes (each against the rest) or labels that have both members and others
    f1                  mean over classes or labels
    pearson ... mse     mean over values
    loss                cross-entropy in nats per sequence (and label), or the mean squared error
"""

SELECTION = {problem_type: names[0] for problem_type, names in METRICS.items()}
"""Score by which a model is chosen on validation, unless another is wanted."""

LOWER_IS_BETTER = frozenset({"mse", "loss"})
"""Scores of which less is better."""


def goodness(metric: str, scores: Mapping[str, float]) -> float:
    """Return one of several scores so that more is better."""
    return -scores[metric] if metric in LOWER_IS_BETTER else scores[metric]


METRIC_NAMES = {
    "mcc": "MCC",
    "f1": "F1",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "r2": "R²",
    "mse": "mean squared error",
    "loss": "loss",
}
"""What people call each score."""

Numbers = NDArray[Any]


def score(problem_type: str, labels: Numbers, predictions: Numbers) -> dict[str, float]:
    """Return every score of the problem type, as fractions.

    Args:
        problem_type: a key of `METRICS`.
        labels: true classes, (n,); independent labels 0 or 1, (n, K); or values, (n,) or (n, K).
        predictions: probability of each class or label, or the values, (n, K); (n,) where K is 1.

    Raises:
        InputError: for shapes that do not fit, a prediction that is no number, labels of one class only, or
            when scikit-learn is not installed.
    """
    labels, predictions = checked(problem_type, labels, predictions)
    if problem_type == "single_label_classification":
        return _classes(labels, predictions)
    columns = _by_column(problem_type, labels, predictions)
    return {name: _mean(values) for name, values in columns.items()}


def score_by_label(
    problem_type: str, labels: Numbers, predictions: Numbers
) -> dict[str, NDArray[np.float64]]:
    """Return each score of every class, label or value on its own, (K,).

    NaN where it is not defined: a class or label without members, or without others. Of a class, scores are
    those of it against the rest, and it is called where it is the most probable. Arguments and errors are
    those of `score`.
    """
    labels, predictions = checked(problem_type, labels, predictions)
    if problem_type == "single_label_classification":
        return _labels(one_hot(labels, predictions.shape[1]), predictions, called(predictions))
    return _by_column(problem_type, labels, predictions)


def checked(problem_type: str, labels: Numbers, predictions: Numbers) -> tuple[Numbers, Numbers]:
    """Return labels, (n,) for classes and else (n, K), and predictions (n, K), fit for scoring.

    Raises:
        InputError: as in `score`.
    """
    if problem_type not in METRICS:
        raise InputError(f"no scores for problem type {problem_type!r}; use one of {', '.join(METRICS)}")
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if problem_type != "single_label_classification":
        labels, predictions = (
            array[:, None] if array.ndim == 1 else array for array in (labels, predictions)
        )
        fits = labels.shape == predictions.shape and labels.ndim == 2
    else:
        fits = labels.ndim == 1 and predictions.ndim == 2 and len(labels) == len(predictions)
    if not fits:
        raise InputError(
            f"labels of shape {labels.shape} do not fit predictions of shape {predictions.shape}; "
            "give one row of predictions a sequence, with a column for each class, label or value"
        )
    if not len(labels):
        raise InputError("there is nothing to score; give at least two labelled sequences")
    if not np.isfinite(predictions).all():
        row = int(np.flatnonzero(~np.isfinite(predictions).all(axis=1))[0])
        raise InputError(
            f"the prediction for sequence {row + 1} is no number; the model's weights are broken"
        )
    _check_labels(problem_type, labels, predictions.shape[1])
    return labels, predictions.astype(np.float64, copy=False)


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


def one_hot(labels: Numbers, classes: int) -> NDArray[np.bool_]:
    """Return whether each sequence is of each class, (n, K)."""
    return np.arange(classes) == labels[:, None]


def called(predictions: Numbers) -> NDArray[np.bool_]:
    """Return whether each class is the most probable one of each sequence, (n, K)."""
    return one_hot(predictions.argmax(axis=1), predictions.shape[1])


def _check_labels(problem_type: str, labels: Numbers, columns: int) -> None:
    if not np.isfinite(labels).all():
        raise InputError("a label is no number; remove the sequences without a label")
    if problem_type == "regression":
        if (labels == labels[0]).all():
            raise InputError("all values are the same; scores need at least two different values")
    elif problem_type == "multi_label_classification":
        if not np.isin(labels, (0, 1)).all():
            raise InputError("independent labels are 0 or 1; others were given")
        if (labels == labels[0]).all():
            raise InputError("no label has both sequences with it and without it; scores need one that has")
    elif len(np.unique(labels)) < 2:
        raise InputError("only one class is among the labels; scores need at least two")
    elif labels.min() < 0 or labels.max() >= columns:
        raise InputError(
            f"labels run from {labels.min()} to {labels.max()}, and there are predictions for classes 0 to "
            f"{columns - 1}; give the probability of every class"
        )


def _classes(labels: Numbers, probabilities: Numbers) -> dict[str, float]:
    metrics = metrics_library()
    truth, predicted = one_hot(labels, probabilities.shape[1]), probabilities.argmax(axis=1)
    ranked = slice(1, 2) if probabilities.shape[1] == 2 else slice(None)
    of_truth = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return {
        "mcc": float(metrics.matthews_corrcoef(labels, predicted)),
        "f1": float(metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "auroc": _mean(_each(metrics.roc_auc_score, truth[:, ranked], probabilities[:, ranked])),
        "auprc": _mean(_each(metrics.average_precision_score, truth[:, ranked], probabilities[:, ranked])),
        "loss": float(-np.log(of_truth.clip(np.finfo(np.float32).tiny)).mean()),
    }


def _by_column(problem_type: str, labels: Numbers, predictions: Numbers) -> dict[str, NDArray[np.float64]]:
    if problem_type == "regression":
        return _values(labels, predictions)
    return _labels(labels.astype(bool), predictions, predictions > 0.5)


def _labels(
    truth: NDArray[np.bool_], probabilities: Numbers, predicted: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    metrics = metrics_library()
    tiny = np.finfo(np.float32).tiny
    of_truth = np.where(truth, probabilities, 1 - probabilities).clip(tiny)
    return {
        "auroc": _each(metrics.roc_auc_score, truth, probabilities),
        "auprc": _each(metrics.average_precision_score, truth, probabilities),
        "f1": _each(lambda t, p: metrics.f1_score(t, p, zero_division=0), truth, predicted),
        "mcc": _each(metrics.matthews_corrcoef, truth, predicted),
        "accuracy": (truth == predicted).mean(axis=0),
        "loss": -np.log(of_truth).mean(axis=0),
    }


def _values(labels: Numbers, predictions: Numbers) -> dict[str, NDArray[np.float64]]:
    metrics = metrics_library()
    from scipy import stats

    errors = np.mean((labels - predictions) ** 2, axis=0)
    return {
        "pearson": _correlations(stats.pearsonr, labels, predictions),
        "spearman": _correlations(stats.spearmanr, labels, predictions),
        "r2": _each(metrics.r2_score, labels, predictions),
        "mse": errors,
        "loss": errors,
    }


def _correlations(function: Callable[..., Any], labels: Numbers, predictions: Numbers) -> NDArray[np.float64]:
    """Return the correlation of each value; 0 where the predictions are all the same."""
    is_flat = (predictions == predictions[0]).all(axis=0)
    values = _each(lambda t, p: 0.0 if (p == p[0]).all() else function(t, p)[0], labels, predictions)
    return np.where(is_flat & ~np.isnan(values), 0.0, values)


def _each(function: Callable[..., float], labels: Numbers, predictions: Numbers) -> NDArray[np.float64]:
    """Return the score of each column; NaN where all its labels are the same."""
    return np.array(
        [
            np.nan if (truth == truth[0]).all() else function(truth, predicted)
            for truth, predicted in zip(labels.T, predictions.T, strict=True)
        ]
    )


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean over the columns whose score is defined."""
    return float(np.nanmean(values))
