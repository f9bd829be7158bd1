"""Scores of a masked language model: against a loop over bases, by hand, and on both strands."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pretraining import settings, write_genome

from convnova.data.masking import NO_LABEL, MaskingSettings
from convnova.data.splits import split_regions
from convnova.data.windows import PretrainingWindows, WindowSettings, tile
from convnova.errors import InputError
from convnova.evaluation.masked_lm import (
    BaseScores,
    base_log_probabilities,
    compare_with_counting,
    evaluation_masking,
    score_model,
    summarise,
)
from convnova.genome import Genome
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.sequence import N, reverse_complement
from convnova.training.pretrain import model_config


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    return Genome.open(write_genome(tmp_path_factory.mktemp("genome") / "g.fa"))


@pytest.fixture(scope="module")
def regions(genome):
    return split_regions(genome, WindowSettings(validation_chromosomes=["chr1"], test_chromosomes=["chr2"]))


@pytest.fixture(scope="module")
def windows(genome, regions):
    window_settings = WindowSettings(window_bp=64)
    table = tile(genome, regions["test"], window_settings)
    masking = evaluation_masking(MaskingSettings(rate=0.2))
    return PretrainingWindows(genome, table, window_settings, masking, seed=0, is_training=False)


@pytest.fixture(scope="module")
def model(genome, tmp_path_factory):
    torch.manual_seed(0)
    given = settings(genome.path, tmp_path_factory.mktemp("run"))
    return ConvNovaForMaskedLM(model_config(given.model))


@pytest.mark.parametrize("batch_windows", [1, 7, 100])
def test_score_model_matches_bruteforce(model, windows, batch_windows):
    scores = score_model(model, windows, batch_windows)
    model.eval()
    for index in range(len(windows)):
        example = windows[index]
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(example["input_ids"])).logits[0].double()
        for position, label in enumerate(example["labels"][0]):
            if label == NO_LABEL:
                assert np.isnan(scores.nats[index, position])
                assert not scores.is_correct[index, position]
                continue
            assert example["input_ids"][0, position] == N  # every scored base is hidden
            exponentials = [math.exp(value) for value in logits[position, :4].tolist()]
            nats = -math.log(exponentials[label] / sum(exponentials))
            assert scores.nats[index, position] == pytest.approx(nats, abs=1e-5)
            assert scores.is_correct[index, position] == (int(np.argmax(exponentials)) == label)


def test_strand_averaged_answers_are_the_same_from_either_strand(model):
    ids = np.random.default_rng(0).integers(0, 5, (3, 50), dtype=np.uint8)
    model.eval()
    with torch.no_grad():
        forward, reverse = (
            base_log_probabilities(model, torch.from_numpy(strand.astype(np.int64)), both_strands=True)
            for strand in (ids, reverse_complement(ids))
        )
        one_strand = base_log_probabilities(model, torch.from_numpy(ids.astype(np.int64)))
    torch.testing.assert_close(reverse, forward.flip(1, 2))  # positions reversed, A with T, C with G
    torch.testing.assert_close(forward.exp().sum(-1), torch.ones(3, 50))
    assert (forward - one_strand).abs().max() > 1e-3


def test_impossible_bases_have_finite_scores(windows):
    class Sure(torch.nn.Linear):
        def forward(self, input_ids):
            logits = torch.zeros(*input_ids.shape, 5)
            logits[..., 0] = 1000
            return SimpleNamespace(logits=logits)

    assert np.nanmax(score_model(Sure(1, 1), windows).nats) == pytest.approx(1000)


def test_summary_by_hand():
    nats = np.array([[1.0, np.nan, 3.0], [np.nan, 0.5, np.nan], [np.nan] * 3], dtype=np.float32)
    correct = np.array([[True, False, False], [False, True, False], [False] * 3])
    summary = summarise("x", BaseScores(nats, correct))
    assert summary.nats_per_base == pytest.approx(1.5)
    assert summary.bits_per_base == pytest.approx(1.5 / math.log(2))
    assert summary.perplexity == pytest.approx(math.exp(1.5))
    assert summary.accuracy == pytest.approx(2 / 3)
    assert summary.median_window_bits == pytest.approx((2 + 0.5) / 2 / math.log(2))
    assert summary.bases == 3


def test_nothing_to_score():
    with pytest.raises(InputError, match="no base of the held-out windows is scored; give more windows"):
        summarise("x", BaseScores(np.full((1, 2), np.nan, np.float32), np.zeros((1, 2), bool)))


@pytest.mark.parametrize("has_validation", [True, False])
def test_comparison_with_counting(model, genome, regions, windows, has_validation):
    train = [genome.fetch(region) for region in regions["train"]]
    validation = [genome.fetch(region) for region in regions["validation"]] if has_validation else []
    rows = {
        row.model.split(", order")[0]: row for row in compare_with_counting(model, train, validation, windows)
    }
    assert list(rows) == [
        *("uniform guess", "base frequencies", "Markov, left flank", "Markov, both flanks"),
        *("ConvNova", "ConvNova, strands averaged"),
    ]
    assert rows["uniform guess"].bits_per_base == pytest.approx(2)
    assert rows["Markov, both flanks"].bits_per_base < rows["base frequencies"].bits_per_base < 2.01
    assert len({row.bases for row in rows.values()}) == 1  # all on the same positions


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(model, windows, fails):
    model.train()
    model.convnova.blocks[0].eval()  # as when a part is frozen
    modes = [module.training for module in model.modules()]
    if fails:
        with pytest.raises(TypeError):
            score_model(model, windows, batch_windows="many")
    else:
        score_model(model, windows)
    assert [module.training for module in model.modules()] == modes


def test_a_model_that_gives_no_number_cannot_be_scored(windows):
    class Broken(torch.nn.Linear):
        def forward(self, input_ids):
            logits = torch.zeros(*input_ids.shape, 5)
            logits[0, windows[0]["labels"][0] != NO_LABEL] = math.nan
            return SimpleNamespace(logits=logits)

    with pytest.raises(InputError, match="gives no number for some bases"):
        score_model(Broken(1, 1), windows)
