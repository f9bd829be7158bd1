"""The slow twin of the gene decoder: Viterbi over every state at every base.

It states the grammar anew, in words. What a path remembers, read from left to right on either strand:

    exon      strand, bases of the unfinished codon, length of the exon (up to 3), coding bases of the gene
              (up to the least number), whether this is the gene's first codon
    intron    strand, kind, bases of the codon it splits, its length (up to the least), coding bases

L length in bp, S states, n transitions on one letter.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.inference.genes import DecoderSettings
from convnova.sequence import Ids, decode, reverse_complement_text

State = tuple[Any, ...]
OUTSIDE: State = ("outside",)
INTERGENIC = 16
COLUMNS = {
    "+": {"exon": (0, 1, 2), "intron": (3, 4, 5), "gene": (6, 7)},
    "-": {"exon": (10, 9, 8), "intron": (13, 12, 11), "gene": (15, 14)},
}
"""Emission columns: of the bases of a codon; of the first, the inner and the last base of an intron; of the
first and the last base of a gene."""


class Decoded(NamedTuple):
    """The best genes and their score, log-odds against intergenic."""

    score: float
    genes: list[tuple[str, tuple[tuple[int, int], ...]]]
    """Strand and coding exons, from left to right."""


class Step(NamedTuple):
    """One way on from a state over one base."""

    target: State
    column: int
    bonus: float = 0.0
    site: str = ""
    """What the base must be: ``first+0`` or ``last+0``, of an intron, by strand and kind; or anything."""


class Grammar(NamedTuple):
    """Words on one strand from left to right."""

    begin: tuple[str, ...]
    end: tuple[str, ...]
    stops: tuple[str, ...]
    introns: tuple[tuple[tuple[str, ...], str], ...]
    """First two bases and last two bases, each kind."""


def grammars(settings: DecoderSettings) -> dict[str, Grammar]:
    stops = settings.stop_codons
    introns = [(("GT", "GC"), ("AG",))] + [(("AT",), ("AC",))] * settings.has_at_ac_introns

    def turned(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(reverse_complement_text(word) for word in words)

    return {
        "+": Grammar(("ATG",), stops, stops, tuple(introns)),
        "-": Grammar(
            turned(stops),
            turned(("ATG",)),
            turned(stops),
            tuple((turned(last), turned(first)) for first, last in introns),
        ),
    }


def steps(state: State, letter: str, settings: DecoderSettings) -> Iterator[Step]:
    """Yield all ways on from a state when the next base is `letter`."""
    least = max(settings.min_coding_bp, 1)
    if state == OUTSIDE:
        yield Step(OUTSIDE, INTERGENIC)
        for strand in "+-":
            column = COLUMNS[strand]["gene"][0]
            yield Step(("exon", strand, letter, 1, 1, True), column, settings.costs.gene)
        return
    part, strand = state[:2]
    grammar, columns = grammars(settings)[strand], COLUMNS[strand]
    if part == "exon":
        _, _, codon, length, coding, is_first = state
        column, word = columns["exon"][len(codon)], codon + letter
        after = min(length + 1, 3), min(coding + 1, least)
        if len(word) < 3:
            yield Step(("exon", strand, word, *after, is_first), column)
        else:
            is_whole = after[0] == 3  # not split by an intron
            is_stop = word in grammar.stops
            if word in grammar.begin if is_first else not is_stop:
                yield Step(("exon", strand, "", *after, False), column)
            if word in grammar.end and is_whole and not is_first and after[1] == least:
                yield Step(OUTSIDE, columns["gene"][1])
        if length == 3:
            for kind in range(len(grammar.introns)):
                target = ("intron", strand, kind, codon, 1, coding)
                yield Step(target, columns["intron"][0], settings.costs.intron, f"first{strand}{kind}")
    else:
        _, _, kind, codon, length, coding = state
        length = min(length + 1, settings.min_intron_bp)
        yield Step(("intron", strand, kind, codon, length, coding), columns["intron"][1])
        if length == settings.min_intron_bp:
            yield Step(
                ("exon", strand, codon, 0, coding, False), columns["intron"][2], 0.0, f"last{strand}{kind}"
            )


class Machine(NamedTuple):
    """All states, and the transitions on each letter, in the order of their targets."""

    states: list[State]
    start: NDArray[np.float64]
    """Score before the first base, (S,)."""
    can_end: NDArray[np.bool_]
    """(S,)"""
    sites: list[str]
    transitions: dict[str, tuple[NDArray[Any], ...]]
    """Source, column, bonus, site (n,); targets and where theirs start."""


@cache
def machine(settings: DecoderSettings) -> Machine:
    """Return the states that can be reached, and how."""
    starts = {OUTSIDE: 0.0}
    if settings.has_partial_genes:
        for strand, grammar in grammars(settings).items():
            for codon in ("", "?", "??"):
                starts["exon", strand, codon, 0, 0, False] = settings.costs.gene
                for kind in range(len(grammar.introns)):
                    intron = "intron", strand, kind, codon, settings.min_intron_bp, 0
                    starts[intron] = settings.costs.gene + settings.costs.intron
    number = {state: index for index, state in enumerate(starts)}
    states, sites = list(starts), [""]
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for state in states:  # grows on the way
        for letter in "ACGTN":
            for step in steps(state, letter, settings):
                if step.target not in number:
                    number[step.target] = len(states)
                    states.append(step.target)
                if step.site not in sites:
                    sites.append(step.site)
                row = number[step.target], number[state], step.column, step.bonus, sites.index(step.site)
                rows[letter].append(row)
    transitions = {}
    for letter, each in rows.items():
        target, source, column, bonus, site = (np.array(part) for part in zip(*sorted(each), strict=True))
        targets, first = np.unique(target, return_index=True)
        transitions[letter] = source, column, bonus, site, targets, first
    start = np.full(len(states), -np.inf)
    start[: len(starts)] = list(starts.values())
    return Machine(
        states, start, np.array([_can_end(state, settings) for state in states]), sites, transitions
    )


def _can_end(state: State, settings: DecoderSettings) -> bool:
    if state == OUTSIDE or not settings.has_partial_genes:
        return state == OUTSIDE
    coding = state[4] if state[0] == "exon" else state[5]
    return coding == max(settings.min_coding_bp, 1) and (state[0] == "intron" or state[3] == 3)


def decode_densely(emissions: NDArray[np.floating], ids: Ids, settings: DecoderSettings) -> Decoded:
    """Return the best genes of emissions (L, 17) and ids (L,)."""
    whole, letters = machine(settings), decode(ids)
    is_site = np.ones((len(ids), len(whole.sites)), dtype=bool)
    for index, site in enumerate(whole.sites):
        if site:
            first, last = grammars(settings)[site[-2]].introns[int(site[-1])]
            words, left = (first, 0) if site.startswith("first") else (last, 1)
            is_site[:, index] = [
                p >= left and letters[p - left : p - left + 2] in words for p in range(len(ids))
            ]
    log_odds = emissions.astype(np.float64) - emissions[:, INTERGENIC:].astype(np.float64)
    scores, back = whole.start, []
    for position, letter in enumerate(letters):
        source, column, bonus, site, targets, first = whole.transitions[letter]
        reached = scores[source] + log_odds[position, column] + bonus
        reached[~is_site[position, site]] = -np.inf
        best = np.maximum.reduceat(reached, first)
        scores = np.full(len(whole.states), -np.inf)
        scores[targets] = best
        is_best = np.flatnonzero(reached == np.repeat(best, np.diff(first, append=len(source))))
        which = np.searchsorted(first, is_best, side="right") - 1
        came_from = np.zeros(len(whole.states), dtype=np.int32)
        came_from[targets[which]] = source[is_best]
        back.append(came_from)
    scores = np.where(whole.can_end, scores, -np.inf)
    state = int(scores.argmax())
    path = [state]
    for came_from in reversed(back):
        path.append(state := int(came_from[state]))
    return Decoded(float(scores.max()), _genes([whole.states[state] for state in reversed(path)]))


def _genes(path: list[State]) -> list[tuple[str, tuple[tuple[int, int], ...]]]:
    """Return the genes of the states before each base and after the last one."""
    genes, coding, strand = [], [], ""
    for position, (before, after) in enumerate(pairwise(path)):
        if before == after == OUTSIDE:
            continue
        inside = after if before == OUTSIDE else before
        strand = inside[1]
        # Into an exon of length 0 leads the last base of an intron.
        if before[0] != "intron" and after[0] != "intron":
            coding.append(position)
        if after == OUTSIDE or position == len(path) - 2:
            genes.append((strand, _runs(coding)))
            coding = []
    return genes


def _runs(positions: list[int]) -> tuple[tuple[int, int], ...]:
    breaks = [i for i in range(1, len(positions)) if positions[i] != positions[i - 1] + 1]
    bounds = [0, *breaks, len(positions)]
    return tuple((positions[a], positions[b - 1] + 1) for a, b in pairwise(bounds))
