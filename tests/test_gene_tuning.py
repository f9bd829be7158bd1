"""Costs of genes and introns, chosen on validation."""

from dataclasses import replace

import numpy as np
import pytest
from random_genes import decode_genes, random_case

from convnova.evaluation.gene_scores import Agreement, GeneScores
from convnova.genome import Interval
from convnova.inference.genes.emissions import ACCEPTOR, DONOR, MINUS, SITES, START, STOP
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.genes.regions import Stretch, agreement, as_gene, decode_region
from convnova.inference.genes.tuning import CHOICES, choose_costs, mean_f1

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
    emissions, ids = random_case(np.random.default_rng(1), 3000)
    region = Interval("chr", 100, 3100)
    genes = decode_genes(emissions, ids, DecoderSettings(gene_score=-5.0, intron_score=-4.0))
    annotated = [as_gene(gene.shift(100), f"g{number}") for number, gene in enumerate(genes)]
    return {region: lambda: iter([Stretch(emissions, ids)])}, annotated


def test_costs_that_agree_better_are_chosen(case):
    evidence, annotated = case
    ((region, one),) = evidence.items()

    def goodness(settings):
        return mean_f1(agreement(decode_region(region, one, settings), annotated, [region]))

    assert annotated
    chosen = choose_costs(evidence, annotated, DecoderSettings())
    assert all(getattr(chosen, name) in values for name, values in CHOICES.items())
    first = DecoderSettings(**{name: values[0] for name, values in CHOICES.items()})
    assert goodness(chosen) > goodness(first)
    # No single change makes it better.
    for name, values in CHOICES.items():
        assert goodness(chosen) >= max(goodness(replace(chosen, **{name: value})) for value in values)


def test_costs_that_are_given_stay(case):
    evidence, annotated = case
    assert choose_costs(evidence, annotated, DecoderSettings(gene_score=-7.0)).gene_score == -7.0
    given = DecoderSettings(gene_score=-7.0, intron_score=1.0, content_weight=1.0)
    assert choose_costs(evidence, annotated, given) == given


def test_content_weighs_all_but_sites():
    emissions, ids = random_case(np.random.default_rng(3), 2000)
    weighted = emissions * np.float32(0.25)
    weighted[:, SITES] = emissions[:, SITES]
    settings = DecoderSettings(min_site_probability=0, content_weight=0.25)
    plain = DecoderSettings(min_site_probability=0)
    assert decode_genes(emissions, ids, settings) == decode_genes(weighted, ids, plain)
    assert decode_genes(emissions, ids, settings) != decode_genes(emissions, ids, plain)


@pytest.mark.parametrize("least", [0, 1e-4])
def test_ends_that_say_what_codons_do_are_content(least):
    emissions, ids = random_case(np.random.default_rng(3), 2000)
    for strand in (0, MINUS):
        emissions[:, [START + strand, STOP + strand]] = emissions[:, [strand, 2 + strand]]
    weighted = emissions * np.float32(0.25)
    splice_sites = [column + strand for strand in (0, MINUS) for column in (DONOR, ACCEPTOR)]
    weighted[:, splice_sites] = emissions[:, splice_sites]
    settings = DecoderSettings(min_site_probability=least, content_weight=0.25)
    found = decode_genes(emissions, ids, settings)
    assert found == decode_genes(weighted, ids, DecoderSettings(min_site_probability=least))
    emissions[:, START] -= np.float32(2)  # on one strand: both have starts of their own
    weighted[:, [START, START + MINUS]] = emissions[:, [START, START + MINUS]]
    changed = decode_genes(emissions, ids, settings)
    assert found != changed
    assert changed == decode_genes(weighted, ids, DecoderSettings(min_site_probability=least))


def test_where_there_is_no_gene_nothing_is_chosen():
    emissions = np.full((50, 17), -20, dtype=np.float32)
    emissions[:, 16] = 0
    evidence = {Interval("chr", 0, 50): lambda: iter([Stretch(emissions, np.zeros(50, dtype=np.uint8))])}
    assert choose_costs(evidence, [], DecoderSettings()) == DecoderSettings()
