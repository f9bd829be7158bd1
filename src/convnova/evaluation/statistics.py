"""What several seeds and tasks say: spread, paired comparison of two models, mean rank.

A cell that is missing stays missing: it is never filled, and what is averaged or ranked is what all have.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError

Key = TypeVar("Key")

FEWEST_SIGNS = 6
"""Pairs from which on the sign-flip test can fall below 0.05: the smallest p of n pairs is 2 / 2^n."""
MOST_SIGNS = 2**16
"""Assignments of signs that are tried: all of them for up to 16 pairs, and so many random ones for more."""


class Spread(NamedTuple):
    """Mean and sample standard deviation."""

    mean: float
    sd: float
    """With n - 1 in the denominator; NaN for one value."""
    n: int


class PairedComparison(NamedTuple):
    """How two models differ on the same seeds or tasks."""

    difference: float
    """Mean of first minus second."""
    sd: float
    """Of the differences."""
    pairs: int
    p_t: float
    """Of the paired t test, two-sided: takes the differences for normal. NaN where they have no spread."""
    p_signs: float
    """Of the sign-flip permutation test, two-sided: only takes them for symmetric under no effect."""

    @property
    def p(self) -> float:
        """The p value to read: of the paired t below `FEWEST_SIGNS` pairs, of the signs from there on."""
        return self.p_t if self.pairs < FEWEST_SIGNS else self.p_signs

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference, by the paired t; NaN where the differences have no spread."""
        if math.isnan(self.p_t):
            return math.nan, math.nan
        return interval_of_mean(Spread(self.difference, self.sd, self.pairs))


class MeanRanks(NamedTuple):
    """Rank of each model, averaged over tasks; 1 is the best, and equal scores share their mean rank."""

    mean: dict[str, float]
    tasks: tuple[str, ...]
    """The tasks that every model has."""
    left_out: tuple[str, ...]
    """The others."""


def spread(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation.

    Raises:
        InputError: when there is no value, or one that is no number.
    """
    if not len(values):
        raise InputError("no value to average; give at least one")
    if not np.isfinite(values).all():
        raise InputError("a value to average is no number; leave the missing ones out")
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), sd, len(values))


def interval_of_mean(values: Spread, share: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean by Student's t, which takes the values for normal; NaN for one value."""
    from scipy import stats

    if values.n < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf((1 + share) / 2, values.n - 1)) * values.sd / math.sqrt(values.n)
    return values.mean - half, values.mean + half


def compare_paired(
    first: Mapping[Key, float], second: Mapping[Key, float], seed: int = 0
) -> PairedComparison | None:
    """Return how two models differ over the seeds (or tasks) that both have; None where they share none.

    Two p values, since neither serves all numbers of pairs. The smallest that a sign-flip test of n pairs can
    give is 2 / 2^n, 0.25 for three seeds and 0.031 for six: with fewer than six it cannot speak, and the
    paired t test can, if one takes differences between seeds for normal. With six or more, and over tasks,
    whose differences are not normal, read the sign-flip test; `PairedComparison.p` is the one of the two.

    Args:
        first: score by seed or task.
        second: score by seed or task.
        seed: of the random signs, which stand in for all of them where these are more than `MOST_SIGNS`.
    """
    shared = [key for key in first if key in second]
    if not shared:
        return None
    differences = np.array([first[key] - second[key] for key in shared])
    mean, sd, n = spread(list(differences))
    return PairedComparison(mean, sd, n, _p_of_t(differences), _p_of_signs(differences, seed))


def mean_ranks(
    scores: Mapping[str, Mapping[str, float]], lower_is_better: bool | Mapping[str, bool] = False
) -> MeanRanks:
    """Return the mean rank of each model over the tasks that all of them have.

    Args:
        scores: by model and task.
        lower_is_better: whether less is better, on all tasks or by task.
    """
    tasks, left_out = shared_tasks(scores)
    if not tasks:
        return MeanRanks({model: math.nan for model in scores}, tasks, left_out)
    ranks = [
        task_ranks(
            {model: row[task] for model, row in scores.items()},
            lower_is_better if isinstance(lower_is_better, bool) else lower_is_better[task],
        )
        for task in tasks
    ]
    means = {model: float(np.mean([rank[model] for rank in ranks])) for model in scores}
    return MeanRanks(means, tasks, left_out)


def task_ranks(scores: Mapping[str, float], lower_is_better: bool = False) -> dict[str, float]:
    """Return the rank of each model on one task; equal scores share the mean of their ranks."""
    from scipy import stats

    values = np.array(list(scores.values()), dtype=float)
    ranks = stats.rankdata(values if lower_is_better else -values)
    return {model: float(rank) for model, rank in zip(scores, ranks, strict=True)}


def shared_tasks(scores: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tasks that every model has, and those that only some have."""
    known = list(dict.fromkeys(task for row in scores.values() for task in row))
    in_all = {task for task in known if all(task in row for row in scores.values())}
    return tuple(t for t in known if t in in_all), tuple(t for t in known if t not in in_all)


def _p_of_t(differences: NDArray[np.float64]) -> float:
    from scipy import stats

    # The same difference each time, as with accuracies on a small test set, says nothing of the spread.
    if np.ptp(differences) <= 1e-12:
        return math.nan
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _p_of_signs(differences: NDArray[np.float64], seed: int) -> float:
    """Return the share of sign assignments whose mean is at least as far from 0 as the observed one."""
    from scipy import stats

    if len(differences) == 1 or not differences.any():
        return 1.0
    # Of one sample, scipy flips the signs; it tries all 2^n where that is no more than the resamples.
    found = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=MOST_SIGNS, rng=seed
    )
    return min(1.0, float(found.pvalue))
