"""Mixup: a training sequence is a mixture of two, and so is its label.

Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; on one-hot bases, with one
share for the whole batch.

B batch, L length in bp, V vocabulary (A C G T N).
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convnova.sequence import ALPHABET


class Mixed(NamedTuple):
    """A batch whose sequences are mixtures."""

    inputs: dict[str, Tensor]
    """`inputs_embeds` (B, L, V), and `attention_mask` (B, L) where sequences have several lengths."""
    partner: Tensor
    """Index of the second sequence of each mixture, (B,)."""
    share: float
    """Weight of the first one; the second has the rest."""


def mix(inputs: dict[str, Any], concentration: float, rng: np.random.Generator) -> Mixed:
    """Return mixtures of the sequences of a batch, each with another one drawn at random.

    A position is real where it is in either of the two; beyond the end of the shorter one stands the other
    one alone, by its share.

    Args:
        inputs: `input_ids` (B, L), and perhaps `attention_mask`.
        concentration: both parameters of the Beta distribution that the share is drawn from.
        rng: draws the partners and the share.
    """
    ids, mask = inputs["input_ids"], inputs.get("attention_mask")
    share = float(rng.beta(concentration, concentration))
    partner = torch.from_numpy(rng.permutation(len(ids))).to(ids.device)
    bases = F.one_hot(ids, len(ALPHABET)).float()
    if mask is not None:
        bases = bases * mask.unsqueeze(-1)
    mixed = {"inputs_embeds": share * bases + (1 - share) * bases[partner]}
    if mask is not None:
        mixed["attention_mask"] = torch.maximum(mask, mask[partner])
    return Mixed(mixed, partner, share)
