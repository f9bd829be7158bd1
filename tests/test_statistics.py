import math

import numpy as np
import pytest
from scipy import stats

from convnova.errors import InputError
from convnova.evaluation.statistics import compare_paired, mean_ranks, shared_tasks, spread, task_ranks

NAN = pytest.approx(math.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5], (0.5, NAN, 1)), ([1, 2, 3], (2, 1, 3)), ([0.2, 0.2], (0.2, 0, 2))],
)
def test_spread_is_of_a_sample(values, expected):
    assert spread(values) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "no value to average; give at least one"), ([0.1, math.nan], "a value to average is no number")],
)
def test_nothing_to_average_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        spread(values)


def seeds(*values):
    return dict(enumerate(values))


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_paired_p_values_match_scipy(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.5, 1, n), rng.normal(0, 1, n)
    made = compare_paired(seeds(*first), seeds(*second))
    assert made.difference == pytest.approx((first - second).mean())
    assert made.p_t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    flipped = stats.permutation_test(
        (first, second), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=2**n
    )
    assert made.p_signs == pytest.approx(flipped.pvalue)


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.25), (6, 0.03125)])
def test_few_pairs_cannot_give_a_small_sign_flip_p_value(n, smallest):
    made = compare_paired(seeds(*np.arange(n) + 1.0), seeds(*np.zeros(n)))
    assert made.p_signs == smallest


@pytest.mark.parametrize(("n", "read"), [(3, "p_t"), (5, "p_t"), (6, "p_signs"), (9, "p_signs")])
def test_the_sign_flip_test_is_read_from_six_pairs_on(n, read):
    found = compare_paired(seeds(*np.linspace(0.1, 0.3, n)), seeds(*[0.05] * n))
    assert found.p == getattr(found, read)
    assert found.p_t != found.p_signs


def test_the_interval_of_a_difference_is_of_the_paired_t():
    found = compare_paired(seeds(0.5, 0.7, 0.6), seeds(0.4, 0.4, 0.5))
    expected = stats.ttest_rel([0.5, 0.7, 0.6], [0.4, 0.4, 0.5]).confidence_interval()
    assert found.interval == pytest.approx(tuple(expected))


def test_many_pairs_are_sampled_and_never_give_0():
    rng = np.random.default_rng(0)
    first = dict(enumerate(rng.normal(3, 0.1, 30)))
    made = compare_paired(first, dict.fromkeys(range(30), 0.0))
    assert 0 < made.p_signs < 1e-3
    assert made == compare_paired(first, dict.fromkeys(range(30), 0.0))


def test_only_shared_seeds_are_compared():
    made = compare_paired({0: 0.5, 1: 0.6, 2: 0.9}, {1: 0.5, 2: 0.7, 5: 0.1})
    assert made.pairs == 2
    assert made.difference == pytest.approx(0.15)
    assert compare_paired({0: 0.5}, {1: 0.5}) is None


@pytest.mark.parametrize(
    ("first", "second", "p_signs"),
    [((0.5, 0.5), (0.5, 0.5), 1.0), ((0.9, 0.8), (0.89, 0.79), 0.5), ((0.5,), (0.4,), 1.0)],
)
def test_pairs_without_spread_have_no_t_test(first, second, p_signs):
    made = compare_paired(seeds(*first), seeds(*second))
    assert (made.p_t, made.p_signs) == (NAN, p_signs)


def test_equal_scores_share_their_rank():
    assert task_ranks({"a": 0.9, "b": 0.5, "c": 0.9, "d": 0.1}) == {"a": 1.5, "b": 3, "c": 1.5, "d": 4}
    assert task_ranks({"a": 0.9, "b": 0.5}, lower_is_better=True) == {"a": 2, "b": 1}


def test_ranks_are_over_the_tasks_that_all_have():
    made = mean_ranks({"a": {"x": 0.9, "y": 0.2, "z": 1.0}, "b": {"x": 0.5, "y": 0.4}})
    assert made.mean == {"a": 1.5, "b": 1.5}
    assert (made.tasks, made.left_out) == (("x", "y"), ("z",))
    assert mean_ranks({"a": {"x": 1.0}, "b": {"y": 1.0}}).mean == {"a": NAN, "b": NAN}
    by_task = mean_ranks({"a": {"x": 1.0, "y": 1.0}, "b": {"x": 2.0, "y": 2.0}}, {"x": True, "y": True})
    assert by_task.mean == {"a": 1, "b": 2}


def test_shared_tasks_keep_their_order():
    assert shared_tasks({"a": {"z": 1, "y": 1}, "b": {"y": 1, "z": 1, "w": 1}}) == (("z", "y"), ("w",))
