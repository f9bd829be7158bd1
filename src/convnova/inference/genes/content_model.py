"""What a gene finder without a network knows: content of kinds of bases, look of splice sites and starts.

    content    P(base | the 5 before it) of each codon position, of introns, and of what lies between genes
    sites      a weight matrix around donors, acceptors and starts against all GT, AG and ATG

It gives the decoder the same classes as a network does, so that both are compared with one grammar.

Source: the classic recipe of GENSCAN and its successors (Burge and Karlin 1997, J. Mol. Biol. 268:78), with
single matrices in place of dependent ones.

L length in bp, k order, S columns of a weight matrix.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings, label_regions
from convnova.genome import Gene, Genome, Interval
from convnova.inference.genes.emissions import (
    ACCEPTOR,
    CLASSES,
    DONOR,
    INTERGENIC,
    INTRON,
    MINUS,
    START,
    STOP,
)
from convnova.inference.genes.regions import Stretch
from convnova.sequence import Ids, N, reverse_complement

_LABELS = GeneLabelSettings("frame")
_OPPOSITE = np.array(LABEL_SETS["frame"].opposite, dtype=np.uint8)
_CONTENT = ((0, START), (1,), (2, STOP), (INTRON,), (INTERGENIC,))
"""Classes of each content; in the frame labels and in the decoder they have the same numbers."""
_SITES = {DONOR: (-3, 6), ACCEPTOR: (-20, 4), START: (-9, 6)}
"""First and last-but-one column of each weight matrix, counted from the base that has the class."""
_WORDS = {DONOR: ((0, 2), (1, 3)), ACCEPTOR: ((-1, 0), (0, 2)), START: ((0, 0), (1, 3), (2, 2))}
"""Offset and base of GT, which begins an intron, AG, which ends it, and ATG, which begins a gene."""
_BESIDE = {DONOR: 3, ACCEPTOR: 3, START: 0}
"""Content that the log-odds of a site are added to."""


_STRETCH_BP = 2**18
_REACH = 32
"""More than the order and the columns of a weight matrix on one side."""


@dataclass(frozen=True, eq=False)
class ContentModel:
    """Order-k content and weight matrices of splice sites and starts, counted on both strands."""

    order: int
    content: NDArray[np.float64]
    """Natural log of P(base | k bases before), for each of the five contents, (5, 4^k, 4)."""
    sites: Mapping[int, NDArray[np.float64]]
    """Log-odds of each base in each column against all places with the same letters, (S, 4), by class."""

    def emissions(self, ids: Ids) -> NDArray[np.float32]:
        """Return what the decoder is fed, (L, 17): log-likelihoods of each base.

        Both strands count from their own left; so that a path may change strand, classes of strand - are
        brought to the forward likelihood of what lies between genes.
        """
        forward, backward = self._strand(ids), self._strand(reverse_complement(ids))[::-1]
        result = np.empty((len(ids), CLASSES), dtype=np.float32)
        result[:, :MINUS] = forward[:, :MINUS]
        between = forward[:, MINUS]
        result[:, MINUS:INTERGENIC] = backward[:, :MINUS] - backward[:, MINUS:] + between[:, None]
        result[:, INTERGENIC] = between
        return result

    def stretches(self, fetch: Callable[[int, int], Ids], length: int) -> Iterator[Stretch]:
        """Yield the emissions of a sequence piece by piece, each read with the bases around that it needs."""
        for start in range(0, length, _STRETCH_BP):
            end = min(start + _STRETCH_BP, length)
            first, last = max(0, start - _REACH), min(length, end + _REACH)
            ids, kept = fetch(first, last), slice(start - first, end - first)
            yield Stretch(self.emissions(ids)[kept], ids[kept])

    def _strand(self, ids: Ids) -> NDArray[np.float64]:
        """Return the classes of one strand and, last, intergenic, (L, 9)."""
        codes, bases = _contexts(ids, self.order), np.minimum(ids, 3)
        is_known = (codes >= 0) & (ids != N)
        content = np.where(is_known, self.content[:, codes, bases], np.log(0.25))  # (5, L)
        result = np.empty((len(ids), MINUS + 1))
        result[:, :3], result[:, INTRON], result[:, MINUS] = content[:3].T, content[3], content[4]
        result[:, STOP] = content[2]
        for site, weights in self.sites.items():
            result[:, site] = content[_BESIDE[site]] + _site_scores(ids, weights, _SITES[site][0])
        return result


def fit_content_model(
    genome: Genome,
    regions: Sequence[Interval],
    genes: Sequence[Gene],
    order: int = 5,
    pseudocount: float = 1.0,
) -> ContentModel:
    """Return the model of the genes of some regions.

    Args:
        genome: that the genes lie on.
        regions: what is counted.
        genes: of the genome.
        order: k.
        pseudocount: added to every count.
    """
    labels = label_regions(genes, genome.chromosome_sizes, regions, _LABELS)
    content = np.full((len(_CONTENT), 4**order, 4), pseudocount)
    found = {site: np.full((last - first, 4), pseudocount) for site, (first, last) in _SITES.items()}
    alike = {site: counts.copy() for site, counts in found.items()}
    for ids, row, is_counted in _pieces(genome, regions, labels):
        codes = _contexts(ids, order)
        is_known = is_counted & (codes >= 0) & (ids != N)
        for index, classes in enumerate(_CONTENT):
            chosen = is_known & np.isin(row, classes)
            pairs = codes[chosen] * 4 + ids[chosen]
            content[index] += np.bincount(pairs, minlength=4 ** (order + 1)).reshape(-1, 4)
        for site, counts in found.items():
            places = np.flatnonzero(is_counted & (row == site))
            counts += _column_counts(ids, places, _SITES[site])
            places = np.flatnonzero(is_counted & _has_word(ids, _WORDS[site]))
            alike[site] += _column_counts(ids, places, _SITES[site])
    sites = {site: _log_odds(found[site], _WORDS[site], alike[site], _SITES[site][0]) for site in found}
    log_content = np.log(content / content.sum(axis=2, keepdims=True))
    return ContentModel(order, log_content, sites)


def _pieces(
    genome: Genome, regions: Sequence[Interval], labels: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[Ids, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield ids and labels of each region piece by piece, as written and as read from the other strand.

    Pieces overlap, so that each base is seen with those around it; the third array says where it counts.
    """
    for region, row in zip(regions, labels, strict=True):
        for start in range(0, region.width, _STRETCH_BP):
            end = min(start + _STRETCH_BP, region.width)
            first, last = max(0, start - _REACH), min(region.width, end + _REACH)
            ids = genome.fetch(Interval(region.chromosome, region.start + first, region.start + last))
            is_counted = np.zeros(last - first, dtype=bool)
            is_counted[start - first : end - first] = True
            yield ids, row[first:last], is_counted
            yield reverse_complement(ids), _OPPOSITE[row[first:last][::-1]], is_counted[::-1]


def _contexts(ids: Ids, order: int) -> NDArray[np.int64]:
    """Return the number of the k bases before each base, (L,); -1 where one is N or before the begin."""
    codes = np.full(len(ids), -1, dtype=np.int64)
    if len(ids) <= order:
        return codes
    before = sliding_window_view(ids, order)[: len(ids) - order]
    values = before.astype(np.int64) @ (4 ** np.arange(order - 1, -1, -1))
    codes[order:] = np.where((before == N).any(axis=1), -1, values)
    return codes


def _has_word(ids: Ids, word: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Return where the bases at some offsets are what they shall be, (L,)."""
    fits = np.ones(len(ids), dtype=bool)
    for offset, base in word:
        fits &= np.roll(ids, -offset) == base
    return fits


def _column_counts(ids: Ids, places: NDArray[np.int64], reach: tuple[int, int]) -> NDArray[np.float64]:
    """Return how often each base is in each column around some places, (S, 4); N is not counted."""
    first, last = reach
    inside = places[(places + first >= 0) & (places + last <= len(ids))]
    columns = ids[inside[:, None] + np.arange(first, last)]
    return np.stack([np.bincount(column, minlength=5)[:4] for column in columns.T]).astype(np.float64)


def _log_odds(
    found: NDArray[np.float64], word: tuple[tuple[int, int], ...], alike: NDArray[np.float64], first: int
) -> NDArray[np.float64]:
    """Return the log-odds of a weight matrix, (S, 4).

    The letters that all places have say nothing; another in their place costs as much as it is rare.
    """
    found, alike = (counts / counts.sum(axis=1, keepdims=True) for counts in (found, alike))
    odds = np.log(found) - np.log(alike)
    for offset, base in word:
        odds[offset - first] = np.log(found[offset - first])
        odds[offset - first, base] = 0
    return odds


def _site_scores(ids: Ids, weights: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Return the log-odds of a site at each base, (L,); bases beyond the ends and N say nothing."""
    scores = np.zeros(len(ids))
    table = np.vstack([weights.T, np.zeros(len(weights))])  # a row for N
    padded = np.pad(ids, (-first, first + len(weights)), constant_values=N)
    for column in range(len(weights)):
        scores += table[padded[column : column + len(ids)], column]
    return scores
