"""Losses of the three heads, against formulas written out."""

import math

import pytest
import torch
import torch.nn.functional as F

from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)

IDS = torch.tensor([[0, 1, 2, 3, 4, 0], [3, 3, 2, 1, 0, 0]])
LABELS = torch.tensor([[0, -100, 2, -100, -100, 1], [-100, 3, -100, -100, -100, -100]])
WEIGHTS = torch.tensor([[1.0, 9.0, 0.5, 9.0, 9.0, 0.1], [9.0, 2.0, 9.0, 9.0, 9.0, 9.0]])


def toy(model_class, **settings):
    torch.manual_seed(0)
    return model_class(ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1,), **settings)).eval()


def written_out(logits, weights, divisor):
    total = 0.0
    for row, position in (LABELS != -100).nonzero().tolist():
        probability = logits[row, position].softmax(-1)[LABELS[row, position]].item()
        total -= math.log(probability) * weights[row, position].item()
    return total / divisor


@pytest.mark.parametrize("model_class", [ConvNovaForMaskedLM, ConvNovaForTokenClassification])
@pytest.mark.parametrize(
    ("given", "weights", "divisor"),
    [
        ({}, torch.ones(2, 6), 4),
        ({"loss_weights": WEIGHTS}, WEIGHTS, 3.6),
        ({"num_items_in_batch": torch.tensor(10)}, torch.ones(2, 6), 10),
        ({"loss_weights": WEIGHTS, "num_items_in_batch": 10}, WEIGHTS, 10),
    ],
    ids=["plain", "weights", "items", "weights-and-items"],
)
@torch.no_grad()
def test_loss_of_labelled_positions(model_class, given, weights, divisor):
    output = toy(model_class, num_labels=4)(IDS, labels=LABELS, **given)
    assert output.loss.item() == pytest.approx(written_out(output.logits, weights, divisor), rel=1e-5)


@pytest.mark.parametrize("model_class", [ConvNovaForMaskedLM, ConvNovaForTokenClassification])
def test_no_labelled_position_is_a_loss_of_zero_with_gradients(model_class):
    model = toy(model_class, num_labels=4)
    loss = model(IDS, labels=torch.full_like(IDS, -100)).loss
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("settings", "labels", "expected"),
    [
        ({"num_labels": 3}, torch.tensor([2, 0]), F.cross_entropy),
        ({"num_labels": 3}, torch.tensor([[1.0, 0, 1], [0, 0, 1]]), F.binary_cross_entropy_with_logits),
        ({"num_labels": 1}, torch.tensor([0.5, -2.0]), lambda x, y: F.mse_loss(x[:, 0], y)),
        ({"num_labels": 1}, torch.tensor([1, 0]), lambda x, y: F.mse_loss(x[:, 0], y.float())),
        ({"num_labels": 2, "problem_type": "regression"}, torch.tensor([[0.5, 1], [2, 3]]), F.mse_loss),
        (
            {"num_labels": 3, "problem_type": "multi_label_classification"},
            torch.tensor([[1, 0, 1], [0, 0, 1]]),
            lambda x, y: F.binary_cross_entropy_with_logits(x, y.float()),
        ),
    ],
    ids=["classes", "labels", "value", "whole-value", "values", "whole-labels"],
)
@torch.no_grad()
def test_loss_of_sequences(settings, labels, expected):
    output = toy(ConvNovaForSequenceClassification, **settings)(IDS, labels=labels)
    torch.testing.assert_close(output.loss, expected(output.logits, labels))


@torch.no_grad()
def test_mean_pooling_in_half_precision_does_not_overflow():
    from convnova.model.modeling_convnova import pool

    hidden = torch.full((1, 5000, 2), 100.0, dtype=torch.float16)
    assert pool(hidden, None, "mean").tolist() == [[100.0, 100.0]]
