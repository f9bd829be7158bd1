"""DeepATT: DanQ with attention, a query for each of 919 chromatin profiles.

Paper: Li et al., "DeepATT: a hybrid category attention neural network for identifying functional effects of
DNA sequences", Briefings in Bioinformatics 2021. Repository:
https://github.com/ljw-struggle/Bioinfor-DeepATT, commit 651b0dc, no licence stated: what is here is written
anew from its description. Weights: not read here.

Differences: those of `supervised`.

B batch, L length in bp, C channels, P positions that are left after pooling, K labels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.supervised import SupervisedConfig, SupervisedModel, lstm


class DeepATTConfig(SupervisedConfig):
    """Configuration of DeepATT."""

    model_type = "deepatt"
    shortest_bp = 44

    channels: int = 1024
    hidden_size: int = 1024
    attention_size: int = 400
    attention_heads: int = 4
    dense_size: int = 100


class DeepATTModel(SupervisedModel):
    """DeepATT without the attention of its labels."""

    config_class = DeepATTConfig

    def __init__(self, config: DeepATTConfig):
        super().__init__(config)
        size = config.channels
        self.convolution = nn.Sequential(nn.Conv1d(4, size, 30), nn.ReLU(), nn.MaxPool1d(15), nn.Dropout(0.2))
        self.recurrence = lstm(size, config.hidden_size // 2)
        self.post_init()

    def features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return what the labels attend to, (B, P, C)."""
        hidden = self.convolution(self.one_hot(input_ids, attention_mask)).transpose(1, 2)
        return self.recurrence(hidden)[0]

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the mean over positions, (B, C)."""
        return self.features(input_ids, attention_mask).mean(dim=1)

    def make_classifier(self, labels: int) -> nn.Module:
        """Return the head in which each label attends to positions of its own."""
        return CategoryAttention(self.config, labels)


class CategoryAttention(nn.Module):
    """One query a label, and a small network that all labels share."""

    def __init__(self, config: DeepATTConfig, labels: int):
        super().__init__()
        size = config.attention_size
        self.heads = config.attention_heads
        self.query = nn.Linear(labels, size)  # its columns are the queries
        self.key, self.value = (nn.Linear(config.hidden_size, size) for _ in range(2))
        self.out, self.dropout = nn.Linear(size, size), nn.Dropout(0.2)
        self.dense = nn.Sequential(
            nn.Linear(size, config.dense_size), nn.ReLU(), nn.Linear(config.dense_size, 1)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits (B, K) of (B, P, C)."""
        queries = (self.query.weight.T + self.query.bias).expand(len(hidden), -1, -1)
        query, key, value = (
            one.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for one in (queries, self.key(hidden), self.value(hidden))
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return self.dense(self.dropout(self.out(mixed))).squeeze(-1)
