"""Genes of whole regions, from emissions that are read stretch by stretch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_labels import SHORTEST_INTRON_BP
from convnova.evaluation.gene_scores import CodingGene, GeneScores, score_genes
from convnova.genome import Gene, Interval, Transcript
from convnova.inference.genes.decoder import Decoder
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.grammar import DecoderSettings
from convnova.sequence import Ids


class Stretch(NamedTuple):
    """Bases side by side, and what is known of them."""

    emissions: NDArray[np.float32]
    """As the decoder is fed, (L, 17)."""
    ids: Ids
    """(L,)."""


Evidence = Callable[[], Iterator[Stretch]]
"""Gives the stretches of a region from left to right, each time that it is called."""


def decode_region(region: Interval, evidence: Evidence, settings: DecoderSettings) -> list[GeneModel]:
    """Return the genes of a region, in the coordinates of its chromosome."""
    decoder = Decoder(region.chromosome, settings)
    for stretch in evidence():
        decoder.feed(stretch.emissions, stretch.ids)
    return [gene.shift(region.start) for gene in decoder.finish()]


def agreement(
    predicted: Sequence[GeneModel], annotated: Sequence[Gene], regions: Sequence[Interval]
) -> GeneScores:
    """Return how decoded genes agree with annotated ones within some regions."""
    ours = [CodingGene(gene.chromosome, gene.strand, (_spans(gene.coding_exons),)) for gene in predicted]
    theirs = [
        CodingGene(
            gene.interval.chromosome,
            gene.interval.strand,
            tuple(_spans(_without_slips(transcript.coding_exons)) for transcript in gene.transcripts),
        )
        for gene in annotated
    ]
    return score_genes(ours, theirs, regions)


def as_gene(gene: GeneModel, name: str) -> Gene:
    """Return a decoded gene as a reader of annotations would."""
    interval = Interval(gene.chromosome, gene.start, gene.end, gene.strand)
    transcript = Transcript(f"{name}.t1", interval, gene.coding_exons, gene.coding_exons, gene.phase)
    return Gene(interval, name, name, (transcript,))


def _without_slips(exons: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return coding exons in genomic order, those joined that a frameshift parts: there is no intron."""
    joined: list[Interval] = []
    for exon in exons:
        if joined and exon.start - joined[-1].end < SHORTEST_INTRON_BP:
            joined[-1] = replace(joined[-1], end=max(joined[-1].end, exon.end))
        else:
            joined.append(exon)
    return tuple(joined)


def _spans(exons: tuple[Interval, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((exon.start, exon.end) for exon in exons)
