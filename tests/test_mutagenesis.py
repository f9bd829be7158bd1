import numpy as np
import pytest
import torch

from convnova.errors import InputError
from convnova.inference.mutagenesis import log_odds, saturation_mutagenesis
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import encode


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2), num_labels=2, dropout=0.5)
    return ConvNovaForSequenceClassification(config)


IDS = encode("ACGTNTTGCA")


def score(model, ids):
    with torch.no_grad():
        return float(log_odds(model(input_ids=torch.from_numpy(ids[None]).long()).logits))


def test_effects_match_a_loop_over_substitutions(model):
    made = saturation_mutagenesis(model.eval(), IDS)
    assert made.reference == pytest.approx(score(model, IDS), abs=1e-6)
    for position in range(len(IDS)):
        for base in range(4):
            mutant = IDS.copy()
            mutant[position] = base
            expected = score(model, mutant) - made.reference
            assert made.effects[position, base] == pytest.approx(expected, abs=1e-5)


def test_batch_size_invariance(model):
    one, many = (saturation_mutagenesis(model, IDS, batch_sequences=size) for size in (1, 64))
    np.testing.assert_allclose(one.effects, many.effects, atol=1e-5)


def test_importance_is_the_mean_loss_over_the_other_bases(model):
    made = saturation_mutagenesis(model, IDS)
    others = [base for base in range(4) if base != IDS[0]]
    assert made.importance[0] == pytest.approx(-made.effects[0, others].mean())
    assert made.importance[4] == pytest.approx(-made.effects[4].mean())  # N: each base is another one


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(model, training):
    model.train(training)
    saturation_mutagenesis(model, IDS)
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_batch_is_refused(model):
    with pytest.raises(InputError, match=r"reads one sequence.*\(2, 10\)"):
        saturation_mutagenesis(model, np.stack([IDS, IDS]))
