"""Costs of genes and introns, chosen on validation."""

import numpy as np
import pytest
from random_genes import decode_genes, random_case

from convnova.evaluation.gene_scores import Agreement, GeneScores
from convnova.genome import Interval
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.genes.regions import Stretch, agreement, as_gene, decode_region
from convnova.inference.genes.tuning import GENE_SCORES, INTRON_SCORES, choose_costs, mean_f1

NOTHING = Agreement(0, 0, 0, 0)
MISSED = Agreement(3, 0, 0, 0)
FOUND = Agreement(3, 3, 3, 3)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((FOUND, FOUND, MISSED), 2 / 3), ((FOUND, NOTHING, MISSED), 1 / 2), ((NOTHING,) * 3, 0)],
)
def test_the_mean_f1_is_of_the_levels_that_are_defined(levels, expected):
    nucleotide, exon, gene = levels
    assert mean_f1(GeneScores(nucleotide, exon, FOUND, gene)) == pytest.approx(expected)


@pytest.fixture(scope="module")
def case():
    """Emissions that say nothing for sure, and the genes that are there at some costs."""
    emissions, ids = random_case(np.random.default_rng(8), 3000)
    region = Interval("chr", 100, 3100)
    genes = decode_genes(emissions, ids, DecoderSettings(gene_score=-5.0, intron_score=-4.0))
    annotated = [as_gene(gene.shift(100), f"g{number}") for number, gene in enumerate(genes)]
    return {region: lambda: iter([Stretch(emissions, ids)])}, annotated


def test_the_costs_of_a_grid_that_agree_best_are_chosen(case):
    evidence, annotated = case
    ((region, one),) = evidence.items()

    def goodness(gene, intron):
        settings = DecoderSettings(gene_score=gene, intron_score=intron)
        return mean_f1(agreement(decode_region(region, one, settings), annotated, [region]))

    assert annotated
    chosen = choose_costs(evidence, annotated, DecoderSettings())
    assert goodness(*chosen.costs) == 1
    assert goodness(0, 0) < 1
    assert chosen.gene_score in GENE_SCORES
    assert chosen.intron_score in INTRON_SCORES


def test_costs_that_are_given_stay(case):
    evidence, annotated = case
    chosen = choose_costs(evidence, annotated, DecoderSettings(gene_score=-7.0))
    assert chosen.gene_score == -7.0
    assert choose_costs(evidence, annotated, DecoderSettings(gene_score=-7.0, intron_score=1.0)).costs == (
        -7,
        1,
    )


def test_where_there_is_no_gene_nothing_is_chosen():
    emissions = np.full((50, 13), -20, dtype=np.float32)
    emissions[:, 12] = 0
    evidence = {Interval("chr", 0, 50): lambda: iter([Stretch(emissions, np.zeros(50, dtype=np.uint8))])}
    assert choose_costs(evidence, [], DecoderSettings()) == DecoderSettings()
