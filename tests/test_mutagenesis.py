import numpy as np
import pytest
import torch

from convnova.errors import InputError
from convnova.inference.mutagenesis import (
    by_full_passes,
    is_incremental,
    log_odds,
    masked_effects,
    saturation_mutagenesis,
)
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.sequence import N, encode


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


@pytest.mark.parametrize(
    "network", [{}, {"downsampling": (1, 2, 1), "dilations": (1, 1, 1)}], ids=["", "unet"]
)
def test_every_way_gives_the_same_numbers(network):
    torch.manual_seed(0)
    settings = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2), "num_labels": 2} | network
    model = ConvNovaForSequenceClassification(ConvNovaConfig(**settings)).eval()
    assert is_incremental(model) is not bool(network)
    made, whole = (way(model, IDS, deletions=True) for way in (saturation_mutagenesis, by_full_passes))
    assert made.reference == pytest.approx(whole.reference, abs=1e-6)
    np.testing.assert_allclose(made.effects, whole.effects, atol=1e-5)
    np.testing.assert_allclose(made.deletions, whole.deletions, atol=1e-5)
    shorter = np.delete(IDS, 2)
    assert made.deletions[2] == pytest.approx(score(model, shorter) - made.reference, abs=1e-5)


def test_effects_on_a_hidden_base_match_a_loop_over_positions():
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2))
    model = ConvNovaForMaskedLM(config).eval()
    made = masked_effects(model, IDS, batch_bases=40)
    for position, base in enumerate(IDS):
        hidden = torch.from_numpy(IDS[None]).long()
        hidden[0, position] = N
        with torch.no_grad():
            log_p = model(input_ids=hidden).logits[0, position, :4].log_softmax(-1).numpy()
        expected = log_p - log_p[base] if base < N else np.full(4, np.nan)
        np.testing.assert_allclose(made[position], expected, atol=1e-5)


def test_batch_size_invariance(model):
    one, many = (saturation_mutagenesis(model, IDS, batch_bases=size) for size in (1, 400))
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


def test_the_only_base_is_not_deleted(model):
    with pytest.raises(InputError, match="nothing is left without it"):
        saturation_mutagenesis(model, IDS[:1], deletions=True)
