import builtins

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from convnova.errors import InputError
from convnova.evaluation.bootstrap import bootstrap_interval
from convnova.evaluation.classification import score_classifier
from convnova.evaluation.scores import (
    LOWER_IS_BETTER,
    METRIC_NAMES,
    METRICS,
    SELECTION,
    score,
    score_by_label,
)

CLASSES, LABELS, VALUES = METRICS


def made(problem_type, n=60, columns=3, seed=0):
    """Return labels and predictions that know something of them, with ties among the predictions."""
    rng = np.random.default_rng(seed)
    if problem_type == CLASSES:
        labels = rng.integers(0, columns, n)
        evidence = 2 * (np.arange(columns) == labels[:, None]) + rng.normal(size=(n, columns))
        probabilities = np.exp(evidence.round(1))
        return labels, probabilities / probabilities.sum(axis=1, keepdims=True)
    if problem_type == LABELS:
        labels = (rng.random((n, columns)) < 0.3).astype(np.float32)
        return labels, (1 / (1 + np.exp(-(3 * labels - 1 + rng.normal(size=labels.shape))))).round(2)
    labels = rng.normal(size=(n, columns)).round(1)
    return labels, (labels + rng.normal(size=labels.shape)).round(1)


CASES = [(kind, columns) for kind in METRICS for columns in (1, 2, 3) if (kind, columns) != (CLASSES, 1)]


def test_every_kind_has_the_scores_of_its_table():
    for kind, names in METRICS.items():
        assert tuple(score(kind, *made(kind))) == names
        assert set(score_by_label(kind, *made(kind))) == set(names)
        assert SELECTION[kind] in names
    assert {name for names in METRICS.values() for name in names} == set(METRIC_NAMES)
    assert set(METRIC_NAMES) > LOWER_IS_BETTER


def test_scores_of_two_classes_match_scikit_learn():
    labels, probabilities = made(CLASSES, columns=2)
    predicted = probabilities.argmax(1)
    assert score(CLASSES, labels, probabilities) == pytest.approx(
        {
            "mcc": metrics.matthews_corrcoef(labels, predicted),
            "f1": metrics.f1_score(labels, predicted, average="macro"),
            "accuracy": metrics.accuracy_score(labels, predicted),
            "auroc": metrics.roc_auc_score(labels, probabilities[:, 1]),
            "auprc": metrics.average_precision_score(labels, probabilities[:, 1]),
            "loss": metrics.log_loss(labels, probabilities),
        }
    )


def test_scores_of_independent_labels_are_means_over_labels():
    labels, probabilities = made(LABELS)
    scores, by_label = score(LABELS, labels, probabilities), score_by_label(LABELS, labels, probabilities)
    assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities, average="macro"))
    assert scores["auprc"] == pytest.approx(metrics.average_precision_score(labels, probabilities))
    assert scores["f1"] == pytest.approx(metrics.f1_score(labels, probabilities > 0.5, average="macro"))
    for name, values in by_label.items():
        assert scores[name] == pytest.approx(values.mean())


def test_a_label_without_members_is_left_out_of_the_mean():
    labels, probabilities = made(LABELS)
    wider = np.pad(labels, ((0, 0), (0, 1))), np.pad(probabilities, ((0, 0), (0, 1)), constant_values=0.1)
    for name in ("auroc", "auprc", "f1", "mcc"):
        assert score(LABELS, *wider)[name] == pytest.approx(score(LABELS, labels, probabilities)[name])
        assert np.isnan(score_by_label(LABELS, *wider)[name][-1])


def test_scores_of_values_match_scipy():
    labels, values = (array[:, 0] for array in made(VALUES))
    expected = {
        "pearson": stats.pearsonr(labels, values)[0],
        "spearman": stats.spearmanr(labels, values)[0],
        "r2": metrics.r2_score(labels, values),
        "mse": metrics.mean_squared_error(labels, values),
        "loss": metrics.mean_squared_error(labels, values),
    }
    assert score(VALUES, labels, values) == pytest.approx(expected)
    assert score(VALUES, labels, values[:, None]) == pytest.approx(expected)
    assert score(VALUES, labels, np.zeros_like(labels))["pearson"] == 0


def test_scores_of_one_class_are_those_of_it_against_the_rest():
    labels, probabilities = made(CLASSES)
    by_class = score_by_label(CLASSES, labels, probabilities)
    assert by_class["f1"][2] == metrics.f1_score(labels == 2, probabilities.argmax(1) == 2)
    assert by_class["f1"].mean() == pytest.approx(score(CLASSES, labels, probabilities)["f1"])


@pytest.mark.parametrize(("kind", "columns"), CASES)
def test_resampled_scores_match_scikit_learn_on_the_drawn_sequences(kind, columns):
    labels, predictions = made(kind, n=30, columns=columns)
    n, resamples, seed = len(labels), 25, 5
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, n, n) for _ in range(resamples)]
    brute = [score(kind, labels[rows], predictions[rows]) for rows in drawn]
    for metric in METRICS[kind]:
        low, high = np.quantile([scores[metric] for scores in brute], [0.05, 0.95])
        interval = bootstrap_interval(kind, metric, labels, predictions, resamples, 0.9, seed)
        assert interval == pytest.approx((low, high, 0.9)), metric


def test_resamples_of_one_class_have_no_ranking_and_do_not_count():
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3]])
    interval = bootstrap_interval(CLASSES, "auroc", labels, probabilities, resamples=50)
    assert 0 <= interval.low < interval.high <= 1


def test_one_seed_gives_one_interval_and_another_seed_another():
    labels, predictions = made(CLASSES)
    first, again, other = (bootstrap_interval(CLASSES, "mcc", labels, predictions, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_the_row_of_a_classifier_is_the_table_of_scores():
    labels, probabilities = made(CLASSES, columns=2)
    row, scores = score_classifier(labels, probabilities), score(CLASSES, labels, probabilities)
    assert row._asdict().items() >= {name: scores[name] for name in ("auroc", "mcc", "f1")}.items()
    assert (row.auroc_low, row.auroc_high) == bootstrap_interval(CLASSES, "auroc", labels, probabilities)[:2]


HALF = np.full((4, 2), 0.5)

BAD = [
    ("classes", [0, 1], HALF, r"no scores for problem type 'classes'; use one of single_label_classif"),
    (CLASSES, [0, 1], HALF, r"labels of shape \(2,\) do not fit predictions of shape \(4, 2\); give one row"),
    (VALUES, [0, 1, 2, 3], HALF, r"labels of shape \(4, 1\) do not fit predictions of shape \(4, 2\)"),
    (CLASSES, np.zeros(0, int), HALF[:0], r"there is nothing to score; give at least two"),
    (CLASSES, [0, 1, 0, 1], HALF * [1, np.nan], r"prediction for sequence 1 is no number"),
    (CLASSES, [1, 1, 1, 1], HALF, r"only one class is among the labels; scores need at least two"),
    (CLASSES, [0, 1, 2, 1], HALF, r"labels run from 0 to 2, and there are predictions for classes 0 to 1"),
    (LABELS, HALF, HALF, r"independent labels are 0 or 1"),
    (LABELS, np.ones((4, 2)), HALF, r"no label has both sequences with it and without it"),
    (VALUES, HALF[:, 0], HALF[:, 0], r"all values are the same"),
    (VALUES, [0, 1, np.nan, 3], HALF[:, 0], r"a label is no number; remove"),
]


@pytest.mark.parametrize(("kind", "labels", "predictions", "message"), BAD)
def test_what_cannot_be_scored_is_refused(kind, labels, predictions, message):
    with pytest.raises(InputError, match=message):
        score(kind, np.array(labels), np.array(predictions))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "pearson"}, r"single_label_classification has no score 'pearson'; use one of mcc, f1"),
        ({"coverage": 95}, r"coverage must be between 0 and 1, got 95"),
        ({"resamples": -1}, r"resamples must be 0 or more, got -1"),
    ],
)
def test_bad_settings_of_the_bootstrap_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        bootstrap_interval(CLASSES, given.pop("metric", "mcc"), *made(CLASSES), **given)


def test_without_scikit_learn_the_message_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'convnova\[report\]'"):
        score(CLASSES, *made(CLASSES))
