"""DeepSEA: three convolutions for 919 chromatin profiles.

Paper: Zhou and Troyanskaya, "Predicting effects of noncoding variants with deep learning-based sequence
model", Nature Methods 2015. The counts and layers are those of the published Lua model
(http://deepsea.princeton.edu; no code used), whose convolutions do not reach beyond the
ends. Weights: not read here.

Differences: those of `supervised`.

B batch, L length in bp, C channels, P positions that are left after pooling, K labels.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.supervised import SupervisedConfig, SupervisedModel


class DeepSEAConfig(SupervisedConfig):
    """Configuration of DeepSEA."""

    model_type = "deepsea"
    shortest_bp = 163

    channels: Sequence[int] = (320, 480, 960)
    """Of the three convolutions."""
    hidden_size: int = 925


class DeepSEAModel(SupervisedModel):
    """DeepSEA without its last layer."""

    config_class = DeepSEAConfig

    def __init__(self, config: DeepSEAConfig):
        super().__init__(config)
        first, second, third = config.channels
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(4, first, 8), nn.ReLU(), nn.MaxPool1d(4), nn.Dropout(0.2)),
            *(nn.Conv1d(first, second, 8), nn.ReLU(), nn.MaxPool1d(4), nn.Dropout(0.2)),
            *(nn.Conv1d(second, third, 8), nn.ReLU(), nn.Dropout(0.5)),
        )
        positions = ((config.input_bp - 7) // 4 - 7) // 4 - 7
        self.dense = nn.Linear(third * positions, config.hidden_size)
        self.post_init()

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, (B, C)."""
        hidden = self.convolutions(self.one_hot(input_ids, attention_mask))
        return F.relu(self.dense(hidden.flatten(1)))
