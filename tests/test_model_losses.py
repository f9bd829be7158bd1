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
from convnova.model.modeling_convnova import pool

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
    hidden = torch.full((1, 5000, 2), 100.0, dtype=torch.float16)
    assert pool(hidden, None, ConvNovaConfig(pooling="mean")).tolist() == [[100.0, 100.0]]


@pytest.mark.parametrize("length", [1, 5, 16, 37])
def test_segment_pooling_matches_bruteforce(length):
    hidden = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 40, dtype=torch.long)
    mask[0, :length], mask[1, 40 - length :] = 1, 1
    config = ConvNovaConfig(hidden_size=3, pooling="segments", pooling_segments=5)
    for row, start in enumerate((0, 40 - length)):
        parts = [[] for _ in range(5)]
        for place in range(length):
            parts[place * 5 // length].append(hidden[row, start + place])
        means = [torch.stack(part).mean(0) if part else torch.zeros(3) for part in parts]
        torch.testing.assert_close(pool(hidden, mask, config)[row], torch.cat(means))
