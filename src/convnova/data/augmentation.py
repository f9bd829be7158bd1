"""What training may change of a labelled sequence from one pass to the next; light to import.

L length in bp.
"""

from dataclasses import dataclass

import numpy as np

from convnova.errors import InputError
from convnova.sequence import Ids, N, reverse_complement


@dataclass(frozen=True)
class AugmentationSettings:
    """What is changed of a training sequence each time that it is read; its label stays."""

    reverse_complement: bool = True
    """Whether half of them, drawn anew each time, are read from the opposite strand."""
    shift_bp: int = 0
    """Most bases by which a sequence is moved to either side; N moves in, what leaves is lost."""
    mutation_rate: float = 0.0
    """Share of bases replaced by a random one, which in a quarter of the cases is the same."""

    def __post_init__(self) -> None:
        if self.shift_bp < 0:
            raise InputError(f"shift_bp must be at least 0, got {self.shift_bp}")
        if not 0 <= self.mutation_rate < 1:
            raise InputError(f"mutation_rate must be at least 0 and below 1, got {self.mutation_rate}")


def augment(ids: Ids, settings: AugmentationSettings, rng: np.random.Generator) -> Ids:
    """Return a changed copy of a sequence (L,), or the sequence itself where nothing changes."""
    if settings.reverse_complement and rng.random() < 0.5:
        ids = reverse_complement(ids)
    if settings.shift_bp:
        shift = int(rng.integers(-settings.shift_bp, settings.shift_bp + 1))
        shift = int(np.clip(shift, 1 - len(ids), len(ids) - 1))  # a base at least stays
        moved = np.full_like(ids, N)
        moved[max(0, shift) : len(ids) + min(0, shift)] = ids[max(0, -shift) : len(ids) - max(0, shift)]
        ids = moved
    if settings.mutation_rate:
        is_changed = (rng.random(len(ids)) < settings.mutation_rate) & (ids != N)
        ids = np.where(is_changed, rng.integers(0, 4, len(ids), dtype=np.uint8), ids)
    return ids
