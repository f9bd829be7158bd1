import math

import numpy as np
import pytest
from sklearn import metrics

from convnova.errors import InputError
from convnova.evaluation.confusion import confusion, merged, scores_of_confusion

NAMES = ("exon", "intron", "donor", "intergenic")


def made(seed, n=500):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=[0.2, 0.1, 0.05, 0.65])
    return labels, np.where(rng.random(n) < 0.6, labels, rng.integers(0, 4, n))


@pytest.mark.parametrize("seed", range(5))
def test_scores_match_scikit_learn(seed):
    labels, predictions = made(seed)
    scores = scores_of_confusion(confusion(labels, predictions, 4), NAMES)
    assert scores.mcc == pytest.approx(metrics.matthews_corrcoef(labels, predictions))
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    by_label = metrics.precision_recall_fscore_support(labels, predictions)
    assert [label.name for label in scores.labels] == list(NAMES)
    np.testing.assert_allclose([label[1:] for label in scores.labels], np.transpose(by_label))


def test_tables_of_stretches_add_up():
    labels, predictions = made(0)
    parts = [confusion(labels[part], predictions[part], 4) for part in (slice(0, 123), slice(123, None))]
    np.testing.assert_array_equal(sum(parts), confusion(labels, predictions, 4))
    np.testing.assert_array_equal(sum(parts), metrics.confusion_matrix(labels, predictions))


def test_masked_bases_are_not_counted():
    labels, predictions = made(0)
    masked = np.where(np.arange(500) % 3 == 0, -100, labels).reshape(5, 100)
    kept = np.arange(500) % 3 != 0
    table = confusion(masked, predictions.reshape(5, 100), 4)
    np.testing.assert_array_equal(table, confusion(labels[kept], predictions[kept], 4))
    assert not confusion(np.full(3, -100), np.zeros(3, dtype=int), 4).any()


def test_a_large_genome_does_not_overflow():
    table = confusion(*made(0), 4)
    small, large = scores_of_confusion(table, NAMES), scores_of_confusion(table * 20_000_000, NAMES)
    assert large.mcc == pytest.approx(small.mcc)


def test_labels_that_never_occur():
    scores = scores_of_confusion(np.array([[5, 1, 0], [0, 0, 0], [0, 0, 0]]), ("a", "b", "c"))
    assert scores.mcc == 0
    assert scores.labels[0] == ("a", 1.0, 5 / 6, 10 / 11, 6)
    assert (scores.labels[1].precision, scores.labels[1].f1) == (0, 0)
    assert math.isnan(scores.labels[1].recall)
    assert all(math.isnan(value) for value in scores.labels[2][1:4])


BAD = [
    (
        np.zeros(3, int),
        np.zeros(4, int),
        r"labels of shape \(3,\), predictions of shape \(4,\); give one a base",
    ),
    (np.array([0, 4]), np.array([0, 1]), "labels up to 4, predictions from 0 to 1; 4 labels are numbered"),
    (np.array([0, 1]), np.array([0, 4]), "predictions from 0 to 4; 4 labels are numbered from 0 to 3"),
    (np.array([0, 1]), np.array([0, -1]), "predictions from -1 to 0"),
]


@pytest.mark.parametrize(("labels", "predictions", "message"), BAD)
def test_labels_that_do_not_fit_are_refused(labels, predictions, message):
    with pytest.raises(InputError, match=message):
        confusion(labels, predictions, 4)


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"a confusion matrix of shape \(2, 2\) does not fit 4 labels"):
        scores_of_confusion(np.ones((2, 2), dtype=int), NAMES)
    with pytest.raises(InputError, match="no base has a label; give at least one"):
        scores_of_confusion(np.zeros((4, 4), dtype=int), NAMES)


def test_a_merged_table_is_that_of_merged_labels():
    labels, predictions = made(0)
    into = np.array([1, 0, 1, 2])
    expected = confusion(into[labels], into[predictions], 3)
    assert merged(confusion(labels, predictions, 4), into).tolist() == expected.tolist()
