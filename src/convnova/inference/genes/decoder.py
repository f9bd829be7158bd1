"""The most probable genes of a chromosome, in one pass from left to right.

This is a Viterbi decoder that looks only at the events of `events.py`, since between two of them no state is
entered or left; `paths.py` follows them. It is exact, but for sites below `min_site_probability`, which are
passed over for speed; with 0 there are none. Here the chromosome is fed, and the best path is read as genes.

L bases in a chunk.
"""

import math

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.genome.interval import Interval
from convnova.inference.genes.emissions import CLASSES, IN_PLACE_OF, MINUS, SITES
from convnova.inference.genes.events import LEFT, MIN_EXON_BP, RIGHT, Chunk, find_events, running_sums
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.grammar import DecoderSettings, strands
from convnova.inference.genes.paths import Outside, Paths
from convnova.sequence import Ids, N

# A chunk takes 30 MB while its events are found; longer ones are no faster.
_STRETCH_BP = 2**17


class Decoder:
    """Finds the genes of one chromosome, which is fed in chunks; where it is cut changes nothing.

    Source: the grammar is that of generalized gene finders such as GENSCAN (Burge and Karlin 1997, J. Mol.
    Biol. 268:78), with one class a base from a network in place of its content and site models.
    """

    def __init__(self, chromosome: str, settings: DecoderSettings | None = None) -> None:
        """Make a decoder that stands before the first base.

        Args:
            chromosome: its name.
            settings: which genes are allowed; the defaults where None.
        """
        settings = settings or DecoderSettings()
        self._chromosome = chromosome
        self._strands = strands(settings)
        self._scores = settings.costs.gene, settings.costs.intron
        self._content_weight = np.float32(settings.costs.content)
        self._lowest = math.log(settings.min_site_probability) if settings.min_site_probability else -math.inf
        self._paths = Paths(self._strands, settings)
        self._next = MIN_EXON_BP  # the first boundary whose events are still to come
        # Unknown bases before the first one, so that each boundary has its left context.
        pad = LEFT - MIN_EXON_BP
        unknown = np.zeros((pad, CLASSES), dtype=np.float32)
        self._kept = Chunk(-pad, np.full(pad, N, dtype=np.uint8), unknown, np.zeros((8, pad + 1)))

    def feed(self, emissions: NDArray[np.float32], ids: Ids) -> None:
        """Read the next bases.

        Args:
            emissions: log-probabilities of the decoder's classes, as `emissions` gives them, (L, 17).
            ids: the bases, (L,).

        Raises:
            InputError: when the two do not fit each other, or a log-probability is not finite.
        """
        if emissions.shape != (len(ids), CLASSES):
            raise InputError(
                f"{self._chromosome}: emissions of shape {emissions.shape} for {len(ids)} bases; "
                f"give ({len(ids)}, {CLASSES})"
            )
        for first in range(0, len(ids), _STRETCH_BP):
            part = slice(first, first + _STRETCH_BP)
            self._append(_weigh(emissions[part], self._content_weight), ids[part])
            self._advance(self._end - RIGHT)

    def finish(self) -> list[GeneModel]:
        """Return the genes from left to right, once all bases were fed."""
        self._advance(self._end)
        best = self._paths.best(self._end, self._kept.sums[:, -1].tolist())
        genes = []
        while best.chain:
            gene, best = _gene(self._chromosome, best)
            genes.append(gene)
        return genes[::-1]

    @property
    def _end(self) -> int:
        """How many bases were fed."""
        return self._kept.start + len(self._kept.ids)

    def _append(self, emissions: NDArray[np.float32], ids: Ids) -> None:
        if not (is_finite := np.isfinite(emissions).all(axis=1)).all():
            raise InputError(
                f"{self._chromosome}, position {self._end + int(is_finite.argmin()) + 1}: "
                "a log-probability is not finite; make them with emissions(), and look for NaN in the model"
            )
        kept = self._kept
        emissions = np.concatenate([kept.emissions, emissions], dtype=np.float32)
        sums = running_sums(emissions, kept.start, kept.sums[:, 0], self._strands)
        self._kept = Chunk(kept.start, np.concatenate([kept.ids, ids]), emissions, sums)

    def _advance(self, last: int) -> None:
        """Follow the events up to the boundary `last`, and forget the bases that no later one needs."""
        if last < self._next:
            return
        kept = self._kept
        self._paths.follow(find_events(kept, self._next, last, self._strands, self._scores, self._lowest))
        self._next = last + 1
        left = self._next - LEFT - kept.start
        self._kept = Chunk(
            kept.start + left,
            kept.ids[left:].copy(),
            kept.emissions[left:].copy(),
            kept.sums[:, left:].copy(),
        )


def _weigh(emissions: NDArray[np.float32], content: np.float32) -> NDArray[np.float32]:
    """Return emissions with the weight of content on all but sites, (L, 17).

    A site counts for itself, not against the content that it takes the place of: between genes a network is
    sure that neither is there, and a false start would cost nothing. Where start (or stop) is on both strands
    what the base of the codon is, as `emissions` fills it for labels without one, it is content.
    """
    weighted = emissions * content
    weighted[:, SITES] = emissions[:, SITES]
    for end, base in IN_PLACE_OF.items():
        ends, bases = [end, end + MINUS], [base, base + MINUS]
        is_content = (emissions[:, ends] == emissions[:, bases]).all(axis=1)
        weighted[np.ix_(is_content, ends)] = weighted[np.ix_(is_content, bases)]
    return weighted


def _gene(chromosome: str, path: Outside) -> tuple[GeneModel, Outside]:
    """Return the last gene of a path, and the path before it."""
    boundaries, chain = [], path.chain
    while not isinstance(chain, Outside):
        boundary, chain = chain
        boundaries.append(boundary)
    ends = boundaries[::-1]
    strand = "+-"[path.strand]
    exons = tuple(
        Interval(chromosome, start, end, strand) for start, end in zip(ends[::2], ends[1::2], strict=True)
    )
    coding_bp = sum(exon.width for exon in exons)
    phase = (coding_bp - path.tail) % 3 if strand == "+" else path.tail
    is_partial = path.is_cut or chain.is_cut
    return GeneModel(chromosome, strand, exons, path.score - chain.score, phase, is_partial), chain
