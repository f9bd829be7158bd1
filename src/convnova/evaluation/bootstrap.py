"""How far a score would move with another test set: resampling of its sequences.

The interval says nothing of the spread between training seeds. n sequences, K classes, labels or values.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.evaluation.scores import METRICS, Numbers, checked
from convnova.evaluation.weighted import weighted_scores

_BLOCK_CELLS = 2**21  # weights held at once: 16 MB


class Interval(NamedTuple):
    """The middle share of the scores of resampled test sets (percentile bootstrap)."""

    low: float
    high: float
    coverage: float
    """Share of the resampled scores inside."""


def bootstrap_interval(
    problem_type: str,
    metric: str,
    labels: Numbers,
    predictions: Numbers,
    resamples: int = 1000,
    coverage: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the bootstrap interval of one score; NaN where no resample has it.

    Args:
        problem_type: a key of `METRICS`.
        metric: one of its scores.
        labels: as in `score`.
        predictions: as in `score`.
        resamples: test sets drawn, each of n sequences with replacement.
        coverage: share of the resampled scores inside the interval.
        seed: of the drawing.

    Raises:
        InputError: as in `score`, for a score that the problem type has not, and a share outside 0 to 1.
    """
    labels, predictions = checked(problem_type, labels, predictions)
    if metric not in METRICS[problem_type]:
        raise InputError(
            f"{problem_type} has no score {metric!r}; use one of {', '.join(METRICS[problem_type])}"
        )
    if not 0 < coverage < 1:
        raise InputError(f"coverage must be between 0 and 1, got {coverage}")
    if resamples < 0:
        raise InputError(f"resamples must be 0 or more, got {resamples}")
    blocks = [
        weighted_scores(problem_type, metric, labels, predictions, weights)
        for weights in _weights(len(labels), resamples, np.random.default_rng(seed))
    ]
    scores = np.concatenate(blocks) if blocks else np.empty(0)
    known = scores[~np.isnan(scores)]
    if not len(known):
        return Interval(float("nan"), float("nan"), coverage)
    tail = (1 - coverage) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high), coverage)


def _weights(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield how often each sequence was drawn, in blocks of (R, n)."""
    at_once = max(1, _BLOCK_CELLS // n)
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        yield np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(rows)]).astype(float)
