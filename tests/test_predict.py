"""Predictions of whole sequences do not depend on what they are computed with."""

import threading

import numpy as np
import pytest
import torch

from convnova.data.packed import pack
from convnova.inference.inputs import ahead
from convnova.inference.predict import pooled_embeddings, predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import N, reverse_complement

TINY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2), "dropout": 0.5}
PROBLEMS = {
    "two classes": {"num_labels": 2},
    "three classes, max": {"num_labels": 3, "pooling": "max"},
    "center": {"num_labels": 2, "pooling": "center"},
    "segments": {"num_labels": 2, "pooling": "segments", "pooling_segments": 4},
    "labels": {"num_labels": 4, "problem_type": "multi_label_classification"},
    "values": {"num_labels": 2, "problem_type": "regression"},
}
LENGTHS = (1, 7, 40, 41, 40, 200, 3, 64, 40)


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS.keys())
def model(request):
    torch.manual_seed(0)
    return ConvNovaForSequenceClassification(ConvNovaConfig(**TINY | request.param)).eval()


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    return pack([rng.integers(0, 5, length).astype(np.uint8) for length in LENGTHS])


def one_by_one(model, sequences):
    """Return predictions of single sequences without padding, straight from the logits."""
    made = []
    for ids in sequences:
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(ids[None]).long()).logits[0]
        if model.config.problem_type == "multi_label_classification":
            logits = 1 / (1 + torch.exp(-logits))
        elif model.config.problem_type != "regression":
            logits = torch.exp(logits) / torch.exp(logits).sum()
        made.append(logits.numpy())
    return np.stack(made)


@pytest.mark.parametrize("batch_bases", [1, 80, 100, 2**16])
def test_batch_size_and_padding_invariance(model, sequences, batch_bases):
    made = predict(model, sequences, batch_bases=batch_bases)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, one_by_one(model, sequences), atol=1e-5)


def test_order_invariance(model, sequences):
    order = np.random.default_rng(1).permutation(len(sequences))
    np.testing.assert_allclose(
        predict(model, sequences.take(order)), predict(model, sequences)[order], atol=1e-5
    )


@pytest.mark.parametrize("left", [0, 1, 13])
def test_padding_side_invariance(model, sequences, left):
    ids = sequences[2]
    padded, mask = np.full((1, len(ids) + 20), N), np.zeros((1, len(ids) + 20), dtype=np.int64)
    padded[0, left : left + len(ids)], mask[0, left : left + len(ids)] = ids, 1
    with torch.no_grad():
        logits = model(torch.from_numpy(padded).long(), attention_mask=torch.from_numpy(mask)).logits
        alone = model(torch.from_numpy(ids[None]).long()).logits
    torch.testing.assert_close(logits, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("function", [predict, pooled_embeddings])
def test_both_strands_is_the_mean_of_both(model, sequences, function):
    opposite = pack([reverse_complement(ids) for ids in sequences])
    expected = (function(model, sequences) + function(model, opposite)) / 2
    np.testing.assert_allclose(function(model, sequences, both_strands=True), expected, atol=1e-6)
    np.testing.assert_allclose(
        function(model, opposite, both_strands=True), expected, atol=1e-5
    )  # so strands are alike


def test_probabilities_sum_to_one_and_values_are_free(model, sequences):
    torch.nn.init.constant_(model.classifier.bias, 7)
    made = predict(model, sequences)
    if model.config.problem_type == "regression":
        assert made.max() > 1
    elif model.config.problem_type == "multi_label_classification":
        assert 0.9 < made.min() <= made.max() <= 1
    else:
        np.testing.assert_allclose(made.sum(1), 1, atol=1e-6)


def test_the_head_of_pooled_embeddings_is_the_prediction(model, sequences):
    embeddings = pooled_embeddings(model, sequences)
    assert embeddings.shape == (len(sequences), model.config.pooled_size)
    with torch.no_grad():
        logits = model.classifier(torch.from_numpy(embeddings)).numpy()
    if model.config.problem_type == "regression":
        np.testing.assert_allclose(logits, predict(model, sequences), atol=1e-5)
    else:
        np.testing.assert_array_equal(logits.argmax(1), predict(model, sequences).argmax(1))


@pytest.mark.parametrize("is_training", [True, False])
def test_the_model_is_left_as_it_was(model, sequences, is_training):
    model.train(is_training)
    assert np.array_equal(predict(model, sequences), predict(model, sequences))  # dropout is off
    assert model.training is is_training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_mode_comes_back_after_an_error(model):
    model.train()
    with pytest.raises(RuntimeError):
        predict(model, pack([np.full(5, 9, dtype=np.uint8)]))
    assert model.training


def test_no_sequences_have_no_predictions(model):
    assert predict(model, pack([])).shape == (0, model.config.num_labels)


def test_items_are_made_ahead_in_their_order_and_errors_come_through():
    second_is_made = threading.Event()

    def items():
        yield 1
        second_is_made.set()
        yield 2
        raise KeyError("after the last")

    found = ahead(items())
    assert next(found) == 1
    assert second_is_made.wait(timeout=60)  # while the first is in use
    assert next(found) == 2
    with pytest.raises(KeyError, match="after the last"):
        next(found)
    assert list(ahead([])) == []
