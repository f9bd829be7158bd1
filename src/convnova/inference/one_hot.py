"""A model on one-hot sequences (B, 4, L), as tangermeme, captum and other tools of the field give them."""

from typing import Any

import torch
from torch import Tensor, nn


class OneHot(nn.Module):
    """A ConvNova model that reads A, C, G, T as channels (B, 4, L) and returns logits.

    What a position lacks to 1 is N, so a column of zeros is N.

    Args:
        model: with any head; it is used as it is, in the mode that it has.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, bases: Tensor) -> Tensor:
        """Return logits (B, labels), or (B, L, labels) of a head for each base."""
        unknown = 1 - bases.sum(1, keepdim=True)
        embedded = torch.cat([bases, unknown], 1).transpose(1, 2).to(self.model.dtype)
        return self.model(inputs_embeds=embedded).logits
