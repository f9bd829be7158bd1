"""What gene finders report: how much of an annotation was found, and how much of what was found is right.

    level        counted are                           right is
    nucleotide   coding bases, each strand by itself   a base that codes on the same strand
    exon         distinct coding exons                 both ends and the strand
    intron       distinct gaps between coding exons    both ends and the strand
    gene         genes                                 all coding exons of one transcript

Sensitivity is recall, the share of the annotation that was found. *Specificity* is what this field calls the
share of the predictions that is right, which is precision elsewhere; it is not TN / (TN + FP).

Source: Burset and Guigo 1996, Genomics 34:353 (nucleotide and exon); Keibler and Brent 2003, BMC
Bioinformatics 4:50 (Eval: gene, several transcripts).
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from convnova.evaluation.confusion import share
from convnova.genome.interval import Interval

Exons = tuple[tuple[int, int], ...]
"""Start and end of each coding exon, 0-based and half-open, in genomic order."""


class CodingGene(NamedTuple):
    """A gene, predicted or annotated, as far as it codes."""

    chromosome: str
    strand: str
    """``+`` or ``-``."""
    transcripts: tuple[Exons, ...]
    """One of them is enough to be right at the level of genes."""


class Agreement(NamedTuple):
    """How predictions and annotation agree at one level."""

    annotated: int
    """What there is to find."""
    found: int
    """How many of the annotated are among the predicted."""
    predicted: int
    """What was predicted."""
    right: int
    """How many of the predicted are among the annotated."""

    @property
    def sensitivity(self) -> float:
        """Recall: the share of the annotated that was found; NaN where nothing is annotated."""
        return share(self.found, self.annotated)

    @property
    def specificity(self) -> float:
        """Precision: the share of the predicted that is right; NaN where nothing is predicted."""
        return share(self.right, self.predicted)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two; 0 where nothing agrees, NaN where there is nothing at all."""
        if not self.annotated and not self.predicted:
            return math.nan
        if not self.found or not self.right:
            return 0.0
        return 2 * self.sensitivity * self.specificity / (self.sensitivity + self.specificity)


class GeneScores(NamedTuple):
    """Agreement at all levels."""

    nucleotide: Agreement
    exon: Agreement
    intron: Agreement
    gene: Agreement


def score_genes(
    predicted: Iterable[CodingGene], annotated: Iterable[CodingGene], regions: Sequence[Interval]
) -> GeneScores:
    """Return how predicted genes agree with annotated ones within regions.

    A base counts when it is in a region, an exon or intron when it lies wholly within one, and a gene when
    all that codes in it does. Exons and introns that several transcripts share count once.

    Args:
        predicted: in any order.
        annotated: in any order; genes without coding exons do not count.
        regions: where both are compared, of either strand; they may overlap.
    """
    within = _Regions(regions)
    ours, theirs = list(predicted), list(annotated)
    our_exons, their_exons = _exons(ours), _exons(theirs)
    our_bases, their_bases = within.bases(our_exons), within.bases(their_exons)
    shared_bases = our_bases + their_bases - within.bases(our_exons | their_exons)
    return GeneScores(
        nucleotide=Agreement(their_bases, shared_bases, our_bases, shared_bases),
        exon=_agreement(within.whole(our_exons), within.whole(their_exons)),
        intron=_agreement(within.whole(_introns(ours)), within.whole(_introns(theirs))),
        gene=_gene_agreement(_genes(ours, within), _genes(theirs, within)),
    )


Segment = tuple[str, str, int, int]
"""Chromosome, strand, start and end."""


class _Regions:
    """Where genes are compared."""

    def __init__(self, regions: Iterable[Interval]) -> None:
        of_chromosome = defaultdict(list)
        for region in regions:
            of_chromosome[region.chromosome].append((region.start, region.end))
        self._regions = {chromosome: _merged(each) for chromosome, each in of_chromosome.items()}

    def whole(self, segments: Iterable[Segment]) -> set[Segment]:
        """Return the segments that lie wholly within one region."""
        return {segment for segment in segments if self.hold(segment[0], segment[2], segment[3])}

    def hold(self, chromosome: str, start: int, end: int) -> bool:
        """Whether one region holds all from start to end."""
        regions = self._regions.get(chromosome, [])
        index = bisect_right(regions, (start, math.inf)) - 1
        return index >= 0 and regions[index][0] <= start and end <= regions[index][1]

    def bases(self, segments: Iterable[Segment]) -> int:
        """Return how many bases, of either strand, are in a segment and a region."""
        of_strand = defaultdict(list)
        for chromosome, strand, start, end in segments:
            regions = self._regions.get(chromosome, [])
            for index in range(max(bisect_right(regions, (start, math.inf)) - 1, 0), len(regions)):
                first, last = regions[index]
                if first >= end:
                    break
                if max(start, first) < min(end, last):
                    of_strand[chromosome, strand].append((max(start, first), min(end, last)))
        return sum(end - start for each in of_strand.values() for start, end in _merged(each))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of spans as sorted spans that do not touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _exons(genes: Iterable[CodingGene]) -> set[Segment]:
    return {
        (gene.chromosome, gene.strand, start, end)
        for gene in genes
        for exons in gene.transcripts
        for start, end in exons
    }


def _introns(genes: Iterable[CodingGene]) -> set[Segment]:
    return {
        (gene.chromosome, gene.strand, left[1], right[0])
        for gene in genes
        for exons in gene.transcripts
        for left, right in pairwise(exons)
        if left[1] < right[0]  # at a -1 frameshift exons overlap
    }


_Structures = set[tuple[str, str, Exons]]
"""The transcripts of a gene, each with its chromosome and strand."""


def _genes(genes: Iterable[CodingGene], within: _Regions) -> list[_Structures]:
    """Return the genes that code and lie within a region."""
    coding = [(gene, [exons for exons in gene.transcripts if exons]) for gene in genes]
    return [
        {(gene.chromosome, gene.strand, exons) for exons in transcripts}
        for gene, transcripts in coding
        if transcripts
        and within.hold(
            gene.chromosome,
            min(exons[0][0] for exons in transcripts),
            max(exons[-1][1] for exons in transcripts),
        )
    ]


def _gene_agreement(predicted: list[_Structures], annotated: list[_Structures]) -> Agreement:
    ours, theirs = set[Any]().union(*predicted), set[Any]().union(*annotated)
    return Agreement(
        annotated=len(annotated),
        found=sum(not gene.isdisjoint(ours) for gene in annotated),
        predicted=len(predicted),
        right=sum(not gene.isdisjoint(theirs) for gene in predicted),
    )


def _agreement(predicted: set[Segment], annotated: set[Segment]) -> Agreement:
    shared = len(predicted & annotated)
    return Agreement(len(annotated), shared, len(predicted), shared)
