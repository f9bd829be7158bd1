import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from convnova.errors import InputError
from convnova.evaluation.track_scores import by_group, lines, score_tracks, write_track_scores
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
        assert scores.auroc[column] == pytest.approx(roc_auc_score(truth, chance))
        assert scores.auprc[column] == pytest.approx(average_precision_score(truth, chance))
    assert scores.positives.tolist() == labels.sum(axis=0).tolist()


def test_tracks_without_positives_or_negatives_are_left_out_and_never_counted_as_half(scored):
    scores = scored[2]
    assert scores.left_out == ("d", "f")
    assert np.isnan(scores.auroc[[3, 5]]).all()
    assert np.isnan(scores.auprc[[3, 5]]).all()
    assert lines(scores)[-1] == ("2 tracks are left out, with no positive or no negative among 40 bins: d, f")


def test_groups_are_means_and_medians_of_their_tracks(scored):
    scores = scored[2]
    groups = {one.group: one for one in by_group(scores)}
    assert list(groups) == ["all", "TF", "DHS"]
    for name, columns in {"all": [0, 1, 2, 4], "TF": [0, 1], "DHS": [2, 4]}.items():
        one = groups[name]
        assert one.tracks == len(columns)
        assert one.auroc_mean == pytest.approx(scores.auroc[columns].mean())
        assert one.auroc_median == pytest.approx(np.median(scores.auroc[columns]))
        assert one.auprc_mean == pytest.approx(scores.auprc[columns].mean())
        assert one.auprc_median == pytest.approx(np.median(scores.auprc[columns]))


def test_the_csv_has_a_row_a_track(scored, tmp_path):
    write_track_scores(scored[2], tmp_path / "tracks.csv")
    frame = pl.read_csv(tmp_path / "tracks.csv")
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
