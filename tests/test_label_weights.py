from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_task import NETWORK, training

from convnova.data.base_windows import label_weights
from convnova.data.labelled import LabelledSequences, collate
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.training.finetune import finetune, make_model
from convnova.training.finetune_trainer import FinetuneTrainer
from convnova.training.label_weights import base_logits, positive_weights

LABELS = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0]], dtype=np.float32)


@pytest.fixture
def part():
    ids = np.random.default_rng(0).integers(0, 4, (5, 20)).astype(np.uint8)
    labels = LABELS.copy()
    labels[:, 1] = 0
    return LabelledSequences(pack(ids), labels)


def test_weights_balance_positives_and_negatives(part):
    assert part.label_totals.tolist() == [1, 0, 5, 4]
    balanced = positive_weights(part, "balanced")
    assert balanced == pytest.approx([4, 1, 1, 0.25])  # 1 where there is only one of both
    assert positive_weights(part, "sqrt") == pytest.approx(np.sqrt(balanced))


@pytest.mark.parametrize("weighting", ["none", "balanced", "sqrt"])
def test_the_loss_is_the_weighted_cross_entropy(part, weighting):
    torch.manual_seed(0)
    config = ConvNovaConfig(**NETWORK, num_labels=4, problem_type="multi_label_classification")
    model = ConvNovaForSequenceClassification(config).eval()
    settings = training(label_weighting=weighting, precision="fp32")
    batch = collate([part[index] for index in range(len(part))])
    with torch.no_grad():
        chance = model(batch["input_ids"]).logits.sigmoid().numpy().astype(np.float64)
    weight = 1 if weighting == "none" else positive_weights(part, weighting)
    expected = -(weight * part.labels * np.log(chance) + (1 - part.labels) * np.log(1 - chance)).mean()
    trainer = FinetuneTrainer(settings, "auroc", part, part, model=model)
    assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weighting", ["none", "balanced", "sqrt"])
def test_the_head_begins_where_no_change_of_its_bias_alone_would_help(part, weighting):
    """Its features put aside, the gradient of the loss is next to nothing, for labels that are on and off."""
    config = ConvNovaConfig(**NETWORK, num_labels=2, problem_type="multi_label_classification")
    both = LabelledSequences(part.ids, part.labels[:, [0, 3]])
    many = LabelledSequences(pack(list(both.ids) * 100), np.tile(both.labels, (100, 1)))
    model, _ = make_model(
        None, config, many, settings := training(label_weighting=weighting, precision="fp32")
    )
    with torch.no_grad():
        model.classifier.weight.zero_()
    trainer = FinetuneTrainer(settings, "auroc", many, many, model=model)
    trainer.compute_loss(model, collate([both[index] for index in range(5)])).backward()
    assert model.classifier.bias.grad.abs().max() < 2e-3
    with torch.no_grad():
        model.classifier.bias += 1
    model.zero_grad()
    trainer.compute_loss(model, collate([both[index] for index in range(5)])).backward()
    assert model.classifier.bias.grad.abs().min() > 2e-2


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_logits_of_bases_are_their_shares_of_the_weighted_loss(power, is_reversed):
    """Where half of the windows are read from the other strand, a label is seen as often as its opposite."""
    counts, opposite = np.array([100, 300, 5000]) * 1000, np.array([1, 0, 2])
    seen = np.array([200, 200, 5000]) * 1000 if is_reversed else counts
    weighted = seen * label_weights(counts, power)
    logits = base_logits(counts, power, opposite if is_reversed else None)
    assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(weighted / weighted.sum(), rel=1e-4)


def test_a_label_without_bases_has_a_logit_too():
    assert np.isfinite(base_logits(np.array([0, 7]), 0.5)).all()


@pytest.mark.parametrize(
    ("changes", "problem", "message"),
    [
        ({}, "single_label_classification", "label_weighting is for independent labels"),
        ({"method": "logistic-regression"}, "multi_label_classification", "has no label_weighting"),
    ],
)
def test_weights_are_refused_where_they_would_be_left_out(part, changes, problem, message):
    config = ConvNovaConfig(**NETWORK, num_labels=4, problem_type=problem)
    settings = replace(training(label_weighting="balanced"), **changes)
    with pytest.raises(InputError, match=message):
        finetune(None, config, part, part, settings)
