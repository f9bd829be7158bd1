"""The published architectures by name."""

from typing import Any

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig, released_dilations

_DILATIONS = released_dilations(levels=5, base=4)
_GENOMIC_BENCHMARKS = {"hidden_size": 64, "kernel_size": 5, "mlp_expansion": 4, "use_ffn": False}

PRESETS: dict[str, dict[str, Any]] = {
    "pretraining": {"hidden_size": 128, "kernel_size": 9, "mlp_expansion": 2, "use_ffn": True},
    "nt": {"hidden_size": 128, "kernel_size": 9, "mlp_expansion": 2, "use_ffn": False},
    "genomic-benchmarks": _GENOMIC_BENCHMARKS,
    "genomic-benchmarks-386k": _GENOMIC_BENCHMARKS | {"use_final_conv": True},
}


def preset(name: str, **changes: Any) -> ConvNovaConfig:
    """Return the configuration of a published architecture, with some settings changed.

    Raises:
        InputError: for a name that is not in `PRESETS`, or a change that ConvNovaConfig refuses.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    try:
        return ConvNovaConfig(**{"dilations": _DILATIONS} | PRESETS[name] | changes)
    except ValueError as error:
        raise InputError(f"model: {error}") from None


def dilations_of_field(receptive_field_bp: int, kernel_size: int, blocks: int) -> tuple[int, ...]:
    """Return dilations 1, 1, 1, d, d^2, ... whose receptive field is nearest to the wanted one."""
    fields = {
        base: STEM_KERNEL_SIZE + (kernel_size - 1) * sum(released_dilations(blocks, base))
        for base in range(1, max(2, receptive_field_bp))
    }
    nearest = min(fields, key=lambda base: abs(fields[base] - receptive_field_bp))
    return released_dilations(blocks, nearest)
