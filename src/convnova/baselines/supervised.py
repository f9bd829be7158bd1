"""DeepSEA, DanQ and DeepATT, made for chromatin profiles, and the plain CNN of Genomic Benchmarks.

They read sequences of one length, and have no output for each base.

- DeepSEA: Zhou and Troyanskaya, Nature Methods 2015. The counts and layers are those of the published Lua
  model, with convolutions that do not reach beyond the ends.
- DanQ: Quang and Xie, Nucleic Acids Research 2016; https://github.com/uci-cbcl/DanQ, MIT.
- DeepATT: Li et al., Briefings in Bioinformatics 2021; https://github.com/ljw-struggle/Bioinfor-DeepATT
  (commit 651b0dc, no licence stated: what is here is written anew from its description).
- CNN: Gresova et al., "Genomic benchmarks", BMC Genomic Data 2023;
  https://github.com/ML-Bioinfo-CEITEC/genomic_benchmarks, Apache-2.0.

Differences: N and padding are zero in all four channels; an LSTM has one bias, as in Keras, the other one
being held at zero; weights are not constrained, and regularised by the optimiser alone.

B batch, L length in bp, C channels, P positions that are left after pooling, K labels.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.backbone import Backbone, BaselineConfig, check_length
from convnova.errors import InputError
from convnova.sequence import N


class SupervisedConfig(BaselineConfig):
    """What the configurations of these systems share.

    Raises:
        InputError: for a length of which nothing is left after pooling.
    """

    shortest_bp: ClassVar[int]
    """Shortest input of which a position is left."""

    input_bp: int = 1000

    def __post_init__(self, **kwargs: Any) -> None:
        if self.input_bp < self.shortest_bp:
            raise InputError(
                f"input_bp {self.input_bp} is too short for {self.model_type}; "
                f"give {self.shortest_bp} or more"
            )
        super().__post_init__(**kwargs)

    @property
    def max_length_bp(self) -> int | None:
        """The one length that is read; shorter sequences are padded."""
        return self.input_bp

    @property
    def pooled_size(self) -> int:
        """Channels of the last layer, which has read all positions: no pooling is left to choose."""
        return self.hidden_size


class SupervisedModel(Backbone):
    """A system that reads all bases of a sequence of one length."""

    config: SupervisedConfig

    def one_hot(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return the input of the first convolution, (B, 4, `config.input_bp`).

        Raises:
            InputError: for longer sequences.
        """
        check_length(self.config, input_ids.shape[1])
        if attention_mask is not None:
            input_ids = torch.where(attention_mask.bool(), input_ids, N)
        bases = F.one_hot(input_ids, N + 1)[..., :N].to(self.dtype).transpose(1, 2)
        return F.pad(bases, (0, self.config.input_bp - bases.shape[-1]))


def lstm(size: int, channels: int) -> nn.LSTM:
    """Return a bidirectional LSTM with one bias."""
    module = nn.LSTM(size, channels, batch_first=True, bidirectional=True)
    for name, parameter in module.named_parameters():
        if name.startswith("bias_ih"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    return module


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
