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
SEGMENT_NUMBERS = 2**20
"""Most numbers in a tensor of states: 4 MB."""


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
        output = torch.empty_like(x)
        state = x.new_zeros(x.shape[0], *a.shape)
        begins = []
        for part in _segments(x, a):
            begins.append(state)
            _, states = _states(x[:, part], dt[:, part], a, b[:, part], state)
            output[:, part] = (states @ c[:, part].unsqueeze(-1)).squeeze(-1)
            state = states[:, -1].clone()
        ctx.save_for_backward(x, dt, a, b, c, *begins)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        gradient = gradients[0]
        x, dt, a, b, c, *begins = ctx.saved_tensors
        of_x, of_dt, of_b, of_c = (torch.empty_like(one) for one in (x, dt, b, c))
        of_a, carried = torch.zeros_like(a), torch.zeros_like(begins[0])
        for part, begin in reversed(list(zip(_segments(x, a), begins, strict=True))):
            decay, states = _states(x[:, part], dt[:, part], a, b[:, part], begin)
            before = torch.cat([begin.unsqueeze(1), states[:, :-1]], dim=1)
            of_c[:, part] = (gradient[:, part].unsqueeze(-2) @ states).squeeze(-2)
            of_states = gradient[:, part].unsqueeze(-1) * c[:, part].unsqueeze(-2)
            of_states[:, -1] += carried
            later = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1)
            _recur_(later, of_states, is_backward=True)
            carried = decay[:, 0] * of_states[:, 0]
            entered = dt[:, part] * x[:, part]
            of_entered = (of_states @ b[:, part].unsqueeze(-1)).squeeze(-1)
            of_b[:, part] = (entered.unsqueeze(-2) @ of_states).squeeze(-2)
            of_exponent = of_states.mul_(before).mul_(decay)
            of_a += torch.einsum("bldn,bld->dn", of_exponent, dt[:, part])
            of_dt[:, part] = torch.einsum("bldn,dn->bld", of_exponent, a) + of_entered * x[:, part]
            of_x[:, part] = of_entered * dt[:, part]
        return of_x, of_dt, of_a, of_b, of_c


def _segments(x: Tensor, a: Tensor) -> Iterator[slice]:
    """Yield the segments of a sequence: whole chunks, as many as have few enough states."""
    chunks = max(1, SEGMENT_NUMBERS // (x.shape[0] * a.numel() * CHUNK))
    for start in range(0, x.shape[1], step := chunks * CHUNK):
        yield slice(start, min(start + step, x.shape[1]))


def _states(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, begin: Tensor) -> tuple[Tensor, Tensor]:
    """Return how the state decays at each position of a segment, and the state after it, (B, S, D, N)."""
    decay = torch.exp(dt.unsqueeze(-1) * a)
    states = (dt * x).unsqueeze(-1) * b.unsqueeze(-2)
    states[:, 0].addcmul_(decay[:, 0], begin)
    _recur_(decay, states, is_backward=False)
    return decay, states


def _recur_(decay: Tensor, values: Tensor, is_backward: bool) -> None:
    """Add to each value, in place, the one before it (or after it) times the decay at its own position.

    Args:
        decay: (B, S, D, N), S a multiple of `CHUNK`; what it is where the recurrence begins plays no part.
        values: (B, S, D, N).
        is_backward: whether it runs from the last position to the first.
    """
    batch, length, *state = values.shape
    decay, values = (one.view(batch, length // CHUNK, CHUNK, *state) for one in (decay, values))
    places, chunks = list(range(CHUNK)), list(range(length // CHUNK))
    if is_backward:
        places, chunks = places[::-1], chunks[::-1]
    reached = torch.empty_like(decay)  # what is left, at each position, of the value before the chunk
    reached[:, :, places[0]] = decay[:, :, places[0]]
    for earlier, place in pairwise(places):
        values[:, :, place].addcmul_(decay[:, :, place], values[:, :, earlier])
        torch.mul(decay[:, :, place], reached[:, :, earlier], out=reached[:, :, place])
    for earlier, chunk in pairwise(chunks):
        values[:, chunk].addcmul_(reached[:, chunk], values[:, earlier, places[-1]].unsqueeze(1))
