"""Genes, their transcripts, and what of these is exon, coding exon and intron; read by the readers beside.

::

    gene          |=====================================|
    transcript    |=====================================|
    exons         |=========|     |======|   |=========|     UTRs included
    introns                 |-----|      |---|
    coding_exons      |=====|     |======|   |====|          stop codon included
    coding_introns          |-----|      |---|
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from convnova.genome.interval import Interval


@dataclass(frozen=True, slots=True)
class Transcript:
    """One transcript of a gene."""

    id: str
    interval: Interval
    """From its first to its last base, untranslated regions included."""
    exons: tuple[Interval, ...]
    """In genomic order on either strand; the coding exons where the file has no others."""
    coding_exons: tuple[Interval, ...]
    """CDS segments, stop codon included, in genomic order on either strand; empty when it is not coding."""
    phase: int = 0
    """Bases before the first whole codon of the first coding exon in reading direction: 0 to 2."""

    @property
    def introns(self) -> tuple[Interval, ...]:
        """Gaps between neighbouring exons, in genomic order."""
        return _gaps(self.exons)

    @property
    def coding_introns(self) -> tuple[Interval, ...]:
        """Gaps between neighbouring coding exons, in genomic order.

        A programmed +1 frameshift is a gap of one base; at a -1 frameshift the exons overlap, with no gap.
        """
        return _gaps(self.coding_exons)


@dataclass(frozen=True, slots=True)
class Gene:
    """One gene with its transcripts."""

    interval: Interval
    """From its first to its last base."""
    id: str
    name: str
    """What people call it, or the id when there is no name."""
    transcripts: tuple[Transcript, ...]
    """In the order of the file."""


def width(intervals: Iterable[Interval]) -> int:
    """Return the length of all intervals together, in bp."""
    return sum(interval.end - interval.start for interval in intervals)


def _gaps(exons: tuple[Interval, ...]) -> tuple[Interval, ...]:
    return tuple(
        Interval(left.chromosome, left.end, right.start, left.strand)
        for left, right in pairwise(exons)
        if left.end < right.start
    )
