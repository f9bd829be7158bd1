"""DNABERT-2: BERT over byte-pair words, with ALiBi in place of positions and gated feed-forward layers.

Paper: Zhou et al., "DNABERT-2: Efficient Foundation Model and Benchmark For Multi-Species Genome", ICLR 2024.
Repository: https://github.com/MAGICS-LAB/DNABERT_2, commit 20145fb, without a model; its code lies beside the
weights (zhihan1996/DNABERT-2-117M, from MosaicBERT); code and weights Apache-2.0.

Differences: attention is PyTorch's own, without triton or flash-attn and without unpadding; the numbers at
real tokens are the same.

B batch, L length in bp, T tokens, C channels, H heads, V vocabulary.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

from convnova.baselines.backbone import BaselineConfig, TokenBackbone, Tokens
from convnova.baselines.byte_pairs import BytePairs
from convnova.baselines.published import renamed, tied, without_twins

CLS_ID, SEP_ID, PAD_ID, MASK_ID = 1, 2, 3, 4


class DNABERT2Config(BaselineConfig):
    """Configuration of DNABERT-2."""

    model_type = "dnabert2"

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    vocab_size: int = 4096
    tokenizer: str | None = None
    """As JSON; None until words are made from the training sequences."""
    dropout: float = 0.1
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-12


def _as_bert(config: DNABERT2Config) -> BertConfig:
    """Return the configuration as Transformers' BERT has it, for the layers that are the same."""
    return BertConfig(hidden_size=config.hidden_size, layer_norm_eps=config.layer_norm_eps, hidden_act="gelu")


def alibi_slopes(heads: int) -> list[float]:
    """Return how fast attention falls with distance, by head.

    Source: Press et al., "Train Short, Test Long", ICLR 2022.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-4 * (head + 1) / power) for head in range(0, 2 * (heads - power), 2)]
    return slopes + between


class Layer(nn.Module):
    """Attention and a gated feed-forward layer, each with a norm behind it."""

    def __init__(self, config: DNABERT2Config):
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_eps
        self.heads, self.attention_dropout = config.num_attention_heads, config.attention_dropout
        self.qkv = nn.Linear(size, 3 * size)
        self.attention_out, self.attention_norm = nn.Linear(size, size), nn.LayerNorm(size, eps=eps)
        self.gated = nn.Linear(size, 2 * config.intermediate_size, bias=False)
        self.out, self.norm = nn.Linear(config.intermediate_size, size), nn.LayerNorm(size, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return (B, T, C) of (B, T, C); `bias` (B, H, T, T) is added to the attention scores."""
        batch, length, size = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, size // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, bias.to(query.dtype), dropout)
        mixed = mixed.transpose(1, 2).reshape(batch, length, size)
        x = self.attention_norm(x + self.dropout(self.attention_out(mixed)))
        gate, plain = self.gated(x).chunk(2, dim=-1)
        return self.norm(x + self.out(self.dropout(F.gelu(gate) * plain)))


class DNABERT2Model(TokenBackbone):
    """DNABERT-2 without a head for a task, and with its masked-LM head."""

    config_class = DNABERT2Config

    def __init__(self, config: DNABERT2Config):
        super().__init__(config)
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.segment_embedding = nn.Parameter(torch.zeros(size))
        self.norm, self.dropout = nn.LayerNorm(size, eps=config.layer_norm_eps), nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.transform = BertPredictionHeadTransform(_as_bert(config))
        self.decoder = nn.Linear(size, config.vocab_size)
        self.byte_pairs = BytePairs(config.tokenizer)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw all matrices alike, as BERT does."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=self.config.initializer_range)
            if module.bias is not None:
                module.bias.zero_()

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return [CLS], byte-pair words, [SEP]."""
        return self.byte_pairs(input_ids, attention_mask, CLS_ID, SEP_ID, PAD_ID)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return (B, T, C)."""
        x = self.dropout(self.norm(self.word_embeddings(tokens.ids) + self.segment_embedding))
        places = torch.arange(x.shape[1], device=x.device)
        slopes = torch.tensor(alibi_slopes(self.config.num_attention_heads), device=x.device)
        distance = (places[:, None] - places).abs()
        is_padding = (tokens.mask == 0)[:, None, None, :]
        bias = (-slopes[:, None, None] * distance).masked_fill(is_padding, -1e4)
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the masked-LM logits of each token, (B, T, V)."""
        return self.decoder(self.transform(self.encode(tokens)))


_LAYER = r"bert\.encoder\.layer\.(\d+)\."
_NAMES = (
    (r"bert\.embeddings\.word_embeddings\.weight", "word_embeddings.weight"),
    (r"bert\.embeddings\.token_type_embeddings\.weight", "segment_embedding"),
    (r"bert\.embeddings\.LayerNorm\.(.+)", r"norm.\1"),
    (r"bert\.embeddings\.position_ids|bert\.pooler\..+", None),
    (r"cls\.predictions\.bias", "tied.decoder.bias"),
    (_LAYER + r"attention\.self\.Wqkv\.(.+)", r"layers.\1.qkv.\2"),
    (_LAYER + r"attention\.output\.dense\.(.+)", r"layers.\1.attention_out.\2"),
    (_LAYER + r"attention\.output\.LayerNorm\.(.+)", r"layers.\1.attention_norm.\2"),
    (_LAYER + r"mlp\.gated_layers\.weight", r"layers.\1.gated.weight"),
    (_LAYER + r"mlp\.wo\.(.+)", r"layers.\1.out.\2"),
    (_LAYER + r"mlp\.layernorm\.(.+)", r"layers.\1.norm.\2"),
    (r"cls\.predictions\.(transform|decoder)\.(.+)", r"\1.\2"),
)


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights under the names of `DNABERT2Model`; of two segments the first is ever read.

    Raises:
        InputError: for a tensor of another architecture.
    """
    found = tied(without_twins(renamed(tensors, _NAMES)), {"decoder.weight": "word_embeddings.weight"})
    return {name: one[0] if name == "segment_embedding" else one for name, one in found.items()}
