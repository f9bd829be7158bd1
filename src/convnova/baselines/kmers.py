"""Logistic regression on k-mers: the floor that a foundation model must clear.

What is read of a sequence are the counts of its words, and the head of the task is all that is fitted: by
``--training.method logistic-regression`` at once, its strength chosen on validation.

B batch, L length in bp.
"""

from typing import Any

import torch
from torch import Tensor

from convnova.baselines.backbone import Backbone, BaselineConfig
from convnova.baselines.words import word_numbers
from convnova.errors import InputError


class KmersConfig(BaselineConfig):
    """Configuration of counts of k-mers.

    Raises:
        InputError: for channels that are not one a word.
    """

    model_type = "kmers"

    k: int = 5
    """Bases in a word."""
    hidden_size: int = 0
    """One a word; 0 computes it."""

    def __post_init__(self, **kwargs: Any) -> None:
        if self.hidden_size not in (0, 4**self.k):
            raise InputError(f"hidden_size of kmers is one a word, {4**self.k} where k is {self.k}; change k")
        self.hidden_size = 4**self.k
        super().__post_init__(**kwargs)

    @property
    def pooled_size(self) -> int:
        """Numbers of the embedding of a sequence: the counts are of all of it, whatever the pooling."""
        return self.hidden_size


class KmersModel(Backbone):
    """Counts of k-mers."""

    config_class = KmersConfig

    def __init__(self, config: KmersConfig):
        super().__init__(config)
        self.post_init()

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return how often each word occurs, (B, 4^k), over how often all would if they were alike.

        Words with N do not count.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        places = word_numbers(input_ids, mask, self.config.k) + 1  # 0 where there is no word
        counts = torch.zeros(len(places), 1 + self.config.hidden_size, device=places.device)
        counts = counts.scatter_add_(1, places, torch.ones_like(places, dtype=counts.dtype))[:, 1:]
        return counts * self.config.hidden_size / counts.sum(dim=1, keepdim=True).clamp(min=1)
