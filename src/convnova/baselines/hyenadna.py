"""HyenaDNA: long convolutions whose filters are made by a small network, causal.

Paper: Nguyen et al., "HyenaDNA: Long-Range Genomic Sequence Modeling at Single Nucleotide Resolution",
NeurIPS 2023. Repository: https://github.com/HazyResearch/hyena-dna, commit d553021 (standalone_hyenadna.py);
code Apache-2.0, weights BSD-3-Clause (LongSafari on the Hugging Face hub).

Differences: none in the numbers. Positions and time stamps of the filters are computed, not stored.

B batch, L length, C channels.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.backbone import BaselineConfig, TokenBackbone, Tokens, one_token_a_base
from convnova.baselines.published import renamed, without_twins


class HyenaDNAConfig(BaselineConfig):
    """Configuration of HyenaDNA."""

    model_type = "hyenadna"

    hidden_size: int = 128
    num_hidden_layers: int = 2
    intermediate_size: int = 0
    """Channels within the pointwise networks; 0 is four times `hidden_size`."""
    vocab_size: int = 16
    max_positions: int = 1026
    short_kernel: int = 3
    filter_emb_dim: int = 5
    """Numbers that tell the filters of a position: its time, and waves."""
    filter_order: int = 64
    """Channels of the network that makes the filters."""
    filter_frequency: float = 10.0
    embed_dropout: float = 0.1
    layer_norm_eps: float = 1e-5

    def __post_init__(self, **kwargs: Any) -> None:
        self.intermediate_size = self.intermediate_size or 4 * self.hidden_size
        super().__post_init__(**kwargs)

    @property
    def max_length_bp(self) -> int | None:
        """Length that the filters were made for."""
        return self.max_positions


class ImplicitFilter(nn.Module):
    """Makes one filter a channel, as long as the sequence, from the positions."""

    FASTEST, SLOWEST, TARGET = 0.3, 1.5, 1e-2
    """Filters have decayed to `TARGET` after these shares of the longest sequence."""
    FLOOR = 0.05
    """Share of a filter that does not decay."""

    def __init__(self, config: HyenaDNAConfig):
        super().__init__()
        self.config = config
        size, order = config.filter_emb_dim, config.filter_order
        self.layers = nn.ModuleList(nn.Linear(inputs, order) for inputs in (size, order, order))
        self.freq = nn.Parameter(torch.full((1, order), config.filter_frequency))
        self.out = nn.Linear(order, config.hidden_size, bias=False)
        slowest, fastest = (math.log(self.TARGET) / share for share in (self.SLOWEST, self.FASTEST))
        self.deltas: Tensor
        self.register_buffer("deltas", torch.linspace(slowest, fastest, config.hidden_size))
        self.bias = nn.Parameter(torch.randn(config.hidden_size))

    def forward(self, length: int) -> Tensor:
        """Return the filters (L, C)."""
        x, times = self._positions(length)
        for layer in self.layers:
            x = torch.sin(self.freq * layer(x))
        return self.out(x) * (torch.exp(-times * self.deltas.abs()) + self.FLOOR)

    def _positions(self, length: int) -> tuple[Tensor, Tensor]:
        """Return what is known of each position (L, emb_dim), and its time from 0 to 1 (L, 1)."""
        longest, device = self.config.max_positions, self.bias.device
        times = torch.linspace(0, 1, longest, device=device)[:length, None]
        bands = (self.config.filter_emb_dim - 1) // 2
        frequencies = torch.linspace(1e-4, bands - 1, bands, device=device)
        angles = 2 * torch.pi * torch.arange(length, device=device)[:, None] / longest * frequencies
        return torch.cat([times, torch.cos(angles), -torch.sin(angles)], dim=-1), times


class HyenaOperator(nn.Module):
    """A short and a long convolution between two gates."""

    def __init__(self, config: HyenaDNAConfig):
        super().__init__()
        size, kernel = config.hidden_size, config.short_kernel
        self.in_proj = nn.Linear(size, 3 * size)
        self.short_filter = nn.Conv1d(3 * size, 3 * size, kernel, padding=kernel - 1, groups=3 * size)
        self.filter = ImplicitFilter(config)
        self.out_proj = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, C) of (B, L, C)."""
        length = x.shape[1]
        projected = self.short_filter(self.in_proj(x).transpose(1, 2))[..., :length]
        outer, inner, value = projected.chunk(3, dim=1)
        value = value * inner
        mixed = long_convolution(value, self.filter(length).T) + value * self.filter.bias.unsqueeze(-1)
        return self.out_proj((mixed * outer).transpose(1, 2))


def long_convolution(x: Tensor, filters: Tensor) -> Tensor:
    """Return the causal convolution of x (B, C, L) with one filter a channel (C, L), in float32 by FFT."""
    length = x.shape[-1]
    spectrum = torch.fft.rfft(x.float(), n=2 * length) * torch.fft.rfft(filters.float(), n=2 * length)
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length].to(x.dtype)


class Layer(nn.Module):
    """The operator and a pointwise network, each behind a norm."""

    def __init__(self, config: HyenaDNAConfig):
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_eps
        self.norm1, self.mixer = nn.LayerNorm(size, eps=eps), HyenaOperator(config)
        self.norm2 = nn.LayerNorm(size, eps=eps)
        self.fc1 = nn.Linear(size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, C) of (B, L, C)."""
        x = x + self.mixer(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class HyenaDNAModel(TokenBackbone):
    """HyenaDNA without a head for a task, and with its causal head: logits of the base that comes next."""

    config_class = HyenaDNAConfig

    def __init__(self, config: HyenaDNAConfig):
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.embed_dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw all matrices alike, but that each layer adds the less the more there are."""
        super()._init_weights(module)
        std, layers = self.config.initializer_range, self.config.num_hidden_layers
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=std)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, Layer):
            for last in (module.mixer.out_proj, module.fc2):
                last.weight.normal_(std=std / math.sqrt(2 * layers))

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return one token a base."""
        return one_token_a_base(input_ids, attention_mask)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return (B, L, C); padding is on the right, where no base before it looks."""
        x = self.dropout(self.embeddings(tokens.ids))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the logits of the token after each token, (B, T, V)."""
        return F.linear(self.encode(tokens), self.embeddings.weight)


_LAYER = r"(?:model\.|hyena\.)?backbone\.layers\.(\d+)\."
_NAMES = (
    (r"(?:model\.|hyena\.)?backbone\.embeddings\.word_embeddings\.weight", "embeddings.weight"),
    (_LAYER + r"mixer\.filter_fn\.bias", r"layers.\1.mixer.filter.bias"),
    (_LAYER + r"mixer\.filter_fn\.modulation\.deltas", r"layers.\1.mixer.filter.deltas"),
    (_LAYER + r"mixer\.filter_fn\.pos_emb\.[zt]", None),
    (_LAYER + r"mixer\.filter_fn\.implicit_filter\.6\.weight", r"layers.\1.mixer.filter.out.weight"),
    (_LAYER + r"mixer\.filter_fn\.implicit_filter\.([024])\.(.+)", r"layers.\1.mixer.filter.layers.\2.\3"),
    (_LAYER + r"mixer\.filter_fn\.implicit_filter\.1\.freq", r"layers.\1.mixer.filter.freq"),
    (_LAYER + r"mixer\.filter_fn\.implicit_filter\.[35]\.freq", None),  # the same one
    (_LAYER + r"(mixer\.(?:in_proj|out_proj|short_filter)\..+)", r"layers.\1.\2"),
    (_LAYER + r"(norm[12]\..+)", r"layers.\1.\2"),
    (_LAYER + r"mlp\.(fc[12]\..+)", r"layers.\1.\2"),
    (r"(?:model\.|hyena\.)?backbone\.ln_f\.(.+)", r"norm.\1"),
    (r"(?:model\.)?lm_head\.weight", "tied.embeddings.weight"),
    (r"head\.output_transform\..+", None),
)


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights under the names of `HyenaDNAModel`.

    Raises:
        InputError: for a tensor of another architecture.
    """
    found: dict[str, Tensor] = {}
    for name, one in without_twins(renamed(tensors, _NAMES)).items():
        if match := re.fullmatch(r"(.+\.filter\.layers\.)([024])(\..+)", name):  # activations lay between
            name = f"{match[1]}{int(match[2]) // 2}{match[3]}"
        found[name] = one.flatten() if name.endswith("deltas") else one
    return found
