"""ConvNova as a textbook writes it: channels-first, the twin that our speed is measured against.

The same network with the same names of weights, so that `load_state_dict` takes ours as they are. Every
activation is (B, C, L), which `nn.Conv1d` wants; LayerNorm and Linear want channels last, hence a transpose
before and after each.

B batch, L length in bp, C channels, V vocabulary (A C G T N).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from convnova.model.configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig


class TextbookBlock(nn.Module):
    """One gated convolution block on (B, C, L)."""

    def __init__(self, config: ConvNovaConfig, dilation: int):
        super().__init__()
        channels, kernel = config.hidden_size, config.kernel_size
        padding = dilation * (kernel - 1) // 2
        self.feature_norm = nn.LayerNorm(channels, eps=config.layer_norm_eps)
        self.feature_conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)
        self.gate_norm = nn.LayerNorm(channels, eps=config.layer_norm_eps)
        self.gate_conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)
        self.ffn = nn.ModuleDict()
        if config.use_ffn:
            self.ffn["linear"] = nn.Linear(channels, channels)
            self.ffn["norm"] = nn.LayerNorm(channels, eps=config.layer_norm_eps)

    def forward(self, features: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Return both branches after this block, each (B, C, L)."""
        hidden = self.feature_conv(self.feature_norm(features.transpose(1, 2)).transpose(1, 2))
        gate = self.gate_conv(self.gate_norm(gates.transpose(1, 2)).transpose(1, 2)).sigmoid()
        features = features + F.gelu(hidden) * gate
        gates = gates + gate
        if self.ffn:
            pointwise = F.gelu(self.ffn["linear"](features.transpose(1, 2)))
            features = features + self.ffn["norm"](pointwise).transpose(1, 2)
        return features, gates


class TextbookBackbone(nn.Module):
    """Ids to one vector of C channels at each base, (B, C, L)."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        channels, width, eps = (
            config.hidden_size,
            config.mlp_expansion * config.hidden_size,
            config.layer_norm_eps,
        )
        padding = STEM_KERNEL_SIZE // 2
        self.vocab_size = config.vocab_size
        self.stem = nn.Conv1d(config.vocab_size, channels, STEM_KERNEL_SIZE, padding=padding)
        self.complement_stem = nn.Conv1d(config.vocab_size, channels, STEM_KERNEL_SIZE, padding=padding)
        self.blocks = nn.ModuleList(TextbookBlock(config, dilation) for dilation in config.dilations)
        self.output_mlp = nn.ModuleDict(
            {
                "expand": nn.Linear(channels, width),
                "mix": nn.Linear(width, width),
                "mix_norm": nn.LayerNorm(width, eps=eps),
                "second_mix": nn.Linear(width, width),
                "project": nn.Linear(width, channels),
                "project_norm": nn.LayerNorm(channels, eps=eps),
            }
        )
        self.final_conv = nn.ModuleDict()
        if config.use_final_conv:
            self.final_conv["first"] = nn.Linear(channels, channels)
            self.final_conv["second"] = nn.Linear(channels, channels)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return (B, C, L) for ids (B, L)."""
        bases = F.one_hot(input_ids, self.vocab_size).to(self.stem.weight.dtype).transpose(1, 2)
        features = F.gelu(self.stem(bases))
        gates = F.gelu(self.complement_stem(bases[:, [3, 2, 1, 0, 4]]))
        for block in self.blocks:
            features, gates = block(features, gates)
        mlp = self.output_mlp
        hidden = mlp["mix_norm"](mlp["mix"](F.gelu(mlp["expand"](features.transpose(1, 2)))))
        hidden = mlp["project_norm"](mlp["project"](F.gelu(mlp["second_mix"](hidden))))
        features = features + hidden.transpose(1, 2)
        if self.final_conv:
            hidden = F.gelu(self.final_conv["first"](features.transpose(1, 2)))
            features = self.final_conv["second"](hidden).transpose(1, 2)
        return features


class TextbookForMaskedLM(nn.Module):
    """Backbone and a linear layer to the five letters at each base."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        self.convnova = TextbookBackbone(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, L, V), and with labels (B, L) the loss in nats a base; -100 is left out."""
        logits = self.lm_head(self.convnova(input_ids).transpose(1, 2))
        if labels is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), labels.flatten())
