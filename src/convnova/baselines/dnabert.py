"""DNABERT: BERT over overlapping words of 3 to 6 bases.

Paper: Ji et al., "DNABERT: pre-trained Bidirectional Encoder Representations from Transformers model for
DNA-language in genome", Bioinformatics 2021. Repository: https://github.com/jerryji1993/DNABERT, commit
bad9eea (tokenization_dna.py: sizes of the vocabulary and special tokens were checked by it), weights
zhihan1996/DNA_bert_3 to DNA_bert_6; code Apache-2.0.

Differences: none in the numbers; the model is Transformers' BERT, without the pooler that a task head of its
own would read.

B batch, L length in bp, T tokens, C channels, V vocabulary.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from convnova.baselines.backbone import BaselineConfig, TokenBackbone, Tokens
from convnova.baselines.published import renamed, tied
from convnova.baselines.words import overlapping_words

PAD_ID, UNKNOWN_ID, CLS_ID, SEP_ID, MASK_ID, FIRST_WORD = range(6)


class DNABERTConfig(BaselineConfig):
    """Configuration of DNABERT."""

    model_type = "dnabert"

    k: int = 6
    """Bases in a word."""
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_positions: int = 512
    """Most tokens, [CLS] and [SEP] included."""
    dropout: float = 0.1
    layer_norm_eps: float = 1e-12

    @property
    def vocab_size(self) -> int:
        """Words of k bases, and special ones."""
        return FIRST_WORD + 4**self.k

    @property
    def max_length_bp(self) -> int | None:
        """As many bases as have [CLS], a word from each on, and [SEP]."""
        return self.max_positions - 2 + self.k - 1


class DNABERTModel(TokenBackbone):
    """DNABERT without a head for a task, and with its masked-LM head."""

    config_class = DNABERTConfig

    def __init__(self, config: DNABERTConfig):
        super().__init__(config)
        self.bert = BertForMaskedLM(
            BertConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                max_position_embeddings=config.max_positions,
                layer_norm_eps=config.layer_norm_eps,
                initializer_range=config.initializer_range,
                pad_token_id=PAD_ID,
            )
        )
        self.post_init()

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return [CLS], the words that begin at each base, [SEP]; a word with N is unknown."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        words = overlapping_words(input_ids, mask, self.config.k)
        ids = torch.where(words.numbers < 0, UNKNOWN_ID, words.numbers + FIRST_WORD)
        ids = torch.where(words.mask.bool(), ids, PAD_ID)
        ids, is_token = F.pad(ids, (1, 1), value=PAD_ID), F.pad(words.mask, (2, 0), value=1)
        ids[:, 0] = CLS_ID
        ids.scatter_(1, words.mask.sum(dim=1, keepdim=True) + 1, SEP_ID)
        return Tokens(ids, is_token, words.of_base + 1)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return (B, T, C)."""
        return self.bert.bert(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state

    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the masked-LM logits of each token, (B, T, V)."""
        return self.bert.cls(self.encode(tokens))


_NAMES = (
    (r"bert\.pooler\..+|bert\.embeddings\.position_ids", None),
    (r"((?:bert|cls)\..+)", r"bert.\1"),
)
_TIED = {
    "bert.cls.predictions.decoder.weight": "bert.bert.embeddings.word_embeddings.weight",
    "bert.cls.predictions.decoder.bias": "bert.cls.predictions.bias",
}


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights under the names of `DNABERTModel`.

    Raises:
        InputError: for a tensor of another architecture.
    """
    return tied(renamed(tensors, _NAMES), _TIED)
