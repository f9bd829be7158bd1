"""The plain CNN of Genomic Benchmarks: the floor of what is learned from labels alone.

Paper: Gresova et al., "Genomic benchmarks: a collection of datasets for genomic sequence classification",
BMC Genomic Data 2023. Repository: https://github.com/ML-Bioinfo-CEITEC/genomic_benchmarks, commit 001db97,
Apache-2.0. Weights: none are published.

Differences: letters are A, C, G, T, N and padding is N.

B batch, L length in bp, C channels, P positions that are left after pooling, K labels.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.backbone import check_length
from convnova.baselines.supervised import SupervisedConfig, SupervisedModel
from convnova.sequence import N


class CNNConfig(SupervisedConfig):
    """Configuration of the plain CNN."""

    model_type = "cnn"
    shortest_bp = 71

    embedding_size: int = 100
    hidden_size: int = 512


class CNNModel(SupervisedModel):
    """The plain CNN without its last layer."""

    config_class = CNNConfig

    def __init__(self, config: CNNConfig):
        super().__init__(config)
        sizes = (config.embedding_size, 16, 8, 4)
        self.embedding = nn.Embedding(N + 1, sizes[0])
        layers: list[nn.Module] = []
        positions = config.input_bp
        for before, after in pairwise(sizes):
            layers += [nn.Conv1d(before, after, 8), nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(2)]
            positions = (positions - 7) // 2
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(sizes[-1] * positions, config.hidden_size)
        self.post_init()

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, (B, C)."""
        check_length(self.config, input_ids.shape[1])
        if attention_mask is not None:
            input_ids = torch.where(attention_mask.bool(), input_ids, N)
        input_ids = F.pad(input_ids, (0, self.config.input_bp - input_ids.shape[1]), value=N)
        hidden = self.convolutions(self.embedding(input_ids).transpose(1, 2))
        return self.dense(hidden.flatten(1))
