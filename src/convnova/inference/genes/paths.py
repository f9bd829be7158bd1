"""The best paths through genes, from event to event.

States are exons, by frame, and introns, by the codon they split. The paths of a state are kept as a *front*,
because one that scores less may still be needed: one that lacks less of the least coding length of a gene.
Sorted by what they lack, each path of a front scores more than all before it:

    lacks 0 bases, score 3.1  |  lacks 12 bases, score 4.0  |  lacks 45 bases, score 4.2

Where a path came from is a chain of tuples, which Python frees where no path needs it any longer.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from convnova.inference.genes.events import BEGIN, END, ENTER, EXIT, MIN_EXON_BP, STOP, Events
from convnova.inference.genes.grammar import PAIRS, DecoderSettings, StrandGrammar, split_codons

Chain = tuple[Any, ...]
"""(boundary, Chain): ends of exons from right to left, down to the `Outside` that the gene began from."""
Path = tuple[int, float, Chain]
"""What it lacks, its score less the running sum of its state, and its chain. In an intron it lacks so many
coding bases; in an exon the number is the boundary from which on it lacks none."""
Front = list[Path]


class Outside(NamedTuple):
    """The best path that is in no gene, from the end of its last gene on."""

    boundary: int
    """End of the last gene."""
    score: float
    """Of all its genes."""
    strand: int = 0
    """Of the last gene, 0 for + and 1 for -."""
    chain: Chain = ()
    """The last gene; empty where there is none."""
    tail: int = 0
    """Coding bases behind the last whole codon, at the right end: not 0 only where the gene is cut off."""
    is_cut: bool = False
    """Whether the sequence ends within the last gene; with an empty chain, begins within the next."""


class _IntronStates(NamedTuple):
    """What ENTER and EXIT read by their code."""

    frame: int
    """Number of the strand's frame 0 among all frames."""
    into: tuple[int, ...]
    """States that EXIT leads to, by how many bases of a codon lie to the left."""
    out_of: tuple[tuple[int, int], ...]
    """States that ENTER may come from, with how many bases of the codon lie to their left."""


class Paths:
    """The best path in each state, up to some place."""

    def __init__(self, strands: Sequence[StrandGrammar], settings: DecoderSettings) -> None:
        """Make the paths at the first base of a chromosome."""
        self._settings = settings
        self._rows: list[_IntronStates] = []
        self._bases: list[int] = []  # of the codon, left of each intron state
        for index, strand in enumerate(strands):
            split = split_codons(strand.stops)
            for _ in strand.introns:
                offset = len(self._bases)
                self._bases += split.bases
                for into, out_of in zip(split.into, split.out_of, strict=True):
                    came_from = tuple((offset + state, split.bases[state]) for state in out_of)
                    goes_to = tuple(offset + state for state in into)
                    self._rows.append(_IntronStates(3 * index, goes_to, came_from))
        self._outside = [Outside(0, 0.0)]  # the last few; each scores more than the one before
        self._exons: list[Front] = [[] for _ in range(3 * len(strands))]
        self._introns: list[Front] = [[] for _ in self._bases]
        # Introns not long enough yet: where they may end, then what `_add` takes.
        self._short: list[deque[tuple[int, int, float, int, Chain]]] = [deque() for _ in self._bases]
        if settings.has_partial_genes:
            self._begin_within_genes()

    def follow(self, events: Events) -> None:
        """Go on over the next events."""
        act = {ENTER: self._enter, END: self._end, STOP: self._stop, BEGIN: self._begin, EXIT: self._exit}
        kinds, places, codes, changes = (column.tolist() for column in events)
        for kind, place, code, change in zip(kinds, places, codes, changes, strict=True):
            act[kind](place, code, change)

    def best(self, length: int, sums: Sequence[float]) -> Outside:
        """Return the best path over a whole chromosome.

        Args:
            length: of the chromosome.
            sums: the running sums at its end.
        """
        best = self._outside[-1]
        if not self._settings.has_partial_genes:
            return best
        for number, exon in enumerate(self._exons):
            strand, frame = divmod(number, 3)
            for long_enough, score, chain in exon:
                score += sums[4 * strand + frame]
                if long_enough <= length and score > best.score:
                    best = Outside(length, score, strand, (length, chain), (length - frame) % 3, is_cut=True)
        per_strand = len(self._introns) // 2
        for state, bases in enumerate(self._bases):
            strand = state // per_strand
            # The end of the sequence may cut an intron however short.
            for lacks, score, chain in self._lengthened(state, length + self._settings.min_intron_bp):
                score += sums[4 * strand + 3]
                if lacks == 0 and score > best.score and not isinstance(chain, Outside):
                    best = Outside(length, score, strand, chain, bases, is_cut=True)
        return best

    def _begin_within_genes(self) -> None:
        """Let paths be in an exon or an intron before the first base."""
        missing, score = self._settings.min_coding_bp, self._settings.costs.gene
        start = Outside(0, 0.0, is_cut=True)
        for exon in self._exons:
            exon.append((max(missing, MIN_EXON_BP), score, (0, start)))
        unknown = PAIRS.index("NN")
        for row in self._rows[unknown :: len(PAIRS)]:
            for state in row.into:
                self._introns[state].append((missing, score + self._settings.costs.intron, start))

    def _stop(self, place: int, code: int, change: list[float]) -> None:
        self._exons[code].clear()

    def _begin(self, place: int, code: int, change: list[float]) -> None:
        before = next(outside for outside in reversed(self._outside) if outside.boundary <= place)
        long_enough = place + self._settings.min_coding_bp
        _add(self._exons[code], long_enough, before.score + change[0], place, before)

    def _end(self, place: int, code: int, change: list[float]) -> None:
        long_enough = [path for path in self._exons[code] if path[0] <= place]
        if long_enough:
            _, score, chain = long_enough[-1]
            score += change[0]
            if score > self._outside[-1].score:
                self._outside.append(Outside(place, score, code // 3, (place, chain)))
                del self._outside[:-_KEPT]

    def _exit(self, place: int, code: int, change: list[float]) -> None:
        row, may_end = self._rows[code], place + self._settings.min_intron_bp
        for bases in range(3):
            if exon := self._exons[row.frame + (place - bases) % 3]:
                state, gain = row.into[bases], change[bases]
                # An ENTER up to three bases back is still to take effect.
                intron = self._lengthened(state, place - MIN_EXON_BP)
                while len(exon) > 1 and exon[1][0] <= place:  # long enough too, and scores more
                    del exon[0]
                for long_enough, score, chain in exon:
                    lacks, score = max(long_enough - place, 0), score + gain
                    if not (intron and intron[0][0] <= lacks and intron[0][1] >= score):
                        self._short[state].append((may_end, lacks, score, place, chain))

    def _enter(self, place: int, code: int, change: list[float]) -> None:
        row = self._rows[code]
        for state, bases in row.out_of:
            if intron := self._lengthened(state, place):
                exon, gain = self._exons[row.frame + (place - bases) % 3], change[bases]
                for lacks, score, chain in intron:
                    _add(exon, place + lacks, score + gain, place, chain)

    def _lengthened(self, state: int, place: int) -> Front:
        """Return the introns of a state that may end at `place`."""
        front, short = self._introns[state], self._short[state]
        while short and short[0][0] <= place:
            _, lacks, score, left, chain = short.popleft()
            _add(front, lacks, score, left, chain)
        return front


# BEGIN looks back over so many boundaries, at each of which a gene of either strand may end.
_KEPT = 2 * MIN_EXON_BP + 1


def _add(front: Front, lacks: int, score: float, place: int, chain: Chain) -> None:
    """Put a path that turns at a place into a front, in place of those that lack as much and score no more.

    It is left out where a path lacks no more and scores as much.
    """
    at = len(front)
    while at and front[at - 1][0] >= lacks:
        at -= 1
    if at and front[at - 1][1] >= score:
        return
    until = at
    while until < len(front) and front[until][1] <= score:
        until += 1
    if until == at < len(front) and front[at][0] == lacks:
        return
    front[at:until] = [(lacks, score, (place, chain))]
