"""What several seeds and tasks say: spread, paired comparison of two models, mean rank.

A cell that is missing stays missing: it is never filled, and what is averaged or ranked is what all have.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from convnova.errors import InputError

Key = TypeVar("Key")

EXACT_UP_TO = 16
"""Pairs up to which every assignment of signs is tried: 65,536 of them."""
_RANDOM_SIGNS = 20_000


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
    """Of the paired t test, two-sided: takes the differences for normal. NaN for one pair."""
    p_signs: float
    """Of the sign-flip permutation test, two-sided: only takes them for symmetric under no effect."""


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


def compare_paired(
    first: Mapping[Key, float], second: Mapping[Key, float], seed: int = 0
) -> PairedComparison | None:
    """Return how two models differ over the seeds (or tasks) that both have; None where they share none.

    Two p values, since neither serves all numbers of pairs. The smallest that a sign-flip test of n pairs can
    give is 2 / 2^n, 0.25 for three seeds and 0.031 for six: with fewer than six it cannot speak, and the
    paired t test can, if one takes differences between seeds for normal. With six or more, and over tasks,
    whose differences are not normal, read the sign-flip test.

    Args:
        first: score by seed or task.
        second: score by seed or task.
        seed: of the random signs, which stand in for all of them beyond `EXACT_UP_TO` pairs.
    """
    shared = [key for key in first if key in second]
    if not shared:
        return None
    differences = np.array([first[key] - second[key] for key in shared])
    mean, sd, n = spread(list(differences))
    return PairedComparison(mean, sd, n, _p_of_t(mean, sd, n), _p_of_signs(differences, seed))


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


def _p_of_t(mean: float, sd: float, n: int) -> float:
    from scipy import stats

    if n < 2:
        return math.nan
    if sd <= 1e-12 * max(abs(mean), 1e-300):  # the same difference each time
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / (sd / math.sqrt(n)), n - 1))


def _p_of_signs(differences: np.ndarray, seed: int) -> float:
    """Return the share of sign assignments whose mean is at least as far from 0 as the observed one."""
    n = len(differences)
    exact = n <= EXACT_UP_TO
    if exact:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(seed).choice([-1, 1], (_RANDOM_SIGNS, n))
    is_far = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-9) - 1e-15
    return float(is_far.mean() if exact else (is_far.sum() + 1) / (_RANDOM_SIGNS + 1))
