"""The layers of ConvNova, and of the variants that its ablations compare it with.

Activations are channels-last: B batch, L length in bp (or in cells of several bases), C channels.

Source: Bo et al., "Revisiting Convolution Architecture in the Realm of DNA Foundation Models", ICLR 2025,
arXiv 2502.18538.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_convnova import ConvNovaConfig

# On a CPU the gradient of a convolution's weights costs more for each base the longer the sequence is: 139 ns
# at 65,536 bp and 505 ns at 262,144 bp (C 32). Training convolves longer sequences in pieces of this length.
LONGEST_CONVOLUTION_BP = 65_536


class SameConv(nn.Conv1d):
    """Dilated convolution with 'same' zero padding over (B, L, C_in), returns (B, L, C_out)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x (B, L, C_in)."""
        return convolve(x, self.weight, self.bias, self.dilation[0])

    @property
    def reach(self) -> int:
        """How many bases to either side an output depends on."""
        return self.dilation[0] * (self.kernel_size[0] - 1) // 2

    def inner(self, x: Tensor) -> Tensor:
        """Return the convolution of x (B, L, C_in) where its kernel lies inside, (B, L - 2 reach, C_out)."""
        return _convolve(x, self.weight, self.bias, self.dilation[0], padding=0)


class Pointwise(nn.Linear):
    """Linear layer at each base, (B, L, C_in) to (B, L, C_out).

    On a CPU it runs as a convolution of kernel 1, which adds the bias in the same pass: a training step of
    the published model takes 8 % less time.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, C_out)."""
        return (
            convolve(x, self.weight.unsqueeze(2), self.bias) if x.device.type == "cpu" else super().forward(x)
        )


class Dropout(nn.Dropout):
    """Dropout, which on a CPU draws eight random bits for an element, and so knows rates of n/256.

    PyTorch's own takes 23 % of the training step of a small model there, this one 5 %.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x with elements set to zero at the rate `p`, the others scaled so that the mean stays."""
        is_here = self.training and self.p > 0 and x.device.type == "cpu"
        if not is_here or torch.compiler.is_compiling():
            return super().forward(x)
        dropped = min(round(256 * self.p), 255)
        bits = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        is_kept = bits.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * (is_kept.to(x.dtype) * (256 / (256 - dropped)))


class FeedForward(nn.Module):
    """Pointwise layer on the feature branch: LayerNorm(GELU(Linear(x)))."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        self.linear = Pointwise(config.hidden_size, config.hidden_size)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, L, C)."""
        return self.norm(self.activation(self.linear(features)))


class GatedSum(nn.Module):
    """What a gate lets through, added: a module of its own, so that attribution methods can hook it."""

    def forward(self, features: Tensor, hidden: Tensor, gate: Tensor) -> Tensor:
        """Return features + hidden * gate, all of (B, L, C), in one pass over memory."""
        return torch.addcmul(features, hidden, gate)


class PlainSum(nn.Module):
    """Both branches added, of a network without gates."""

    def forward(self, features: Tensor, hidden: Tensor, other: Tensor) -> Tensor:
        """Return features + hidden + other, all of (B, L, C)."""
        return features + hidden + other


class GatedConvBlock(GradientCheckpointingLayer):
    """One gated convolution block: the gate branch decides, base by base, what the feature branch adds.

    ::

        gating    feature branch A        second branch B
        dual      A + h(A) * g(B)         B + g(B)           ConvNova
        single    A + h(A) * g(A)         there is none
        none      A + h(A) + h'(B)        B + h'(B)
        none      A + h(A)                there is none

        h, h' = GELU of a convolution     g = sigmoid of a convolution
    """

    def __init__(self, config: ConvNovaConfig, dilation: int):
        super().__init__()
        channels, eps = config.hidden_size, config.layer_norm_eps
        is_gated = config.gating != "none"
        self.dropout = Dropout(config.dropout)
        self.feature_norm = nn.LayerNorm(channels, eps=eps)
        self.feature_conv = SameConv(channels, channels, config.kernel_size, dilation)
        self.feature_activation = nn.GELU()
        self.gate_conv = None
        if is_gated or config.second_branch != "none":
            self.gate_norm = nn.LayerNorm(channels, eps=eps)
            self.gate_conv = SameConv(channels, channels, config.kernel_size, dilation)
            self.gate_activation = nn.Sigmoid() if is_gated else nn.GELU()
            self.sum = GatedSum() if is_gated else PlainSum()
        self.ffn = FeedForward(config) if config.use_ffn else None

    def forward(
        self, features: Tensor, gates: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the two branches after this block.

        Args:
            features: feature branch A, (B, L, C).
            gates: second branch B, (B, L, C); None where there is none.
            mask: 1 at real positions and 0 at padding, (B, L, 1).
        """
        hidden = self.feature_activation(self.feature_conv(self.feature_input(features, mask)))
        gate = None
        if self.gate_conv is not None:
            gate = self.gate_activation(self.gate_conv(self.gate_input(features, gates, mask)))
        return self.add(features, gates, hidden, gate)

    def feature_input(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """Return what the convolution of the feature branch reads, (B, L, C)."""
        return keep_real(self.feature_norm(self.dropout(features)), mask)

    def gate_input(self, features: Tensor, gates: Tensor | None, mask: Tensor | None) -> Tensor:
        """Return what the other convolution reads, (B, L, C)."""
        return keep_real(self.gate_norm(self.dropout(features if gates is None else gates)), mask)

    def add(
        self, features: Tensor, gates: Tensor | None, hidden: Tensor, gate: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the two branches with what the convolutions have found in them, each of (B, L, C)."""
        if gate is None:
            features = features + hidden
        else:
            features = self.sum(features, hidden, gate)
            gates = None if gates is None else gates + gate
        if self.ffn is not None:
            features = features + self.ffn(features)
        return features, gates


class Downsampling(nn.Linear):
    """Two neighbours to one, a convolution of kernel and stride 2: (B, L, C) to (B, ceil(L / 2), C)."""

    def __init__(self, channels: int):
        super().__init__(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the coarser x; an odd length is filled up with zeros."""
        return super().forward(F.pad(x, (0, 0, 0, x.shape[1] % 2)).unflatten(1, (-1, 2)).flatten(2))


class Upsampling(nn.Linear):
    """One to two neighbours, a transposed convolution of kernel and stride 2: (B, L, C) to (B, 2 L, C)."""

    def __init__(self, channels: int):
        super().__init__(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the finer x."""
        return super().forward(x).unflatten(2, (2, -1)).flatten(1, 2)


class Scale(NamedTuple):
    """Both branches at one scale."""

    features: Tensor
    """(B, L, C)."""
    gates: Tensor | None
    """(B, L, C); None where there is no second branch."""
    mask: Tensor | None
    """1 where a cell has a real position, (B, L, 1)."""

    @property
    def branches(self) -> list[Tensor]:
        """The branches that there are."""
        return [self.features] if self.gates is None else [self.features, self.gates]


class Rescaling(nn.Module):
    """The step of a U-Net between two blocks: both branches twice as coarse, or twice as fine again.

    ::

        fine    ── block ──┬───────────────────────────────► + ── block ──
                           └► Downsampling ── block ── Upsampling        coarse
    """

    def __init__(self, config: ConvNovaConfig, is_down: bool):
        super().__init__()
        step = Downsampling if is_down else Upsampling
        self.is_down = is_down
        self.of_features = step(config.hidden_size)
        self.of_gates = None if config.second_branch == "none" else step(config.hidden_size)

    def forward(self, here: Scale, skips: list[Scale]) -> Scale:
        """Return the branches at the next scale.

        Args:
            here: the branches before this step.
            skips: what finer scales have left; one is added, or the last one is taken away.
        """
        if self.is_down:
            skips.append(here)
            finer = [keep_real(branch, here.mask) for branch in here.branches]
            return self._scale(finer, _coarse(here.mask))
        skip = skips.pop()
        coarser = self._scale(here.branches, None)
        features, *gates = (
            before + after[:, : before.shape[1]]
            for before, after in zip(skip.branches, coarser.branches, strict=True)
        )
        return Scale(features, gates[0] if gates else None, skip.mask)

    def _scale(self, branches: list[Tensor], mask: Tensor | None) -> Scale:
        features, *gates = branches
        if self.of_gates is None:
            return Scale(self.of_features(features), None, mask)
        return Scale(self.of_features(features), self.of_gates(*gates), mask)


def _coarse(mask: Tensor | None) -> Tensor | None:
    """Return whether either of two neighbours is real, (B, ceil(L / 2), 1)."""
    return None if mask is None else F.pad(mask, (0, 0, 0, mask.shape[1] % 2)).unflatten(1, (-1, 2)).amax(2)


class OutputMLP(nn.Module):
    """Pointwise network after the blocks, C -> eC -> C, without its residual."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        channels, width, eps = (
            config.hidden_size,
            config.mlp_expansion * config.hidden_size,
            config.layer_norm_eps,
        )
        self.expand = Pointwise(channels, width)
        self.first_activation = nn.GELU()
        self.mix = Pointwise(width, width)
        self.mix_norm = nn.LayerNorm(width, eps=eps)
        self.second_mix = Pointwise(width, width)
        self.second_activation = nn.GELU()
        self.project = Pointwise(width, channels)
        self.project_norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, L, C)."""
        hidden = self.mix_norm(self.mix(self.first_activation(self.expand(features))))
        return self.project_norm(self.project(self.second_activation(self.second_mix(hidden))))


class FinalConv(nn.Module):
    """Two 1x1 convolutions with a GELU between them, no residual."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        self.first = Pointwise(config.hidden_size, config.hidden_size)
        self.activation = nn.GELU()
        self.second = Pointwise(config.hidden_size, config.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, L, C)."""
        return self.second(self.activation(self.first(features)))


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> Tensor:
    """Return the convolution of x (B, L, C_in) with 'same' zero padding, (B, L, C_out).

    It runs as a 2-d convolution of height 1: a (B, L, C) tensor is then a channels-last image as it lies
    in memory, which CPU and GPU kernels take without a copy; the textbook form would transpose twice.

    Args:
        x: (B, L, C_in).
        weight: (C_out, C_in, K).
        bias: (C_out,).
        dilation: distance in bp between two taps of the kernel.
    """
    reach = dilation * (weight.shape[2] - 1) // 2
    is_training_on_cpu = (
        torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()
    )
    if is_training_on_cpu and x.shape[1] > LONGEST_CONVOLUTION_BP:
        padded = F.pad(x, (0, 0, reach, reach))
        starts = range(0, x.shape[1], LONGEST_CONVOLUTION_BP)
        pieces = [padded[:, start : start + LONGEST_CONVOLUTION_BP + 2 * reach] for start in starts]
        return torch.cat([_convolve(piece, weight, bias, dilation, padding=0) for piece in pieces], dim=1)
    return _convolve(x, weight, bias, dilation, padding=reach)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int, padding: int) -> Tensor:
    image = x.transpose(1, 2).unsqueeze(2)  # (B, C_in, 1, L), channels last in memory
    out = F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, padding), dilation=(1, dilation))
    return out.squeeze(2).transpose(1, 2)


def keep_real(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x (B, L, C) with zeros at padding: what a convolution sees beyond the end of a sequence."""
    return x if mask is None else x * mask
