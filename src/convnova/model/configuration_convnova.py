"""Configuration of ConvNova: every number that fixes the architecture, checked when it is made.

Source: Bo et al., "Revisiting Convolution Architecture in the Realm of DNA Foundation Models", ICLR 2025,
arXiv 2502.18538.
"""

import difflib
from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig

VOCABULARY = ("A", "C", "G", "T", "N")
POOLINGS = ("mean", "max", "center")
STEM_KERNEL_SIZE = 9


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
        dropout: probability before each gated convolution, on both branches.
        layer_norm_eps: epsilon of every LayerNorm.
        pooling: how a sequence classifier sums up positions: mean, max, or center (the middle position).
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
        dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        pooling: str = "mean",
        classifier_dropout: float = 0.0,
        vocab_size: int = len(VOCABULARY),
        pad_token_id: int = VOCABULARY.index("N"),
        **kwargs: Any,
    ):
        self.hidden_size = hidden_size
        self.kernel_size = kernel_size
        self.dilations = tuple(dilations)
        self.mlp_expansion = mlp_expansion
        self.use_ffn = use_ffn
        self.use_final_conv = use_final_conv
        self.dropout = dropout
        self.layer_norm_eps = layer_norm_eps
        self.pooling = pooling
        self.classifier_dropout = classifier_dropout
        self.vocab_size = vocab_size
        self.pad_token_id = pad_token_id
        self._check_keys(kwargs)
        self._check_values()
        super().__init__(**kwargs)

    @property
    def num_hidden_layers(self) -> int:
        """Number of gated convolution blocks."""
        return len(self.dilations)

    @property
    def receptive_field(self) -> int:
        """Width in bp of the input window that one output position depends on."""
        return STEM_KERNEL_SIZE + (self.kernel_size - 1) * sum(self.dilations)

    def _check_keys(self, kwargs: dict[str, Any]) -> None:
        inherited = {
            name for base in PretrainedConfig.__mro__ for name in getattr(base, "__annotations__", {})
        }
        inherited |= {"auto_map", "attn_implementation", "name_or_path", "num_labels", "torch_dtype"}
        inherited |= {"output_attentions", "transformers_version", "model_type", "tie_word_embeddings"}
        inherited.add("use_cache")  # the Trainer sets it on whatever model it trains
        for key in kwargs:
            if key not in inherited and not key.startswith("_"):
                near = difflib.get_close_matches(key, vars(self), n=1)
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
            len(self.dilations) > 0 and all(_is_int(d, 1) for d in self.dilations),
            "dilations must be one whole number of at least 1 for each block, and at least one block",
            self.dilations,
        )
        _require(
            _is_int(self.mlp_expansion, 1),
            "mlp_expansion must be a whole number of at least 1",
            self.mlp_expansion,
        )
        for name in ("dropout", "classifier_dropout"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1)", getattr(self, name))
        _require(self.layer_norm_eps > 0, "layer_norm_eps must be positive", self.layer_norm_eps)
        _require(self.pooling in POOLINGS, f"pooling must be one of {', '.join(POOLINGS)}", self.pooling)
        _require(
            self.vocab_size == len(VOCABULARY),
            "vocab_size must be 5: A, C, G, T and N, which is also the mask and the padding",
            self.vocab_size,
        )


def _is_int(value: Any, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _require(is_met: bool, rule: str, given: Any) -> None:
    if not is_met:
        raise ValueError(f"{rule}; got {given!r}")
