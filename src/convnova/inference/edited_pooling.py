"""What a sequence head reads of an edited sequence, without going over all of its positions again.

A mean over positions is a sum, so of an edited sequence it takes the sum before the changed window, that of
the window, and that after it, where the first and the last are differences of sums that the reference has;
likewise for equal parts, and for the maximum.

N reference sequences, L their padded length in bp, M edits, W width of a window, C channels, S segments.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from convnova.inference.edits import Changed, Edits, ReferencePass
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import pool


@contextmanager
def in_full(hidden: Tensor) -> Iterator[Tensor]:
    """Give hidden states in single precision, and compute in it: small differences are taken of results."""
    with torch.autocast(hidden.device.type, enabled=False):
        yield hidden.to(torch.promote_types(hidden.dtype, torch.float32))


class PooledReference:
    """The pooled hidden states of references, and of edits of them.

    Args:
        reference: the pass over them.
        config: with `pooling` and `pooling_segments`.
    """

    pooled: Tensor
    """Of the references, (N, `config.pooled_size`)."""

    def __init__(self, reference: ReferencePass, config: ConvNovaConfig):
        self.reference, self.config = reference, config
        hidden = reference.hidden
        places = torch.arange(hidden.shape[1], device=hidden.device)
        is_real = places < reference.lengths.unsqueeze(1)
        with in_full(hidden) as hidden:
            self.pooled = pool(hidden, is_real, config)
        if config.pooling == "max":
            real = hidden.masked_fill(~is_real.unsqueeze(-1), -torch.inf)
            self._before = F.pad(real.cummax(1).values, (0, 0, 1, 0), value=-torch.inf)
            self._after = F.pad(real.flip(1).cummax(1).values.flip(1), (0, 0, 0, 1), value=-torch.inf)
        elif config.pooling != "center":
            # In double precision: differences of long sums keep the digits of a short one.
            self._sums = F.pad((hidden * is_real.unsqueeze(-1)).cumsum(1, dtype=torch.float64), (0, 0, 1, 0))

    def edited(self, edits: Edits, changed: Changed) -> Tensor:
        """Return what the head reads of edited sequences, (M, `config.pooled_size`)."""
        lengths = self.reference.lengths[edits.rows] + edits.growth
        first = changed.starts.clamp(min=0)
        last = torch.minimum(changed.starts + changed.hidden.shape[1], lengths)
        if self.config.pooling == "max":
            inside = changed.hidden.masked_fill(~changed.is_inside.unsqueeze(-1), -torch.inf).amax(1)
            before = self._before[edits.rows, first]
            return torch.maximum(torch.maximum(before, inside), self._after[edits.rows, last - edits.growth])
        if self.config.pooling == "center":
            return self._center(edits, changed, lengths // 2, first, last)
        return self._means(edits, changed, lengths, first, last)

    def _center(self, edits: Edits, changed: Changed, center: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Return the hidden state at the middle, which an edit may have moved."""
        moved = torch.where(center < first, center, center - edits.growth)
        kept = self.reference.hidden[edits.rows, moved.clamp(0, self.reference.length_bp - 1)]
        width = changed.hidden.shape[1]
        rows = torch.arange(len(center), device=center.device)
        new = changed.hidden[rows, (center - changed.starts).clamp(0, width - 1)]
        return torch.where(((center >= first) & (center < last)).unsqueeze(1), new, kept)

    def _means(self, edits: Edits, changed: Changed, lengths: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Return the means of S equal parts, side by side; of one part it is the mean over all."""
        segments = self.config.pooling_segments if self.config.pooling == "segments" else 1
        steps = torch.arange(segments + 1, device=lengths.device)
        bounds = -(-steps * lengths.unsqueeze(1) // segments)  # where each part begins, (M, S + 1)
        rows = edits.rows.unsqueeze(1)
        left = self._sums[rows, bounds.clamp(max=first.unsqueeze(1))].diff(dim=1)
        right = self._sums[rows, bounds.clamp(min=last.unsqueeze(1)) - edits.growth].diff(dim=1)
        part = (changed.places * segments // lengths.unsqueeze(1)).clamp(0, segments - 1)
        is_member = F.one_hot(part, segments) * changed.is_inside.unsqueeze(-1)  # (M, W, S)
        with in_full(changed.hidden) as hidden:
            middle = is_member.transpose(1, 2).to(hidden.dtype) @ hidden
        counts = bounds.diff(dim=1).clamp(min=1).unsqueeze(-1)
        return ((left + middle + right) / counts).flatten(1).to(hidden.dtype)
