"""What a gene and an intron shall cost: chosen on validation, for a network or any other source of emissions.

The decoder adds up what is said of each base as if bases were independent, which they are not: evidence
counts several times, and a prior for each gene and each intron sets it right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from convnova.evaluation.gene_scores import GeneScores
from convnova.genome import Gene, Interval
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.genes.regions import Evidence, agreement, decode_region

GENE_SCORES = (-30.0, -15.0, -5.0, 0.0)
INTRON_SCORES = (-15.0, -8.0, -4.0, 0.0)


def choose_costs(
    evidence: Mapping[Interval, Evidence], annotated: Sequence[Gene], settings: DecoderSettings
) -> DecoderSettings:
    """Return the settings with the gene and intron score, of a grid of sixteen, that agree best with genes.

    Best is the mean of the F1 of nucleotides, exons and genes. Scores that are given are left as they are;
    all are where the regions have no gene.

    Args:
        evidence: of each region to choose on.
        annotated: genes of these regions.
        settings: of the decoder.
    """
    genes = GENE_SCORES if settings.gene_score is None else (settings.gene_score,)
    introns = INTRON_SCORES if settings.intron_score is None else (settings.intron_score,)
    choices = [
        replace(settings, gene_score=gene, intron_score=intron) for gene, intron in product(genes, introns)
    ]

    regions = list(evidence)
    if not agreement([], annotated, regions).gene.annotated:
        return settings

    def goodness(choice: DecoderSettings) -> float:
        found = [gene for region, one in evidence.items() for gene in decode_region(region, one, choice)]
        return mean_f1(agreement(found, annotated, regions))

    return max(choices, key=goodness)


def mean_f1(scores: GeneScores) -> float:
    """Return the mean F1 of nucleotides, exons and genes, of those that are defined; 0 where none is."""
    defined = [one.f1 for one in (scores.nucleotide, scores.exon, scores.gene) if not math.isnan(one.f1)]
    return sum(defined) / max(1, len(defined))
