"""Saturation mutagenesis: what each single substitution does to a model's output.

L length in bp, B batch, K labels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.errors import InputError
from convnova.evaluation.mode import evaluating
from convnova.sequence import Ids

Score = Callable[[Tensor], Tensor]
"""Logits (B, K) to one number a sequence, (B,)."""


class Mutagenesis(NamedTuple):
    """Scores of a sequence and of all its single substitutions."""

    ids: Ids
    """The reference sequence, (L,)."""
    reference: float
    """Its score."""
    effects: NDArray[np.float32]
    """Score of each substitution minus that of the reference, by position and new base A, C, G, T, (L, 4);
    0 where the new base is the reference."""

    @property
    def importance(self) -> NDArray[np.float32]:
        """What is lost on average when a base is replaced, (L,): positive where the reference base helps."""
        is_other = np.arange(4) != self.ids[:, None]
        return -(self.effects * is_other).sum(axis=1) / is_other.sum(axis=1)


def log_odds(logits: Tensor) -> Tensor:
    """Return the log-odds of class 1 against class 0 in nats, (B,)."""
    return logits[:, 1] - logits[:, 0]


@torch.no_grad()
def saturation_mutagenesis(
    model: Any, ids: Ids, score: Score = log_odds, batch_sequences: int = 128
) -> Mutagenesis:
    """Return the effect of every substitution of one sequence, each by a full forward pass.

    Args:
        model: gives logits (B, K) for ids (B, L); its mode is restored.
        ids: the sequence, (L,).
        score: what to read from the logits.
        batch_sequences: mutants in one forward pass.

    Raises:
        InputError: for anything but ids of one sequence.
    """
    if ids.ndim != 1 or not len(ids):
        raise InputError(f"saturation mutagenesis reads one sequence, ids (L,); got shape {ids.shape}")
    positions, bases = np.nonzero(np.arange(4) != ids[:, None])  # substitutions, in reading order
    device = next(model.parameters()).device
    with evaluating(model):
        reference = float(
            score(model(input_ids=torch.from_numpy(ids[None]).long().to(device)).logits.float())
        )
        scores = np.empty(len(positions), dtype=np.float32)
        for first in range(0, len(positions), batch_sequences):
            chosen = slice(first, first + batch_sequences)
            mutants = np.tile(ids, (len(positions[chosen]), 1))
            mutants[np.arange(len(mutants)), positions[chosen]] = bases[chosen]
            logits = model(input_ids=torch.from_numpy(mutants).long().to(device)).logits.float()
            scores[chosen] = score(logits).cpu().numpy()
    effects = np.zeros((len(ids), 4), dtype=np.float32)
    effects[positions, bases] = scores - reference
    return Mutagenesis(ids, reference, effects)
