"""What every system answers to: bases in, one vector a base out, so that all take the same data and heads.

    bases   A  C  G  T  A  C  G  N  A        ids of `convnova.sequence`, as ConvNova gets them
    tokens  [CLS] [ ACGTAC       ] G N A     whatever a system reads
    base    1  1  1  1  1  1  2  3  4        which token stands for each base
    out     vectors of these tokens          (B, L, C), as from ConvNova

B batch, L length in bp, T tokens, C channels, V vocabulary.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from convnova.errors import InputError
from convnova.model.modeling_convnova import pool

CHARACTERS = (7, 8, 9, 10, 11)
"""Ids of A, C, G, T, N for HyenaDNA and Caduceus; 0 to 6 are [CLS], [SEP], [BOS], [MASK], [PAD], [RESERVED]
and [UNK]."""


class Tokens(NamedTuple):
    """What a system reads of a batch of sequences."""

    ids: Tensor
    """(B, T), padded on the right."""
    mask: Tensor
    """1 at tokens, 0 at padding, (B, T)."""
    of_base: Tensor
    """Number of the token that stands for each base, (B, L); anything at padding."""


class BaselineConfig(PreTrainedConfig):
    """What the configurations of all systems share; what is annotated is a setting, given by keyword.

    Raises:
        InputError: for a pooling that is none.
    """

    hidden_size: int
    """Channels of an embedding."""
    initializer_range: float = 0.02
    """Standard deviation of the embeddings of words at the start."""
    pooling: str = "mean"
    """How the head of a task sums up positions: mean, max, center or segments."""
    pooling_segments: int = 1
    """Number of segments."""
    classifier_dropout: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.pooling not in ("mean", "max", "center", "segments"):
            raise InputError(f"pooling {self.pooling!r} is none; use mean, max, center or segments")
        super().__post_init__(**kwargs)

    @property
    def pooled_size(self) -> int:
        """Numbers of the embedding of a sequence."""
        return self.hidden_size * (self.pooling_segments if self.pooling == "segments" else 1)

    @property
    def receptive_field(self) -> int | None:
        """How many bases an output depends on; None for all of them."""
        return None

    @property
    def max_length_bp(self) -> int | None:
        """Longest sequence that can be read; None where memory alone is the limit."""
        return None


class Backbone(PreTrainedModel):
    """A system without a head for a task: bases in, one vector a sequence out."""

    base_model_prefix = "backbone"
    config: Any

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw embeddings; other layers begin as PyTorch makes them, where a system says nothing else."""
        if isinstance(module, nn.Embedding):
            module.weight.normal_(std=self.config.initializer_range)

    @abstractmethod
    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the embedding of each sequence, (B, `config.pooled_size`), from its real bases.

        Args:
            input_ids: A 0, C 1, G 2, T 3, N 4, (B, L).
            attention_mask: 1 at bases, 0 at padding, which is on the right, (B, L); default no padding.

        Raises:
            InputError: for sequences longer than the system reads.
        """

    def features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return what the head of a task reads of each sequence, which is its embedding in most systems."""
        return self.embed(input_ids, attention_mask)

    def make_classifier(self, labels: int) -> nn.Module:
        """Return a head from `features` to logits (B, labels)."""
        return nn.Linear(self.config.pooled_size, labels)


class TokenBackbone(Backbone):
    """A system that reads tokens and has a vector for each, which stands for the bases of the token."""

    @property
    def base_size(self) -> int:
        """Channels at each base."""
        return self.config.hidden_size

    @abstractmethod
    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return the tokens of sequences of at most `config.max_length_bp` bases, (B, L)."""

    @abstractmethod
    def encode(self, tokens: Tokens) -> Tensor:
        """Return the vector of each token, (B, T, C)."""

    @abstractmethod
    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the logits of the language model, (B, T, V): of each token, or of the one after it."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """Return the vector at each base, (B, L, C); arguments and errors are those of `embed`."""
        check_length(self.config, input_ids.shape[1])
        tokens = self.tokenize(input_ids, attention_mask)
        hidden = self.encode(tokens)
        places = tokens.of_base.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        return BaseModelOutput(last_hidden_state=hidden.gather(1, places))

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the embedding of each sequence: what its bases have on average, or `config.pooling`."""
        return pool(self(input_ids, attention_mask).last_hidden_state, attention_mask, self.config)


def check_length(config: BaselineConfig, length_bp: int) -> None:
    """Check that a system can read sequences of a length.

    Raises:
        InputError: when it cannot.
    """
    longest = config.max_length_bp
    if longest is not None and length_bp > longest:
        raise InputError(
            f"a sequence of {length_bp:,} bp is longer than {config.model_type} reads ({longest:,} bp); "
            "crop it (max_length_bp and too_long), or use another model"
        )


def one_token_a_base(input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
    """Return the tokens of a system that reads single bases (B, L), numbered as `CHARACTERS`."""
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    places = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    return Tokens(torch.tensor(CHARACTERS, device=input_ids.device)[input_ids], mask, places)
