"""How far a model looks: the receptive field of its configuration, and how much of it the weights use.

The effective field is what the gradient of an output says: how strongly it depends on the base at each
distance, averaged over sequences and positions. Outside the receptive field it is zero, exactly.

    output  p │         .   .  ..:|:..  .   .
    bases     └──────────────────────────────────►      |gradient| at each distance from p

Source: Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks",
NeurIPS 2016, arXiv 1701.04128.

B batch, L length in bp, C channels.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from convnova.evaluation.mode import evaluating
from convnova.sequence import Ids

SHARES = (0.5, 0.9, 0.95)
"""Shares of influence whose windows are told."""
BATCH = 16


class FieldProfile(NamedTuple):
    """How much an output depends on the base at each distance."""

    receptive_field_bp: int
    """Of the configuration."""
    offsets: NDArray[np.int64]
    """Distance of a base from the output in bp, ascending from -r to r, (2 r + 1,)."""
    influence: NDArray[np.float64]
    """Mean norm of the gradient at each distance, in sum 1, (2 r + 1,)."""
    places: int
    """Different positions in the sequences that the outputs were at."""

    def width(self, share: float) -> int:
        """Return the width in bp of the narrowest window, around the output, with a share of influence."""
        middle = len(self.offsets) // 2
        by_distance = self.influence[middle:] + self.influence[middle::-1]
        by_distance[0] /= 2  # the base itself is on neither side
        reached = np.cumsum(by_distance)
        return 1 + 2 * int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12)))


def effective_field(
    model: Any,
    sequences: Sequence[Ids],
    positions: int = 4,
    seed: int = 0,
    reach: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> FieldProfile:
    """Return how much the outputs of a backbone depend on the bases around them.

    Args:
        model: a ConvNova model, with a head or without.
        sequences: real ones, ids A 0, C 1, G 2, T 3, N 4, all of the same length.
        positions: outputs looked at in each sequence, drawn where the receptive field lies within it; of all
            bases, where the sequences are shorter than the field.
        seed: draws the positions, and what is summed of the channels of an output.
        reach: farthest distance in bp that is looked at; default the whole sequence.
        advance: is told of sequences that are done.

    Raises:
        ValueError: when there is no sequence, or they differ in length.
    """
    if not sequences or len({len(one) for one in sequences}) != 1:
        raise ValueError("sequences must be one or more, all of the same length")
    ids = np.stack(sequences)
    length, field = ids.shape[1], model.config.receptive_field
    margin = field // 2 if length >= field else 0
    rng = np.random.default_rng(seed)
    reach = length - 1 if reach is None else min(reach, length - 1)
    sums, counts = np.zeros(2 * reach + 1), np.zeros(2 * reach + 1)
    seen: set[int] = set()
    with evaluating(model):
        for start in range(0, len(ids), BATCH):
            batch = torch.from_numpy(ids[start : start + BATCH]).to(model.device).long()
            for _ in range(positions):
                places = rng.integers(margin, length - margin, len(batch))
                signs = torch.from_numpy(rng.choice([-1.0, 1.0], model.config.hidden_size)).float()
                norms = _gradient_norms(model.base_model, batch, places, signs.to(model.device))
                seen.update(places.tolist())
                for place, norm in zip(places, norms, strict=True):
                    first, last = max(0, place - reach), min(length, place + reach + 1)
                    around = slice(first - place + reach, last - place + reach)
                    sums[around] += norm[first:last]
                    counts[around] += 1
            if advance is not None:
                advance(len(batch))
    influence = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return FieldProfile(field, np.arange(-reach, reach + 1), influence / influence.sum(), len(seen))


def _gradient_norms(
    backbone: Any, ids: torch.Tensor, places: NDArray[np.int64], signs: torch.Tensor
) -> NDArray[np.float64]:
    """Return the norm, over the letters of a base, of the gradient of one output of each sequence, (B, L)."""
    bases = F.one_hot(ids, backbone.config.vocab_size).float().requires_grad_()
    hidden = backbone(inputs_embeds=bases).last_hidden_state
    (hidden[torch.arange(len(ids)), places] * signs).sum().backward()
    assert bases.grad is not None
    return bases.grad.norm(dim=-1).double().cpu().numpy()
