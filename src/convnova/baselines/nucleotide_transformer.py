"""The Nucleotide Transformer, versions 1 and 2: BERT over words of six bases.

Paper: Dalla-Torre et al., "Nucleotide Transformer: building and evaluating robust foundation models for human
genomics", Nature Methods 2024. Repository: https://github.com/instadeepai/nucleotide-transformer, commit
393d793 (tokenizers.py: the order of words and special tokens was checked by it), and the modeling code beside
the weights on the Hugging Face hub (InstaDeepAI). Code and weights are CC BY-NC-SA 4.0, so what is here is
written anew over Transformers' ESM.

Differences: none in the numbers. Version 2 is ESM whose feed-forward layers are gated and have no bias.

B batch, L length in bp, T tokens, C channels, V vocabulary.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import EsmConfig, EsmModel
from transformers.models.esm.modeling_esm import EsmLMHead

from convnova.baselines.backbone import BaselineConfig, TokenBackbone, Tokens
from convnova.baselines.published import renamed, tied
from convnova.baselines.words import words_side_by_side
from convnova.errors import InputError

K = 6
PAD_ID, MASK_ID, CLS_ID, FIRST_WORD = 1, 2, 3, 4
"""<unk> is 0; after the words come A, T, C, G, N, and in version 2 <eos> and <bos>."""
_SINGLE = FIRST_WORD + 4**K + torch.tensor([0, 2, 3, 1, 4])
"""Ids of A, C, G, T, N."""


class NucleotideTransformerConfig(BaselineConfig):
    """Configuration of the Nucleotide Transformer, version 2; version 1 where `is_gated` is false."""

    model_type = "nucleotide-transformer"

    hidden_size: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 16
    intermediate_size: int = 2048
    vocab_size: int = 4107
    max_positions: int = 2050
    is_gated: bool = True
    token_dropout: bool = False
    dropout: float = 0.0
    layer_norm_eps: float = 1e-12

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, <cls> included: positions begin after that of padding."""
        return self.max_positions - PAD_ID - 1

    @property
    def max_length_bp(self) -> int | None:
        """Length that always fits, one of whole words; shorter with N, which each are a token."""
        return K * (self.max_tokens - 1)


class GatedIntermediate(nn.Module):
    """The first half of a feed-forward layer: a SiLU gate, no bias."""

    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.dense = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, intermediate)."""
        gate, value = self.dense(x).chunk(2, dim=-1)
        return F.silu(gate) * value


class NucleotideTransformerModel(TokenBackbone):
    """The Nucleotide Transformer without a head for a task, and with its masked-LM head."""

    config_class = NucleotideTransformerConfig

    def __init__(self, config: NucleotideTransformerConfig):
        super().__init__(config)
        esm = EsmConfig(
            vocab_size=config.vocab_size,
            mask_token_id=MASK_ID,
            pad_token_id=PAD_ID,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            max_position_embeddings=config.max_positions,
            position_embedding_type="rotary" if config.is_gated else "absolute",
            token_dropout=config.token_dropout,
            layer_norm_eps=config.layer_norm_eps,
            initializer_range=config.initializer_range,
            tie_word_embeddings=False,
        )
        self.esm = EsmModel(esm, add_pooling_layer=False)
        del self.esm.contact_head
        if config.is_gated:
            for layer in self.esm.encoder.layer:
                layer.intermediate = GatedIntermediate(config.hidden_size, config.intermediate_size)
                layer.output.dense = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.lm_head = EsmLMHead(esm)
        self.post_init()

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return <cls> and words of six bases; N, and what is left over of a stretch, base by base."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        words = words_side_by_side(input_ids, mask, K)
        if words.mask.shape[1] >= self.config.max_tokens:
            raise InputError(
                f"a sequence of {input_ids.shape[1]:,} bp has {words.mask.shape[1]:,} words, as each N and "
                f"each base beside it is one; {self.config.max_tokens - 1:,} can be read, so crop it"
            )
        single = _SINGLE.to(input_ids.device)[words.first_base]
        ids = torch.where(words.numbers < 0, single, words.numbers + FIRST_WORD)
        ids = torch.where(words.mask.bool(), ids, PAD_ID)
        return Tokens(F.pad(ids, (1, 0), value=CLS_ID), F.pad(words.mask, (1, 0), value=1), words.of_base + 1)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return (B, T, C)."""
        return self.esm(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state

    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the masked-LM logits of each token, (B, T, V)."""
        return self.lm_head(self.encode(tokens))


_FREQUENCIES = "esm.rotary_embeddings.inv_freq"
_NAMES = (
    (r"esm\.contact_head\..+|esm\.embeddings\.position_ids|esm\.pooler\..+", None),
    (r"esm\.encoder\.layer\.0\.attention\.self\.rotary_embeddings\.inv_freq", _FREQUENCIES),
    (r"esm\.encoder\.layer\.\d+\.attention\.self\.rotary_embeddings\.inv_freq", None),  # the same
    (r"((?:esm|lm_head)\..+)", r"\1"),
)


def from_published(tensors: Mapping[str, Tensor], config: NucleotideTransformerConfig) -> dict[str, Tensor]:
    """Return published weights under the names of `NucleotideTransformerModel`.

    Raises:
        InputError: for a tensor of another architecture.
    """
    twins = {"lm_head.decoder.weight": "esm.embeddings.word_embeddings.weight"}
    found = tied(renamed(tensors, _NAMES), twins)
    if config.is_gated:  # version 2 kept them in its files, and reads rotary positions
        found.pop("esm.embeddings.position_embeddings.weight", None)
    return found
