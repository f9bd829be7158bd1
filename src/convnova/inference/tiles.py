"""Predictions for each base of a sequence of any length, tile by tile: as in one pass, in constant memory.

A position depends on the receptive field around it and on nothing else, so a tile that is read with half a
receptive field on either side gives its bases what one pass over the whole sequence gives them.

    sequence   ────────────────────────────────────────────────────────
    read             ┌──halo──┬────────── tile ──────────┬──halo──┐
    kept                      └──────────────────────────┘

At the ends of the sequence nothing is read beyond, as in one pass. L length in bp, K labels.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.evaluation.mode import evaluating
from convnova.inference.inputs import ids_tensor
from convnova.sequence import Ids, reverse_complement

TILE_BP = 2**15

Fetch = Callable[[int, int], Ids]
"""Gives the ids from a start up to an end, both inside the sequence."""


class WithHalo(NamedTuple):
    """What is read of a sequence for a stretch of it."""

    first: int
    last: int
    """End of what is read, not included."""
    kept: slice
    """The stretch, in what is read."""


def with_halo(start: int, end: int, halo: int, length: int) -> WithHalo:
    """Return what is read for the stretch from a start up to an end: a halo more, as far as there is one."""
    first = max(0, start - halo)
    return WithHalo(first, min(length, end + halo), slice(start - first, end - first))


class Tile(NamedTuple):
    """Probabilities of a stretch of bases."""

    start: int
    """First base, 0-based."""
    ids: Ids
    """Bases of the stretch, (tile,)."""
    probabilities: NDArray[np.float32]
    """(tile, K)."""


def predict_bases(
    model: Any,
    fetch: Fetch,
    length: int,
    opposite: NDArray[np.int64] | None = None,
    tile_bp: int = TILE_BP,
) -> Iterator[Tile]:
    """Yield the probabilities of the labels of each base, from the first tile to the last.

    Args:
        model: a ConvNova model with a head for each base; its mode is restored after each tile.
        fetch: gives the bases.
        length: of the sequence in bp.
        opposite: id of each label when the sequence is read from the other strand, (K,): probabilities are
            then the mean of what is read from both strands; None reads the strand given.
        tile_bp: bases of a tile, its halos not counted. It changes no result, only memory and time.
    """
    halo = model.config.receptive_field // 2
    for start in range(0, length, tile_bp):
        end = min(start + tile_bp, length)
        first, last, kept = with_halo(start, end, halo, length)
        ids = fetch(first, last)
        probabilities = _probabilities(model, ids)[kept]
        if opposite is not None:
            other = _probabilities(model, reverse_complement(ids))[::-1, opposite][kept]
            probabilities = np.float32(0.5) * (probabilities + other)
        yield Tile(start, ids[kept], probabilities)


def log_probabilities(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the natural log of probabilities of any shape; of 0 that of the smallest number."""
    return np.log(probabilities.clip(np.finfo(np.float32).tiny))


@torch.no_grad()
def _probabilities(model: Any, ids: Ids) -> NDArray[np.float32]:
    """Return the probabilities of the labels of each base of a sequence read at once, (L, K)."""
    with evaluating(model):
        return model(input_ids=ids_tensor(model, ids[None])).logits[0].float().softmax(-1).cpu().numpy()
