import numpy as np
import pytest
import torch

from convnova.model import ConvNovaConfig, ConvNovaForSequenceClassification
from convnova.model.modeling_convnova import sequence_loss
from convnova.training.mixup import mix

IDS = torch.tensor([[0, 1, 2, 3], [3, 3, 4, 4], [2, 0, 1, 4]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])


@pytest.mark.parametrize("mask", [None, MASK])
def test_mixtures_match_bruteforce(mask):
    inputs = {"input_ids": IDS} | ({} if mask is None else {"attention_mask": mask})
    mixed = mix(inputs, 0.4, np.random.default_rng(0))
    assert sorted(mixed.partner.tolist()) == [0, 1, 2]
    assert 0 <= mixed.share <= 1
    for row, partner in enumerate(mixed.partner.tolist()):
        for place in range(4):
            expected = torch.zeros(5)
            for source, weight in ((row, mixed.share), (partner, 1 - mixed.share)):
                if mask is None or mask[source, place]:
                    expected[IDS[source, place]] += weight
            torch.testing.assert_close(mixed.inputs["inputs_embeds"][row, place], expected)
            if mask is not None:
                is_real = mask[row, place] or mask[partner, place]
                assert mixed.inputs["attention_mask"][row, place] == is_real


def test_one_seed_gives_the_same_mixtures():
    first, second = (mix({"input_ids": IDS}, 0.4, np.random.default_rng(5)) for _ in range(2))
    assert first.share == second.share
    assert torch.equal(first.inputs["inputs_embeds"], second.inputs["inputs_embeds"])


@pytest.mark.parametrize(
    ("problem", "labels"),
    [
        ("single_label_classification", torch.tensor([0, 2, 1])),
        ("multi_label_classification", torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 1]])),
        ("regression", torch.tensor([[0.5, 1, 2], [3, 0, 0], [0, 0, -1]])),
    ],
)
def test_the_loss_outside_the_model_is_the_models_own(problem, labels):
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, dilations=(1,), num_labels=3, problem_type=problem)
    outputs = ConvNovaForSequenceClassification(config)(IDS, labels=labels)
    torch.testing.assert_close(outputs.loss, sequence_loss(problem, outputs.logits, labels))
