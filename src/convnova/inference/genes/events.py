"""Where a path through genes can turn: start and stop codons and splice sites, found for a whole chunk.

Between two of these places a path stays in its state and only adds up emissions, so all that the decoder
needs is the running sum of each state at those places. Emissions count against intergenic, as log-odds: no
gene scores 0. Exons have one running sum for each *frame*, the place of the first base of their codons
modulo 3, as read from left to right. The first and the last base of a gene have columns of their own, so
BEGIN and END add how much these differ from what the running sum holds.

L bases in a chunk, S running sums (4 a strand), n events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.inference.genes.emissions import INTERGENIC
from convnova.inference.genes.grammar import CODONS, PAIRS, StrandGrammar
from convnova.sequence import Ids

ENTER, END, STOP, BEGIN, EXIT = range(5)
"""Kinds of events, in the order in which those of one place take effect.

    ENTER   an intron ends, an exon begins
    END     a gene ends
    STOP    a stop codon ends the paths in its frame
    BEGIN   a gene begins
    EXIT    an exon ends, an intron begins
"""

MIN_EXON_BP = 3
"""ENTER and BEGIN take effect this far behind their place: no exon is shorter."""
LEFT, RIGHT = 5, 2
"""Bases to the left and to the right of a boundary that its events depend on."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class Events(NamedTuple):
    """Events of a chunk, in the order in which they take effect."""

    kind: NDArray[np.int64]
    """ENTER ... EXIT, (n,)."""
    place: Places
    """The boundary before the base of this number: where the exon begins (ENTER, BEGIN) or ends, (n,)."""
    code: NDArray[np.int64]
    """ENTER, EXIT: row in the tables of intron states. Others: 3 x strand + frame. (n,)"""
    change: Floats
    """What is added to a path's score, by how many bases of a codon lie left of the place, (n, 3)."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive bases of a chromosome and all that their events are made of."""

    start: int
    """Position of the first base."""
    ids: Ids
    """(L,)"""
    emissions: NDArray[np.float32]
    """(L, 17)"""
    sums: Floats
    """Log-odds before each boundary, of frames 0 to 2 and of introns, of + and then of -, (S, L + 1)."""

    @property
    def pairs(self) -> Ids:
        """Number of the two bases from each one on, (L - 1,)."""
        return self.ids[:-1] * 5 + self.ids[1:]


def running_sums(
    emissions: NDArray[np.float32], start: int, before: Floats, strands: Sequence[StrandGrammar]
) -> Floats:
    """Return the sums of a chunk, (S, L + 1).

    One base is added after the other, so that where a chromosome is cut into chunks changes no bit.

    Args:
        emissions: (L, 17).
        start: position of the first base.
        before: the sums at the first boundary, (S,).
        strands: in the order of the sums.
    """
    sums = np.empty((len(before), len(emissions) + 1))
    sums[:, 0] = before
    log_odds = emissions[:, :INTERGENIC].T.astype(np.float64) - emissions[:, INTERGENIC]
    for index, strand in enumerate(strands):
        for frame in range(3):
            for base, column in enumerate(strand.exon_columns):
                where = slice((frame + base - start) % 3, None, 3)
                sums[4 * index + frame, 1:][where] = log_odds[column, where]
        sums[4 * index + 3, 1:] = log_odds[strand.intron_column]
    return np.cumsum(sums, axis=1, out=sums)


def find_events(
    chunk: Chunk,
    first: int,
    last: int,
    strands: Sequence[StrandGrammar],
    scores: tuple[float, float],
    lowest: float,
) -> Events:
    """Return the events that take effect at the boundaries `first` to `last`, both included.

    Args:
        chunk: from `LEFT` bases before `first` on; what it lacks to the right is no event.
        first: boundary, at least `MIN_EXON_BP`.
        last: boundary, at most the end of the chunk.
        strands: what is a site.
        scores: what is added for each gene and for each intron.
        lowest: log-probability of its class that a site must have.
    """
    found: list[_Found] = []
    for index, strand in enumerate(strands):
        found += _codons(chunk, first, last, index, strand, scores[0], lowest)
        found += _introns(chunk, first, last, index, strand, scores[1], lowest)
    kind = np.concatenate([np.full(len(place), kind) for kind, place, _, _ in found])
    place, code, change = (np.concatenate(parts) for parts in zip(*(each[1:] for each in found), strict=True))
    takes_effect = place + MIN_EXON_BP * ((kind == ENTER) | (kind == BEGIN))
    order = np.argsort(takes_effect * 5 + kind, kind="stable")
    return Events(kind[order], place[order], code[order], change[order])


_Found = tuple[int, Places, NDArray[np.int64], Floats]
"""One kind, and the place, code and change of its events, in no order."""


def _codons(
    chunk: Chunk,
    first: int,
    last: int,
    index: int,
    strand: StrandGrammar,
    gene_score: float,
    lowest: float,
) -> Iterator[_Found]:
    """Yield the events of start and stop codons, by the boundary behind the codon."""
    sums = chunk.sums[4 * index : 4 * index + 3]
    left_end = first - 3 - chunk.start
    right_end = last - chunk.start
    codons = chunk.pairs[left_end : right_end - 2] * 5 + chunk.ids[left_end + 2 : right_end]

    def behind(words: tuple[str, ...]) -> tuple[Places, NDArray[np.int64]]:
        """Return where codons end, within the chunk, and their frames."""
        ends = left_end + 3 + np.flatnonzero(np.isin(CODONS, words)[codons])
        return ends, (ends + chunk.start) % 3

    ends, frames = behind(strand.stops)
    yield STOP, ends + chunk.start, 3 * index + frames, np.zeros((len(ends), 3))

    def gain(places: Places, column: int, base: int) -> Floats:
        """Return what it adds that bases are read as the end of a gene, not as one of a codon, (n,)."""
        bases = chunk.emissions[places].astype(np.float64)
        return bases[:, column] - bases[:, strand.exon_columns[base]]

    ends, frames = behind(strand.end)
    is_likely = chunk.emissions[ends - 1, strand.end_column] >= lowest
    ends, frames = ends[is_likely], frames[is_likely]
    change = _first_of_three(sums[frames, ends] + gain(ends - 1, strand.end_column, 2))
    yield END, ends + chunk.start, 3 * index + frames, change

    ends, frames = behind(strand.begin)
    is_likely = chunk.emissions[ends - 3, strand.begin_column] >= lowest
    begins, frames = ends[is_likely] - 3, frames[is_likely]
    change = _first_of_three(gene_score - sums[frames, begins] + gain(begins, strand.begin_column, 0))
    yield BEGIN, begins + chunk.start, 3 * index + frames, change


def _introns(
    chunk: Chunk,
    first: int,
    last: int,
    index: int,
    strand: StrandGrammar,
    intron_score: float,
    lowest: float,
) -> Iterator[_Found]:
    """Yield the events of splice sites, by the boundary between exon and intron."""
    exons, introns = chunk.sums[4 * index : 4 * index + 3], chunk.sums[4 * index + 3]
    pairs, emissions = chunk.pairs, chunk.emissions

    def sites(words: tuple[str, ...], first: int, base: int, column: int) -> tuple[Places, Floats]:
        """Return where words begin, from `first` on, and the log-odds of their likely base (0 or 1)."""
        places = first + np.flatnonzero(np.isin(PAIRS, words)[pairs[first : first + width]])
        places = places[emissions[places + base, column] >= lowest]
        site = emissions[places + base].astype(np.float64)
        return places, site[:, column] - site[:, INTERGENIC]

    def exon_sums(places: Places) -> Floats:
        """Return the sums of exons whose codon has 0, 1, 2 bases to the left of each place, (n, 3)."""
        return exons[(places[:, None] + chunk.start - np.arange(3)) % 3, places[:, None]]

    first, width = first - chunk.start, last - first + 1
    for number, kind in enumerate(strand.introns):
        row = (index * len(strand.introns) + number) * len(PAIRS)

        places, site = sites(kind.first, first, 0, strand.first_column)
        change = (intron_score + site - introns[places + 1])[:, None] + exon_sums(places)
        yield EXIT, places + chunk.start, row + pairs[places - 2].astype(np.int64), change

        places, site = sites(kind.last, first - MIN_EXON_BP - 2, 1, strand.last_column)
        places += 2
        change = (site + introns[places - 1])[:, None] - exon_sums(places)
        yield ENTER, places + chunk.start, row + pairs[places].astype(np.int64), change


def _first_of_three(values: Floats) -> Floats:
    return np.pad(values[:, None], ((0, 0), (0, 2)))
