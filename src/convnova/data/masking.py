"""Masking for masked language modelling, as pure functions of ids and a random generator.

L length in bp.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.sequence import Ids, N

NO_LABEL = -100


@dataclass(frozen=True)
class MaskingSettings:
    """Which bases are hidden from the model, and which of them it is asked for."""

    rate: float = 0.15
    """Share of the known bases that are predicted (the paper says 0.10, its code 0.15)."""
    mask_share: float = 0.8
    """Share of the predicted bases shown as the mask id; BERT's 0.8."""
    random_share: float = 0.1
    """Share of the predicted bases shown as a random base; the rest stay as they are."""
    protocol: Literal["standard", "released"] = "standard"
    """"released" masks twice in place as the released code does: about 22 % of inputs become the mask id,
    15 % are predicted, 11 % are corrupted and not predicted, and N is predicted too."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise InputError(f"masking rate must be between 0 and 1, got {self.rate}")
        if min(self.mask_share, self.random_share) < 0 or self.mask_share + self.random_share > 1:
            raise InputError(
                "mask_share and random_share must be at least 0 and together at most 1, "
                f"got {self.mask_share} and {self.random_share}"
            )


class MaskedIds(NamedTuple):
    """What the model reads, uint8 (L,), and what it is asked for, int64 (L,) with -100 elsewhere."""

    input_ids: Ids
    labels: NDArray[np.int64]


def mask_ids(ids: Ids, settings: MaskingSettings, rng: np.random.Generator) -> MaskedIds:
    """Return a masked copy of ids (L,) and the bases to predict; N is shown as it is and never predicted."""
    if settings.protocol == "released":
        corrupted, _ = _corrupt(ids, settings, rng)
        corrupted, is_predicted = _corrupt(corrupted, settings, rng)
    else:
        corrupted, is_predicted = _corrupt(ids, settings, rng, is_eligible=ids != N)
    return MaskedIds(corrupted, np.where(is_predicted, ids.astype(np.int64), NO_LABEL))


def _corrupt(
    ids: Ids,
    settings: MaskingSettings,
    rng: np.random.Generator,
    is_eligible: NDArray[np.bool_] | bool = True,
) -> tuple[Ids, NDArray[np.bool_]]:
    """Return one BERT masking of ids: the corrupted copy, and where it was applied."""
    draw = rng.random(ids.shape, dtype=np.float32) / settings.rate
    draw = np.where(is_eligible, draw, np.inf)  # below 1: chosen, and where in [0, 1) decides what is shown
    is_random = (draw >= settings.mask_share) & (draw < settings.mask_share + settings.random_share)
    corrupted = np.where(draw < settings.mask_share, np.uint8(N), ids)
    corrupted[is_random] = rng.integers(0, N, is_random.sum(), dtype=np.uint8)
    return corrupted, draw < 1
