"""Scores of a model over labelled regions, as scikit-learn has them of all bases at once."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss, matthews_corrcoef

from convnova.data.base_labels import LABEL_SETS
from convnova.data.base_windows import UNKNOWN, LabelledBases
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference.score_bases import score_bases
from convnova.inference.tiles import predict_bases
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForTokenClassification

BEND = LABEL_SETS["bend"]
REGIONS = (Interval("chr1", 0, 150), Interval("chr1", 170, 200, "-"))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2), num_labels=9)
    model = ConvNovaForTokenClassification(config)
    torch.nn.init.normal_(model.classifier.weight)
    return model


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    rng = np.random.default_rng(0)
    genome = Genome.of_sequences(
        tmp_path_factory.mktemp("g") / "g.gb", [("chr1", rng.integers(0, 4, 200, np.uint8))]
    )
    labels = [rng.integers(0, 7, region.width) for region in REGIONS]  # two labels do not occur
    labels = [np.where(rng.random(len(row)) < 0.2, UNKNOWN, row).astype(np.uint8) for row in labels]
    return LabelledBases(genome, REGIONS, tuple(labels))


@pytest.mark.parametrize("both_strands", [False, True])
def test_scores_are_those_of_all_known_bases_at_once(model, bases, both_strands):
    opposite = np.array(BEND.opposite) if both_strands else None
    tiles = [
        tile
        for index, region in enumerate(REGIONS)
        for tile in predict_bases(model, bases.region_fetch(index), region.width, opposite)
    ]
    truth = np.concatenate(bases.labels)
    probabilities = np.concatenate([tile.probabilities for tile in tiles])[truth != UNKNOWN].astype(float)
    truth = truth[truth != UNKNOWN]
    called = probabilities.argmax(axis=1)
    result = score_bases(model, bases, BEND, both_strands)
    nats = log_loss(truth, probabilities / probabilities.sum(axis=1, keepdims=True), labels=range(9))
    assert result.scores == {
        "mcc": pytest.approx(matthews_corrcoef(truth, called)),
        "f1": pytest.approx(
            f1_score(truth, called, labels=np.unique(truth), average="macro", zero_division=0)
        ),
        "accuracy": pytest.approx((truth == called).mean()),
        "loss": pytest.approx(nats, rel=1e-5),
    }
    assert result.confusion.sum() == len(truth)
    assert [one.n for one in result.by_label] == np.bincount(truth, minlength=9).tolist()


def test_each_tile_is_handed_on_and_the_mode_comes_back(model, bases):
    model.train()
    seen = []
    score_bases(
        model, bases, BEND, False, lambda index, tile: seen.append((index, tile.start, len(tile.ids)))
    )
    assert seen == [(0, 0, 150), (1, 0, 30)]
    assert model.training


def test_regions_without_a_label_are_refused(model, bases):
    unknown = bases._replace(labels=tuple(np.full_like(row, UNKNOWN) for row in bases.labels))
    with pytest.raises(InputError, match="no base has a label; give at least one"):
        score_bases(model, unknown, BEND, False)
