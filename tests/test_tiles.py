"""Predictions tile by tile are those of one pass over the whole sequence."""

import types

import numpy as np
import pytest
import torch

from convnova.data.base_labels import LABEL_SETS
from convnova.inference.tiles import TILE_BP, predict_bases
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.sequence import reverse_complement

LENGTH = 80
OPPOSITE = np.array(LABEL_SETS["bend"].opposite)


def model_of(dilations, **changes):
    """Return a model with random weights that are no small numbers."""
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=dilations, num_labels=9, **changes)
    model = ConvNovaForTokenClassification(config)
    torch.nn.init.normal_(model.classifier.weight)
    return model


torch.set_num_threads(1)

MODELS = {
    "field of 15 bp": model_of((1, 2)),
    "field of 73 bp": model_of((1, 7, 24)),
    "field wider than the sequence": model_of((3, 70)),
    "the stem alone reaches out": model_of((1,)),
}


def sequence(length=LENGTH):
    return np.random.default_rng(1).integers(0, 5, length).astype(np.uint8)


def tiles(model, ids, opposite=None, tile_bp=TILE_BP):
    return list(predict_bases(model, lambda start, end: ids[start:end], len(ids), opposite, tile_bp))


def predictions(model, ids, opposite=None, tile_bp=TILE_BP):
    return np.concatenate([tile.probabilities for tile in tiles(model, ids, opposite, tile_bp)])


def one_pass(model, ids):
    with torch.no_grad():
        return model.eval()(input_ids=torch.from_numpy(ids).long()[None]).logits[0].softmax(-1).numpy()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("tile_bp", [1, 7, 40, 79, 80, 81, TILE_BP])
def test_tiles_match_one_pass(model, tile_bp):
    ids = sequence()
    plain, other = one_pass(model, ids), one_pass(model, reverse_complement(ids))[::-1, OPPOSITE]
    np.testing.assert_allclose(predictions(model, ids, None, tile_bp), plain, atol=1e-5)
    np.testing.assert_allclose(predictions(model, ids, OPPOSITE, tile_bp), (plain + other) / 2, atol=1e-5)
    assert np.abs(plain - other).max() > 0.01  # or the mean would prove nothing


@pytest.mark.parametrize("name", LABEL_SETS)
def test_both_strands_are_alike_when_read_from_the_other(name):
    label_set = LABEL_SETS[name]
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2), num_labels=len(label_set.labels))
    model, ids, opposite = ConvNovaForTokenClassification(config), sequence(), np.array(label_set.opposite)
    forward = predictions(model, ids, opposite, 30)
    backward = predictions(model, reverse_complement(ids), opposite, 30)
    np.testing.assert_allclose(backward[::-1, opposite], forward, atol=1e-5)


def test_tiles_lie_side_by_side_and_hold_their_bases():
    ids = sequence()
    made = tiles(MODELS["field of 15 bp"], ids, tile_bp=30)
    assert [tile.start for tile in made] == [0, 30, 60]
    assert [len(tile.ids) for tile in made] == [30, 30, 20]
    np.testing.assert_array_equal(np.concatenate([tile.ids for tile in made]), ids)
    for tile in made:
        assert tile.probabilities.dtype == np.float32
        assert tile.probabilities.shape == (len(tile.ids), 9)
        np.testing.assert_allclose(tile.probabilities.sum(axis=1), 1, atol=1e-6)


def test_an_empty_sequence_has_no_tiles():
    assert tiles(MODELS["field of 15 bp"], sequence(0)) == []


@pytest.mark.parametrize("tile_bp", [8, 64])
def test_no_more_is_read_than_a_tile_and_its_halos_and_only_when_asked_for(tile_bp):
    read = []

    def fetch(start, end):
        read.append((start, end))
        return sequence()[start:end]

    model = MODELS["field of 15 bp"]
    halo = model.config.receptive_field // 2
    stream = predict_bases(model, fetch, LENGTH, OPPOSITE, tile_bp)
    assert isinstance(stream, types.GeneratorType)
    for number, tile in enumerate(stream):
        assert read[number:] == [(max(0, tile.start - halo), min(LENGTH, tile.start + len(tile.ids) + halo))]


@pytest.mark.parametrize("was_training", [True, False])
def test_the_mode_of_the_model_comes_back_after_each_tile(was_training):
    model = model_of((1, 2), dropout=0.5).train(was_training)
    expected = one_pass(model_of((1, 2)), sequence())
    model.convnova.stem.eval()
    for tile in predict_bases(model, lambda start, end: sequence()[start:end], LENGTH, None, 40):
        assert model.training is was_training
        assert model.convnova.stem.training is False
        rows = slice(tile.start, tile.start + len(tile.ids))
        np.testing.assert_allclose(tile.probabilities, expected[rows], atol=1e-5)


def test_the_mode_comes_back_after_an_error():
    model = model_of((1, 2)).train()
    with pytest.raises(RuntimeError):
        next(predict_bases(model, lambda start, end: np.full(end - start, 7, dtype=np.uint8), LENGTH))
    assert model.training


def test_no_gradients_are_kept():
    tiles(model := model_of((1, 2)), sequence())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()
