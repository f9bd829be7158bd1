"""Configuration of ConvNova: every number that fixes the architecture, checked when it is made.

Source: Bo et al., "Revisiting Convolution Architecture in the Realm of DNA Foundation Models", ICLR 2025,
arXiv 2502.18538.
"""

import difflib
from collections.abc import Sequence
from inspect import signature
from itertools import pairwise
from typing import Any, Self

from transformers import PretrainedConfig

VOCABULARY = ("A", "C", "G", "T", "N")
POOLINGS = ("mean", "max", "center", "segments")
GATINGS = ("dual", "single", "none")
SECOND_BRANCHES = ("complement", "copy", "none")
STEM_KERNEL_SIZE = 9

AUTO_MAP = {
    "AutoConfig": "configuration_convnova.ConvNovaConfig",
    "AutoModel": "modeling_convnova.ConvNovaModel",
    "AutoModelForMaskedLM": "modeling_convnova.ConvNovaForMaskedLM",
    "AutoModelForSequenceClassification": "modeling_convnova.ConvNovaForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_convnova.ConvNovaForTokenClassification",
}
"""Which class of the code saved beside a model each Auto class takes; Transformers alone would write one."""

_FOREIGN_KEYS = {
    # Properties of PretrainedConfig, and what Transformers and its Trainer write into a configuration.
    *("name_or_path", "num_labels", "output_attentions", "torch_dtype", "model_type", "transformers_version"),
    *("auto_map", "attn_implementation", "experts_implementation", "quantization_config"),
    *("tie_word_embeddings", "use_cache", "bos_token_id", "eos_token_id"),
    *vars(PretrainedConfig()),
}


def paper_dilations(levels: int, base: int, repeats: int = 1) -> tuple[int, ...]:
    """Return the paper's schedule 1, 1, d, d^2, d^3, ...; each level `repeats` times in a row."""
    return tuple(base ** max(0, level - 1) for level in range(levels) for _ in range(repeats))


def released_dilations(levels: int, base: int, repeats: int = 1) -> tuple[int, ...]:
    """Return the schedule of the released code 1, 1, 1, d, d^2, ..., at most 1024; levels repeat in a row."""
    return tuple(min(1024, base ** max(0, level - 2)) for level in range(levels) for _ in range(repeats))


class ConvNovaConfig(PretrainedConfig):
    """Settings of a ConvNova model. The defaults are the published ones for pretraining on hg38.

    Args:
        hidden_size: channels C of both branches.
        kernel_size: kernel K of the gated convolutions, odd.
        dilations: one dilation a block, in order; see `paper_dilations` and `released_dilations`.
        mlp_expansion: width of the output MLP as a multiple of `hidden_size`.
        use_ffn: whether each block ends with a pointwise layer on the feature branch.
        use_final_conv: whether two 1x1 convolutions follow the output MLP.
        gating: what a block multiplies by: dual, a gate from the second branch (ConvNova); single, a gate
            from the feature branch itself; none, where what is found is only added.
        second_branch: what the second branch reads: complement (ConvNova), copy for the same strand once
            more, or none where there is no such branch.
        downsampling: bases in a cell of each block, in order, each 1 or twice or half of the one before, and
            1 at the last: a U-Net with skips, (1, 2, 4, 2, 1) for instance; empty for none (ConvNova). Cells
            are counted from the left, so padding must be on the right.
        dropout: probability before each gated convolution, on both branches.
        layer_norm_eps: epsilon of every LayerNorm.
        pooling: how a sequence classifier sums up positions: mean, max, center (the middle position), or
            segments (the mean of each of `pooling_segments` equal parts, so that the head knows where).
        pooling_segments: number of these parts.
        classifier_dropout: probability before the classification layer.

    Raises:
        ValueError: for an unknown key, or a value with which no such network exists.
    """

    model_type = "convnova"

    def __init__(
        self,
        hidden_size: int = 128,
        kernel_size: int = 9,
        dilations: Sequence[int] = (1, 1, 1, 4, 16),
        mlp_expansion: int = 2,
        use_ffn: bool = True,
        use_final_conv: bool = False,
        gating: str = "dual",
        second_branch: str = "complement",
        downsampling: Sequence[int] = (),
        dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        pooling: str = "mean",
        pooling_segments: int = 16,
        classifier_dropout: float = 0.0,
        vocab_size: int = len(VOCABULARY),
        pad_token_id: int = VOCABULARY.index("N"),
        **kwargs: Any,
    ):
        self.hidden_size = hidden_size
        self.kernel_size = kernel_size
        self.dilations = tuple(dilations) if isinstance(dilations, Sequence) else dilations
        self.mlp_expansion = mlp_expansion
        self.use_ffn = use_ffn
        self.use_final_conv = use_final_conv
        self.gating = gating
        self.second_branch = second_branch
        self.downsampling = tuple(downsampling) if isinstance(downsampling, Sequence) else downsampling
        self.dropout = dropout
        self.layer_norm_eps = layer_norm_eps
        self.pooling = pooling
        self.pooling_segments = pooling_segments
        self.classifier_dropout = classifier_dropout
        self.vocab_size = vocab_size
        self.pad_token_id = pad_token_id
        self._check_keys(kwargs)
        self._check_values()
        super().__init__(**{"auto_map": dict(AUTO_MAP), **kwargs})

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Self:
        """Return the configuration with our settings in `kwargs` changed, checked like all others."""
        own = signature(cls.__init__).parameters.keys() & kwargs.keys()
        changes = {name: kwargs.pop(name) for name in own}
        return super().from_dict(config_dict | changes, **kwargs)

    @property
    def num_hidden_layers(self) -> int:
        """Number of gated convolution blocks."""
        return len(self.dilations)

    @property
    def receptive_field(self) -> int:
        """Width in bp of the input window, around it, that one output position depends on.

        With downsampling outputs differ in what they reach: it is the width for those that reach farthest.
        """
        reaches = [self._reach(base) for base in range(max(self.downsampling, default=1))]
        return 1 + 2 * max(map(max, reaches))

    @property
    def rescaled_blocks(self) -> dict[int, bool]:
        """Blocks before which the scale changes, and whether it gets coarser there."""
        scales = (1, *self.downsampling)
        return {
            block: scales[block + 1] > scales[block]
            for block in range(len(self.downsampling))
            if scales[block + 1] != scales[block]
        }

    def _reach(self, base: int) -> tuple[int, int]:
        """Return how many bases before and after a base its output depends on, far from the ends."""
        first = last = base  # cells at the scale of a block, from the last block to the first
        skips: list[tuple[int, int]] = []
        for block in reversed(range(len(self.dilations))):
            reach = self.dilations[block] * (self.kernel_size - 1) // 2
            first, last = first - reach, last + reach
            is_down = self.rescaled_blocks.get(block)
            if is_down:
                skipped_first, skipped_last = skips.pop()
                first, last = min(2 * first, skipped_first), max(2 * last + 1, skipped_last)
            elif is_down is not None:
                skips.append((first, last))
                first, last = first // 2, last // 2
        stem = STEM_KERNEL_SIZE // 2
        return base - first + stem, last - base + stem

    @property
    def pooled_size(self) -> int:
        """Numbers that a sequence head reads of each sequence."""
        return self.hidden_size * (self.pooling_segments if self.pooling == "segments" else 1)

    def _check_keys(self, kwargs: dict[str, Any]) -> None:
        for key in kwargs:
            if key not in _FOREIGN_KEYS and not key.startswith("_"):
                near = difflib.get_close_matches(key, [*vars(self), *_FOREIGN_KEYS], n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"ConvNovaConfig has no setting {key!r}{hint}")

    def _check_values(self) -> None:
        _require(
            _is_int(self.hidden_size, 1), "hidden_size must be a whole number of at least 1", self.hidden_size
        )
        _require(
            _is_int(self.kernel_size, 1) and self.kernel_size % 2 == 1,
            "kernel_size must be odd, so that 'same' padding is equal on both sides and every position keeps "
            "its place",
            self.kernel_size,
        )
        _require(
            isinstance(self.dilations, tuple)
            and len(self.dilations) > 0
            and all(_is_int(dilation, 1) for dilation in self.dilations),
            "dilations must be one whole number of at least 1 for each block, and at least one block",
            self.dilations,
        )
        _require(
            _is_int(self.mlp_expansion, 1),
            "mlp_expansion must be a whole number of at least 1",
            self.mlp_expansion,
        )
        for name in ("use_ffn", "use_final_conv"):
            value = getattr(self, name)
            _require(isinstance(value, bool), f"{name} must be true or false", value)
        for name, choices in (("gating", GATINGS), ("second_branch", SECOND_BRANCHES), ("pooling", POOLINGS)):
            value = getattr(self, name)
            _require(value in choices, f"{name} must be one of {', '.join(choices)}", value)
        self._check_variant()
        for name in ("dropout", "classifier_dropout"):
            value = getattr(self, name)
            _require(_is_number(value) and 0 <= value < 1, f"{name} must be a number in [0, 1)", value)
        _require(
            _is_number(self.layer_norm_eps) and self.layer_norm_eps > 0,
            "layer_norm_eps must be a positive number",
            self.layer_norm_eps,
        )
        _require(
            _is_int(self.pooling_segments, 1),
            "pooling_segments must be a whole number of at least 1",
            self.pooling_segments,
        )
        _require(
            self.vocab_size == len(VOCABULARY),
            "vocab_size must be 5: A, C, G, T and N, which is also the mask and the padding",
            self.vocab_size,
        )
        _require(
            self.pad_token_id == VOCABULARY.index("N"),
            "pad_token_id must be 4, which is N",
            self.pad_token_id,
        )

    def _check_variant(self) -> None:
        """Check what belongs together of gates, branches and scales."""
        _require(
            self.gating == "none" or (self.gating == "dual") == (self.second_branch != "none"),
            "gating dual needs a second_branch, complement or copy, and gating single has second_branch none",
            (self.gating, self.second_branch),
        )
        _require(
            not self.downsampling or self._is_unet(),
            "downsampling must be one whole number for each block: 1, or twice or half of the one before, "
            "and 1 at the last",
            self.downsampling,
        )

    def _is_unet(self) -> bool:
        """Return whether `downsampling` can be built: steps by two, and back where it began."""
        scales = self.downsampling
        if not isinstance(scales, tuple) or len(scales) != len(self.dilations) or scales[-1] != 1:
            return False
        return all(_is_int(one, 1) for one in scales) and all(
            after in (before, 2 * before) or 2 * after == before for before, after in pairwise((1, *scales))
        )


def _is_int(value: Any, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _require(is_met: bool, rule: str, given: Any) -> None:
    if not is_met:
        raise ValueError(f"{rule}; got {given!r}")
