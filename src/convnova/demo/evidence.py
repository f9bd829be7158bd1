"""What the classifier reads, by saturation mutagenesis of many start codons: counted, not looked at.

n sequences, L window length in bp; the A of ATG is at index L // 2.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.demo.task import STOPS
from convnova.inference.mutagenesis import Mutagenesis
from convnova.sequence import Ids, encode


class Effect(NamedTuple):
    """What one kind of substitution does to the log-odds of a start codon."""

    kind: str
    substitutions: int
    median: float
    """Median change of the log-odds, in nats."""
    share_lower: float
    """Share of the substitutions that lower the log-odds."""


def new_stops(ids: Ids, frame: int) -> NDArray[np.bool_]:
    """Return which substitutions after ATG make a stop codon in a frame, by position and new base, (L, 4).

    Args:
        ids: one window, (L,).
        frame: 0 is the frame of the ATG; 1 and 2 begin one and two bases later.
    """
    stops = [tuple(encode(stop)) for stop in STOPS]
    makes_stop = np.zeros((len(ids), 4), dtype=np.bool_)
    for start in range(len(ids) // 2 + 3 + frame, len(ids) - 2, 3):
        codon = ids[start : start + 3]
        if tuple(codon) in stops:
            continue
        for offset in range(3):
            for base in range(4):
                mutant = codon.copy()
                mutant[offset] = base
                makes_stop[start + offset, base] = tuple(mutant) in stops
    return makes_stop


def effects_by_kind(mutageneses: list[Mutagenesis]) -> list[Effect]:
    """Return the effect of each kind of substitution over all sequences."""
    effects = np.stack([m.effects for m in mutageneses])  # (n, L, 4)
    ids = np.stack([m.ids for m in mutageneses])
    is_other = np.arange(4) != ids[..., None]
    center = ids.shape[1] // 2
    position = np.arange(ids.shape[1])[None, :, None] - center
    stops = [np.stack([new_stops(row, frame) for row in ids]) for frame in range(3)]
    is_off_frame = (stops[1] | stops[2]) & ~stops[0]
    is_coding = position >= 3
    kinds = {
        "a base of the ATG itself": (position >= 0) & (position < 3),
        "a new stop codon in the frame of the ATG": stops[0],
        "a new stop codon in another frame": is_off_frame,
        "any other, after the ATG": is_coding & ~stops[0] & ~is_off_frame,
        "position -3, from A": (position == -3) & (ids == 0)[..., None],
        "the 10 bases before the ATG, from A": (position < 0) & (position >= -10) & (ids == 0)[..., None],
        "the 10 bases before the ATG, to A": (position < 0) & (position >= -10) & (np.arange(4) == 0),
        "the second codon (+4 to +6)": (position >= 3) & (position < 6),
        "further upstream": position < -10,
    }
    rows = []
    for kind, chosen in kinds.items():
        values = effects[chosen & is_other]
        if len(values):
            rows.append(Effect(kind, len(values), float(np.median(values)), float((values < 0).mean())))
    return rows


def mean_importance(mutageneses: list[Mutagenesis]) -> NDArray[np.float64]:
    """Return the mean over sequences of what is lost when a base is replaced, (L,)."""
    return np.mean([m.importance for m in mutageneses], axis=0)
