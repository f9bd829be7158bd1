"""Caduceus: bidirectional Mamba, and its form that is equivariant under the reverse complement.

Paper: Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence Modeling", ICML 2024.
Repository: https://github.com/kuleshov-group/caduceus, commit 2593c80 (modeling_caduceus.py), weights
kuleshov-group on the Hugging Face hub; code and weights Apache-2.0.

Differences: the projections that both directions share are computed once for both; padding is hidden from
both directions, so that it changes no result (there, padding on the left is read); without CUDA kernels the
scan is `selective_scan`.

B batch, L length, C channels (twice as many where both strands are kept apart), D inner channels.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MambaConfig
from transformers.models.mamba.modeling_mamba import MambaMixer

from convnova.baselines.backbone import CHARACTERS, BaselineConfig, TokenBackbone, Tokens, one_token_a_base
from convnova.baselines.published import renamed, without_twins
from convnova.baselines.selective_scan import selective_scan
from convnova.model.modeling_convnova import pool


class CaduceusConfig(BaselineConfig):
    """Configuration of Caduceus-Ph, or of Caduceus-PS with `keeps_strands`."""

    model_type = "caduceus"

    hidden_size: int = 256
    num_hidden_layers: int = 16
    keeps_strands: bool = False
    vocab_size: int = 16
    state_size: int = 16
    conv_kernel: int = 4
    expand: int = 2
    """Inner channels as a multiple of `hidden_size`."""
    layer_norm_eps: float = 1e-5


class Mixer(MambaMixer):
    """Mamba's mixer in one direction, without the projections that both directions share."""

    def __init__(self, config: MambaConfig):
        super().__init__(config, layer_idx=0)
        del self.in_proj, self.out_proj

    def forward(self, projected: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gated output of the scan (B, L, D) of the projected input (B, L, 2 D)."""
        x, gate = projected.chunk(2, dim=-1)
        length = x.shape[1]
        weight, bias, padding = self.conv1d.weight, self.conv1d.bias, self.conv_kernel_size - 1
        x = F.conv1d(x.transpose(1, 2), weight, bias, padding=padding, groups=x.shape[-1])[..., :length]
        x = F.silu(x).transpose(1, 2)
        if mask is not None:
            x = x * mask
        sizes = [self.time_step_rank, self.ssm_state_size, self.ssm_state_size]
        dt, b, c = self.x_proj(x).split(sizes, dim=-1)
        x, dt, b, c = x.float(), F.softplus(self.dt_proj(dt).float()), b.float(), c.float()
        scanned = _scan(x, dt, -torch.exp(self.A_log.float()), b, c) + x * self.D.float()
        return (scanned * F.silu(gate.float())).to(gate.dtype)


def _scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the selective scan (B, L, D), on CUDA by Mamba's own kernel where it is installed."""
    if x.is_cuda:
        try:
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # type: ignore
        except ImportError:
            pass
        else:
            rows = (one.transpose(1, 2).contiguous() for one in (x, dt, b, c))
            x, dt, b, c = rows
            return selective_scan_fn(x, dt, a, b, c).transpose(1, 2)
    return selective_scan(x, dt, a, b, c)


class BiMamba(nn.Module):
    """Mamba in both directions, added up."""

    def __init__(self, config: CaduceusConfig):
        super().__init__()
        mamba = MambaConfig(
            hidden_size=config.hidden_size,
            state_size=config.state_size,
            conv_kernel=config.conv_kernel,
            expand=config.expand,
            num_hidden_layers=1,
            use_bias=False,
        )
        inner = mamba.intermediate_size
        self.in_proj = nn.Linear(config.hidden_size, 2 * inner, bias=False)
        self.forwards, self.backwards = Mixer(mamba), Mixer(mamba)
        self.out_proj = nn.Linear(inner, config.hidden_size, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, L, C) of (B, L, C); `mask` (B, L, 1) is 0 at padding."""
        projected = self.in_proj(x if mask is None else x * mask)
        flipped = None if mask is None else mask.flip(1)
        backward = self.backwards(projected.flip(1), flipped).flip(1)
        return self.out_proj(self.forwards(projected, mask) + backward)


class Layer(nn.Module):
    """Norm and mixer; the sum of what came before is carried beside, in float32."""

    def __init__(self, config: CaduceusConfig):
        super().__init__()
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mixer = BiMamba(config)

    def forward(self, residual: Tensor, mask: Tensor | None) -> Tensor:
        """Return the sum with this layer's part, (B, L, C)."""
        return residual + self.mixer(self.norm(residual), mask).float()


class CaduceusModel(TokenBackbone):
    """Caduceus without a head for a task, and with its masked-LM head.

    With `keeps_strands` the first half of the channels reads the sequence and the second half its reverse
    complement, by the same weights; the reverse complement of the input then gives the output turned around,
    both along the sequence and the channels.
    """

    config_class = CaduceusConfig

    def __init__(self, config: CaduceusConfig):
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    @property
    def base_size(self) -> int:
        """Channels at each base: of both strands where they are kept apart."""
        return self.config.hidden_size * (2 if self.config.keeps_strands else 1)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw embeddings, and let each layer add the less the more there are."""
        super()._init_weights(module)
        if isinstance(module, BiMamba):
            module.out_proj.reset_parameters()
            module.out_proj.weight.div_(math.sqrt(self.config.num_hidden_layers))

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
        """Return one token a base."""
        return one_token_a_base(input_ids, attention_mask)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return (B, L, C), or (B, L, 2 C) where strands are kept apart."""
        mask = None if tokens.mask.all() else tokens.mask.unsqueeze(-1)
        if not self.config.keeps_strands:
            return self._run(tokens.ids, mask)
        complement = _complement(self.config.vocab_size).to(tokens.ids.device)
        both = torch.cat([tokens.ids, complement[tokens.ids].flip(1)])
        mask = None if mask is None else torch.cat([mask, mask.flip(1)])
        forward, backward = self._run(both, mask).chunk(2)
        return torch.cat([forward, backward.flip(1, 2)], dim=-1)

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the embedding of each sequence; of both strands the mean, so that it is of neither."""
        hidden = self(input_ids, attention_mask).last_hidden_state
        if self.config.keeps_strands:
            forward, backward = hidden.chunk(2, dim=-1)
            hidden = (forward + backward.flip(-1)) / 2
        return pool(hidden, attention_mask, self.config)

    def token_logits(self, tokens: Tokens) -> Tensor:
        """Return the masked-LM logits of each token, (B, T, V)."""
        hidden, weight = self.encode(tokens), self.embeddings.weight
        if not self.config.keeps_strands:
            return F.linear(hidden, weight)
        forward, backward = hidden.chunk(2, dim=-1)
        complement = _complement(self.config.vocab_size).to(weight.device)
        return F.linear(forward, weight) + F.linear(backward.flip(-1), weight[complement])

    def _run(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        residual = self.embeddings(ids).float()
        for layer in self.layers:
            residual = layer(residual, mask)
        return self.norm(residual)


def _complement(vocab_size: int) -> Tensor:
    """Return the id of the complement of each word, (V,): A and T, C and G change places."""
    complement = torch.arange(vocab_size)
    a, c, g, t, _ = CHARACTERS
    complement[[a, c, g, t]] = torch.tensor([t, g, c, a])
    return complement


_LAYER = r"(?:caduceus\.)?(?:backbone\.)?layers\.(\d+)\."
_EMBEDDING = r"(?:caduceus\.)?(?:backbone\.)?embeddings\.word_embeddings\."
_NAMES = (
    (_EMBEDDING + r"(?:embedding\.)?weight", "embeddings.weight"),
    (_EMBEDDING + r"complement_map|lm_head\.complement_map", None),
    (_LAYER + r"norm\.(?:submodule\.)?weight", r"layers.\1.norm.weight"),
    (_LAYER + r"mixer\.(?:submodule\.)?mamba_fwd\.((?:in|out)_proj\.weight)", r"layers.\1.mixer.\2"),
    (_LAYER + r"mixer\.(?:submodule\.)?mamba_rev\.((?:in|out)_proj\.weight)", r"tied.layers.\1.mixer.\2"),
    (_LAYER + r"mixer\.(?:submodule\.)?mamba_fwd\.(.+)", r"layers.\1.mixer.forwards.\2"),
    (_LAYER + r"mixer\.(?:submodule\.)?mamba_rev\.(.+)", r"layers.\1.mixer.backwards.\2"),
    (r"(?:caduceus\.)?(?:backbone\.)?norm_f\.(?:submodule\.)?weight", "norm.weight"),
    (r"lm_head\.(?:lm_head\.)?weight", "tied.embeddings.weight"),
)


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights under the names of `CaduceusModel`.

    Raises:
        InputError: for a tensor of another architecture, or directions that do not share their projections.
    """
    return without_twins(renamed(tensors, _NAMES))
