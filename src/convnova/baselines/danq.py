"""DanQ: a convolution and a recurrence in both directions for 919 chromatin profiles.

Paper: Quang and Xie, "DanQ: a hybrid convolutional and recurrent deep neural network", Nucleic Acids Research
2016. Repository: https://github.com/uci-cbcl/DanQ (its layers as of 2016), MIT. Weights: not read here.

Differences: those of `supervised`.

B batch, L length in bp, C channels, P positions that are left after pooling, K labels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.supervised import SupervisedConfig, SupervisedModel, lstm


class DanQConfig(SupervisedConfig):
    """Configuration of DanQ."""

    model_type = "danq"
    shortest_bp = 38

    channels: int = 320
    hidden_size: int = 925


class DanQModel(SupervisedModel):
    """DanQ without its last layer."""

    config_class = DanQConfig

    def __init__(self, config: DanQConfig):
        super().__init__(config)
        size = config.channels
        self.convolution = nn.Sequential(nn.Conv1d(4, size, 26), nn.ReLU(), nn.MaxPool1d(13), nn.Dropout(0.2))
        self.recurrence, self.dropout = lstm(size, size), nn.Dropout(0.5)
        self.dense = nn.Linear(2 * size * ((config.input_bp - 25) // 13), config.hidden_size)
        self.post_init()

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, (B, C)."""
        hidden = self.convolution(self.one_hot(input_ids, attention_mask)).transpose(1, 2)
        hidden, _ = self.recurrence(hidden)
        return F.relu(self.dense(self.dropout(hidden).flatten(1)))
