"""Mamba's selective scan in plain PyTorch, forward and backward, without a loop over positions.

    state_t = exp(dt_t A) state_{t-1} + dt_t x_t B_t        output_t = state_t . C_t

The sequence is cut into segments that are worked on one after the other, so that the states (16 numbers a
channel and position) stay in the cache and are never all in memory: of each segment only the state that it
begins with is kept, and the others are computed again in the backward pass. Within a segment all chunks of 16
positions advance together, then what each begins with is added:

    segment   | chunk 0          | chunk 1          | ...      16 steps for all chunks at once,
              | 0 1 2 ... 15     | 0 1 2 ... 15     |          then one step a chunk

Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.

B batch, L length, D channels, N states a channel.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 16
SEGMENT_NUMBERS = 2**18
"""Most numbers in a tensor of states: 1 MB, so that the few that are in use stay in the cache of a core."""


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the output of the state-space model at each position, (B, L, D), in float32.

    Args:
        x: input (B, L, D).
        dt: step sizes, positive (B, L, D); a position with 0 leaves the state as it is.
        a: rates, negative (D, N).
        b: how the input enters the states (B, L, N).
        c: how the states are read (B, L, N).
    """
    length = x.shape[1]
    missing = -length % CHUNK
    x, dt, b, c = (F.pad(one, (0, 0, 0, missing)) for one in (x, dt, b, c))
    return _SelectiveScan.apply(x, dt, a, b, c)[:, :length]


class _SelectiveScan(torch.autograd.Function):
    """The scan of sequences whose length is a multiple of `CHUNK`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        output, rates = torch.empty_like(x), a.T.contiguous()
        begins = [x.new_zeros(len(x), *rates.shape)]
        for part in _segments(x, a):
            _, states = _states(x[:, part], dt[:, part], rates, b[:, part], begins[-1])
            output[:, part] = (c[:, part].unsqueeze(-2) @ states[:, 1:]).squeeze(-2)
            begins.append(states[:, -1].clone())
        ctx.save_for_backward(x, dt, a, b, c, *begins[:-1])
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        gradient = gradients[0]
        x, dt, a, b, c, *begins = ctx.saved_tensors
        of_x, of_dt, of_b, of_c = (torch.empty_like(one) for one in (x, dt, b, c))
        rates = a.T.contiguous()
        of_rates, carried = torch.zeros_like(rates), torch.zeros_like(begins[0])
        for part, begin in reversed(list(zip(_segments(x, a), begins, strict=True))):
            decay, states = _states(x[:, part], dt[:, part], rates, b[:, part], begin)
            of_c[:, part] = (states[:, 1:] @ gradient[:, part].unsqueeze(-1)).squeeze(-1)
            of_states = gradient[:, part].unsqueeze(-2) * c[:, part].unsqueeze(-1)
            of_states[:, -1] += carried
            _recur_(decay[:, 1:], of_states, is_backward=True)
            carried = decay[:, 0] * of_states[:, 0]
            entered = dt[:, part] * x[:, part]
            of_entered = (b[:, part].unsqueeze(-2) @ of_states).squeeze(-2)
            of_b[:, part] = (of_states @ entered.unsqueeze(-1)).squeeze(-1)
            of_exponent = of_states.mul_(states[:, :-1]).mul_(decay[:, :-1])
            of_dt[:, part] = (of_exponent * rates).sum(dim=-2).addcmul_(of_entered, x[:, part])
            of_rates += of_exponent.mul_(dt[:, part].unsqueeze(-2)).sum(dim=(0, 1))
            of_x[:, part] = of_entered * dt[:, part]
        return of_x, of_dt, of_rates.T, of_b, of_c


def _segments(x: Tensor, a: Tensor) -> Iterator[slice]:
    """Yield the segments of a sequence: whole chunks, as many as have few enough states."""
    chunks = max(1, SEGMENT_NUMBERS // (x.shape[0] * a.numel() * CHUNK))
    for start in range(0, x.shape[1], step := chunks * CHUNK):
        yield slice(start, min(start + step, x.shape[1]))


def _states(x: Tensor, dt: Tensor, rates: Tensor, b: Tensor, begin: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states of a segment, and how they decay, with a place more each, (B, S + 1, N, D).

    ::

        states   what the segment begins with, then those after each position
        decay    at each position, then nothing that is read
    """
    batch, length, channels = x.shape
    decay, states = x.new_empty(2, batch, length + 1, len(rates), channels)
    decay[:, -1] = 0
    torch.mul(dt.unsqueeze(-2), rates, out=decay[:, :-1]).exp_()
    states[:, 0] = begin
    torch.mul((dt * x).unsqueeze(-2), b.unsqueeze(-1), out=states[:, 1:])
    states[:, 1].addcmul_(decay[:, 0], begin)
    _recur_(decay[:, :-1], states[:, 1:], is_backward=False)
    return decay, states


def _recur_(decay: Tensor, values: Tensor, is_backward: bool) -> None:
    """Add to each value, in place, the one before it (or after it) times the decay at its own position.

    Args:
        decay: (B, S, N, D), S a multiple of `CHUNK`; what it is where the recurrence begins plays no part.
        values: (B, S, N, D).
        is_backward: whether it runs from the last position to the first.
    """
    decay, values = (one.unflatten(1, (-1, CHUNK)) for one in (decay, values))
    decays, places = decay.unbind(2), values.unbind(2)
    order = range(CHUNK)[::-1] if is_backward else range(CHUNK)
    for earlier, place in pairwise(order):
        places[place].addcmul_(decays[place], places[earlier])
    if (chunks := values.shape[1]) == 1:
        return
    reached = torch.empty_like(decay)  # what is left, at each position, of the value before the chunk
    left = reached.unbind(2)
    left[order[0]].copy_(decays[order[0]])
    for earlier, place in pairwise(order):
        torch.mul(decays[place], left[earlier], out=left[place])
    for earlier, chunk in pairwise(range(chunks)[::-1] if is_backward else range(chunks)):
        values[:, chunk].addcmul_(reached[:, chunk], values[:, earlier, order[-1]].unsqueeze(1))
