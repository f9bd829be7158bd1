"""Every score under many weightings of the same sequences at once: what makes the bootstrap fast.

Single scores come from scikit-learn; these formulas are for the bootstrap alone, where a thousand calls of it
take 5 s for one score of 6,000 sequences, and minutes for many labels.

A bootstrap sample is a weight for each sequence, the times it was drawn. Ranks and classes do not depend on
the weights, so sequences are sorted once and each score is a few sums over (R, n). The twin in the tests is
scikit-learn on the drawn sequences.

R weightings, n sequences, K classes, labels or values. NaN where a score is not defined.
"""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convnova.evaluation.scores import Numbers, called, one_hot

Weights = NDArray[np.float64]


def weighted_scores(
    problem_type: str, metric: str, labels: Numbers, predictions: Numbers, weights: Weights
) -> NDArray[np.float64]:
    """Return one score under each weighting, (R,).

    Args:
        problem_type: a key of `METRICS`.
        metric: one of its scores.
        labels: as `checked` returns them.
        predictions: as `checked` returns them, (n, K).
        weights: of each sequence, (R, n), not negative.
    """
    if metric in ("mse", "loss"):
        return _mean_of(_losses(problem_type, labels, predictions), weights)
    if problem_type == "regression":
        return _over_columns(_REGRESSION[metric], labels, predictions, weights)
    if problem_type == "multi_label_classification":
        truth, predicted = labels.astype(bool), predictions > 0.5
        if metric in _RANKING:
            return _over_columns(_RANKING[metric], truth, predictions, weights)
        if metric == "accuracy":
            return _mean_of((truth == predicted).mean(axis=1), weights)
        return _over_columns(_BINARY[metric], truth, predicted, weights)
    classes = predictions.shape[1]
    truth = one_hot(labels, classes)
    if metric in _RANKING:
        ranked = slice(1, 2) if classes == 2 else slice(None)
        return _over_columns(_RANKING[metric], truth[:, ranked], predictions[:, ranked], weights)
    return _of_confusion(metric, truth, called(predictions), weights)


def _of_confusion(
    metric: str, truth: NDArray[np.bool_], predicted: NDArray[np.bool_], weights: Weights
) -> NDArray[np.float64]:
    """Return a score of the called classes from their weighted counts."""
    total = weights.sum(axis=1)
    right = weights @ (truth & predicted)
    true, called_ = weights @ truth, weights @ predicted  # (R, K)
    correct = right.sum(axis=1)
    if metric == "accuracy":
        return correct / total
    if metric == "mcc":
        between = correct * total - (true * called_).sum(axis=1)
        within = (total**2 - (true**2).sum(axis=1)) * (total**2 - (called_**2).sum(axis=1))
        return np.divide(between, np.sqrt(within), out=np.zeros_like(between), where=within > 0)
    sizes = true + called_
    f1 = np.divide(2 * right, sizes, out=np.full_like(sizes, np.nan), where=sizes > 0)
    return np.nanmean(f1, axis=1)  # a class that is neither drawn nor called does not count


def _losses(problem_type: str, labels: Numbers, predictions: Numbers) -> NDArray[np.float64]:
    """Return the loss of each sequence, (n,)."""
    if problem_type == "regression":
        return ((labels - predictions) ** 2).mean(axis=1)
    tiny = np.finfo(np.float32).tiny
    if problem_type == "multi_label_classification":
        return -np.log(np.where(labels == 1, predictions, 1 - predictions).clip(tiny)).mean(axis=1)
    return -np.log(np.take_along_axis(predictions, labels[:, None], axis=1)[:, 0].clip(tiny))


def _mean_of(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    return weights @ values / weights.sum(axis=1)


def _over_columns(
    function: Callable[[Numbers, Numbers, Weights], NDArray[np.float64]],
    labels: Numbers,
    predictions: Numbers,
    weights: Weights,
) -> NDArray[np.float64]:
    """Return the mean of a score over the columns where it is defined, (R,)."""
    columns = [function(t, p, weights) for t, p in zip(labels.T, predictions.T, strict=True)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(columns, axis=0)


def _auroc(truth: NDArray[np.bool_], values: Numbers, weights: Weights) -> NDArray[np.float64]:
    positive, negative = _by_value(truth, values, weights)
    below = negative.cumsum(axis=1) - negative / 2
    return _divide((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def _auprc(truth: NDArray[np.bool_], values: Numbers, weights: Weights) -> NDArray[np.float64]:
    positive, negative = _by_value(truth, -values, weights)
    found, called_ = positive.cumsum(axis=1), (positive + negative).cumsum(axis=1)
    precision = np.divide(found, called_, out=np.zeros_like(found), where=called_ > 0)
    defined = positive.sum(axis=1) * (negative.sum(axis=1) > 0)
    return _divide((positive * precision).sum(axis=1), defined)


def _by_value(
    truth: NDArray[np.bool_], values: Numbers, weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weight of positives and of negatives at each distinct value, rising, both (R, distinct)."""
    order = np.argsort(values, kind="stable")
    first = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    positive, all_ = (
        np.add.reduceat(weight[:, order], first, axis=1) for weight in (weights * truth, weights)
    )
    return positive, all_ - positive


def _ranks(values: Numbers, weights: Weights) -> NDArray[np.float64]:
    """Return the mid-rank of each sequence among the drawn ones, (R, n)."""
    order = np.argsort(values, kind="stable")
    starts = np.diff(values[order], prepend=-np.inf) > 0
    sizes = np.add.reduceat(weights[:, order], np.flatnonzero(starts), axis=1)
    middle = sizes.cumsum(axis=1) - sizes / 2
    ranks = np.empty_like(weights)
    ranks[:, order] = middle[:, starts.cumsum() - 1]
    return ranks


def _correlation(x: Numbers, y: Numbers, weights: Weights) -> NDArray[np.float64]:
    """Return the weighted correlation of x and y, each (n,) or (R, n); 0 where y does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    x, y = (values - (weights * values).sum(axis=1, keepdims=True) / total for values in (x, y))
    of_x, of_y, both = ((weights * product).sum(axis=1) for product in (x * x, y * y, x * y))
    defined = of_x > 1e-12 * total[:, 0]
    flat = of_y <= 1e-24 * total[:, 0]
    value = np.divide(both, np.sqrt(of_x * of_y), out=np.zeros_like(both), where=defined & ~flat)
    return np.where(defined, value, np.nan)


def _r2(labels: Numbers, values: Numbers, weights: Weights) -> NDArray[np.float64]:
    mean = (weights @ labels / weights.sum(axis=1))[:, None]
    return 1 - _divide(weights @ (labels - values) ** 2, (weights * (labels - mean) ** 2).sum(axis=1))


def _binary_f1(truth: NDArray[np.bool_], predicted: Numbers, weights: Weights) -> NDArray[np.float64]:
    right, true, called_ = weights @ (truth & predicted), weights @ truth, weights @ predicted
    f1 = np.divide(2 * right, true + called_, out=np.zeros_like(right), where=true + called_ > 0)
    return np.where((true > 0) & (true < weights.sum(axis=1)), f1, np.nan)


def _binary_mcc(truth: NDArray[np.bool_], predicted: Numbers, weights: Weights) -> NDArray[np.float64]:
    true = weights @ truth
    of_truth, of_predicted = (np.stack([~column, column], axis=1) for column in (truth, predicted))
    value = _of_confusion("mcc", of_truth, of_predicted, weights)
    return np.where((true > 0) & (true < weights.sum(axis=1)), value, np.nan)


def _divide(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


_RANKING = {"auroc": _auroc, "auprc": _auprc}
_BINARY = {"f1": _binary_f1, "mcc": _binary_mcc}
_REGRESSION = {
    "pearson": _correlation,
    "spearman": lambda x, y, weights: _correlation(_ranks(x, weights), _ranks(y, weights), weights),
    "r2": _r2,
}
