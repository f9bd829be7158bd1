import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from convnova.errors import InputError
from convnova.evaluation.track_scores import by_group, score_tracks
from convnova.training.track_figures import track_figure

NAMES = ["a", "b", "c", "d", "e", "f"]
GROUPS = ["TF", "TF", "DHS", "TF", "DHS", "histone"]


@pytest.fixture
def scored():
    """Return labels, predictions and scores; d is positive nowhere, f everywhere."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 6)).astype(np.float32)
    labels[:, 3], labels[:, 5] = 0, 1
    predictions = rng.random((40, 6)).astype(np.float32)
    return labels, predictions, score_tracks(NAMES, GROUPS, labels, predictions)


def test_each_track_is_scored_on_its_own(scored):
    labels, predictions, scores = scored
    for column in (0, 1, 2, 4):
        truth, chance = labels[:, column], predictions[:, column]
        assert scores.by_metric["auroc"][column] == pytest.approx(roc_auc_score(truth, chance))
        assert scores.by_metric["auprc"][column] == pytest.approx(average_precision_score(truth, chance))
    assert scores.positives.tolist() == labels.sum(axis=0).tolist()


def test_tracks_without_positives_or_negatives_are_left_out_and_never_counted_as_half(scored):
    scores = scored[2]
    assert scores.left_out == ["d", "f"]
    assert all(np.isnan(values[[3, 5]]).all() for values in scores.by_metric.values())


def test_groups_are_means_and_medians_of_their_tracks(scored):
    scores = scored[2]
    groups = {one.group: one for one in by_group(scores)}
    assert list(groups) == ["all", "TF", "DHS"]
    for name, columns in {"all": [0, 1, 2, 4], "TF": [0, 1], "DHS": [2, 4]}.items():
        one = groups[name]
        assert one.tracks == len(columns)
        for metric, values in scores.by_metric.items():
            assert one.mean[metric] == pytest.approx(values[columns].mean())
            assert one.median[metric] == pytest.approx(np.median(values[columns]))


def test_signals_are_scored_by_correlation():
    rng = np.random.default_rng(0)
    labels, predictions = rng.normal(size=(2, 30, 3))
    labels[:, 1] = 2.0
    scores = score_tracks("abc", [""] * 3, labels, predictions, "regression")
    assert scores.left_out == ["b"]
    for column in (0, 2):
        expected = np.corrcoef(labels[:, column], predictions[:, column])[0, 1]
        assert scores.by_metric["pearson"][column] == pytest.approx(expected)
    assert list(scores.by_metric) == ["pearson", "spearman"]
    assert scores.positives.tolist() == [(column > 0).sum() for column in labels.T]


def test_the_table_has_a_row_a_track(scored):
    frame = scored[2].table()
    assert frame.columns == ["track", "group", "positives", "bins", "auroc", "auprc"]
    assert frame["track"].to_list() == NAMES
    assert frame["auroc"].is_null().to_list() == [False, False, False, True, False, True]
    assert frame["bins"].to_list() == [40] * 6


@pytest.mark.parametrize("groups", [GROUPS, [""] * 6])
def test_the_figure_is_drawn(scored, groups):
    assert track_figure(scored[2]._replace(groups=tuple(groups))).startswith(b"\x89PNG")


def test_names_must_fit(scored):
    labels, predictions, _ = scored
    with pytest.raises(InputError, match=r"5 names and 6 groups for labels \(40, 6\); give one of each"):
        score_tracks(NAMES[:5], GROUPS, labels, predictions)
    with pytest.raises(InputError, match="no label has both sequences with it and without it"):
        score_tracks(["d"], [""], labels[:, 3:4], predictions[:, 3:4])
