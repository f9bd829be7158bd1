"""The counting baseline of many tracks: one regression on the k-mers of each window, both strands pooled.

Logistic for peaks, ridge for signals. All tracks share their features, so all are fitted at once, in the
basis where these are not correlated: there the curvature of the loss is nearly a diagonal that is known.

n windows, D words, T tracks.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.labelled import LabelledPart, Sequences
from convnova.evaluation.kmers import strandless_frequencies
from convnova.evaluation.scores import SELECTION, score

K = 5
"""Length of a word. Of 4, 5 and 6, it did best for 84 yeast factors (AUROC 0.717, 0.729, 0.713)."""
PENALTIES = (1.0, 0.1, 0.01)
"""Of squared weights beside the mean loss of a window, for words of unit variance; the best is kept."""
MOST_WINDOWS = 2**16
"""That a regression is fitted on; of more, so many are drawn by seed."""
_BLOCK_BASES = 2**23
"""Bases of windows in memory at a time, at least one window."""
_LEAST = 1e-6


class KmerRegression(NamedTuple):
    """A regression on k-mers for each of T tracks."""

    problem_type: str
    penalty: float
    """Chosen on the validation part."""
    windows: int
    """That it was fitted on."""
    weights: NDArray[np.float32]
    """Of the frequencies as they are, (D, T)."""
    bias: NDArray[np.float32]
    """(T,)."""

    def predict(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the probability, or the value, of each track, (n, T)."""
        logits = np.concatenate([block @ self.weights + self.bias for block in _frequencies(sequences)])
        return logits if self.problem_type == "regression" else _sigmoid(logits)


def fit_kmer_regression(
    problem_type: str, train: LabelledPart, validation: LabelledPart, seed: int
) -> KmerRegression:
    """Return the regression whose penalty does best on the validation part, fitted on the training part.

    Args:
        problem_type: ``multi_label_classification`` or ``regression``.
        train: windows to fit on; at most `MOST_WINDOWS` of them are read.
        validation: windows to choose on.
        seed: draws training windows where there are more.
    """
    rows = np.arange(len(train))
    if len(rows) > MOST_WINDOWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_WINDOWS, replace=False))
    frequencies, labels_of = [], []
    for block in _blocks(train.ids, rows):
        pairs = [train[int(row)] for row in block]
        frequencies.append(strandless_frequencies([ids for ids, _ in pairs], K))
        labels_of += [label for _, label in pairs]
    x, labels = np.concatenate(frequencies), np.stack(labels_of)
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), _LEAST)
    variances, basis = _uncorrelated((x - mean) / scale)
    rotated = ((x - mean) / scale) @ basis
    fit = _ridge if problem_type == "regression" else _logistic
    made, validated = [], validation.labels
    for penalty in PENALTIES:
        in_basis, bias = fit(rotated, labels, variances, penalty)
        weights = (basis @ in_basis) / scale[:, None]
        regression = KmerRegression(problem_type, penalty, len(rows), weights, bias - mean @ weights)
        scores = score(problem_type, validated, regression.predict(validation.ids))
        made.append((scores[SELECTION[problem_type]], regression))
    return max(made, key=lambda pair: pair[0])[1]


def _frequencies(sequences: Sequences) -> Iterator[NDArray[np.float32]]:
    """Yield the frequencies of words in consecutive sequences, as many as `_BLOCK_BASES` at a time."""
    for block in _blocks(sequences, np.arange(len(sequences))):
        yield strandless_frequencies([sequences[int(row)] for row in block], K)


def _blocks(sequences: Sequences, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield rows, so many at a time that their sequences have `_BLOCK_BASES` at most."""
    step = max(1, _BLOCK_BASES // max(1, int(sequences.lengths.max())))
    for first in range(0, len(rows), step):
        yield rows[first : first + step]


def _uncorrelated(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the variances (D,) and directions (D, D) in which standardised features are not correlated."""
    variances, basis = np.linalg.eigh((x.T @ x).astype(np.float64) / len(x))
    return variances.clip(0).astype(np.float32), basis.astype(np.float32)


def _ridge(
    x: NDArray[np.float32], labels: NDArray[np.float32], variances: NDArray[np.float32], penalty: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights (D, T) and bias (T,) of least squares on features that are not correlated."""
    mean: NDArray[np.float32] = labels.mean(axis=0)
    weights: NDArray[np.float32] = x.T @ (labels - mean) / len(x) / (variances + penalty)[:, None]
    return weights, mean


def _logistic(
    x: NDArray[np.float32], labels: NDArray[np.float32], variances: NDArray[np.float32], penalty: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights (D, T) and bias (T,) of logistic regressions on features that are not correlated.

    The second derivative of a track's loss is about p (1 - p) times the variances, p its share of positives:
    steps are counted in its square root, and a dozen of them suffice.
    """
    from scipy.optimize import minimize

    share = labels.mean(axis=0).clip(_LEAST, 1 - _LEAST)
    spread = share * (1 - share)
    curvature = np.concatenate([spread[None], variances[:, None] * spread + penalty])  # (1 + D, T)
    unit: NDArray[np.float32] = 1 / np.sqrt(curvature)
    first: NDArray[np.float32] = np.log(share / (1 - share))

    def loss(steps: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = steps.reshape(unit.shape).astype(np.float32) * unit
        bias, weights = first + moved[0], moved[1:]
        logits = x @ weights + bias
        error = (_sigmoid(logits) - labels) / np.float32(len(x))
        value = (np.logaddexp(0, logits) - labels * logits).sum(dtype=np.float64) / len(x)
        value += penalty / 2 * (weights**2).sum(dtype=np.float64)
        slope = np.concatenate([error.sum(axis=0)[None], x.T @ error + np.float32(penalty) * weights]) * unit
        return float(value), slope.astype(np.float64).ravel()

    found = minimize(loss, np.zeros(unit.size), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    moved = (found.x.reshape(unit.shape) * unit).astype(np.float32)
    return moved[1:], first + moved[0]


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    half = np.float32(0.5)
    return half + half * np.tanh(half * logits)  # no overflow
