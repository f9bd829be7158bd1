"""The model that ships in models/ is what docs/results.md says."""

from pathlib import Path

import pytest

from convnova.data.masking import MaskingSettings
from convnova.data.windows import PretrainingWindows, WindowSettings, tile
from convnova.evaluation.masked_lm import evaluation_masking, score_model, summarise
from convnova.genome import Genome, Interval
from convnova.model import ConvNovaForMaskedLM

ROOT = Path(__file__).parent.parent
YEAST = ROOT / "src" / "convnova" / "demo" / "data" / "yeast.fa.gz"


def test_the_yeast_model_predicts_the_held_out_chromosome(tmp_path):
    genome = Genome.open(YEAST, cache=tmp_path)
    settings = WindowSettings()
    table = tile(genome, [Interval("chrIX", 0, genome.chromosome_sizes["chrIX"])], settings).rows(
        slice(0, None, 8)
    )
    windows = PretrainingWindows(
        genome, table, settings, evaluation_masking(MaskingSettings()), seed=0, is_training=False
    )
    scores = summarise(
        "yeast", score_model(ConvNovaForMaskedLM.from_pretrained(ROOT / "models" / "yeast"), windows)
    )
    # 1.853 on the whole chromosome; the best Markov model has 1.922.
    assert scores.bits_per_base == pytest.approx(1.853, abs=0.02)
