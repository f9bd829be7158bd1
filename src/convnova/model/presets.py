"""The published architectures by name, a small one, one for labels of single bases, and one for many tracks.

``chromatin`` is for hundreds of tracks, as DeepSEA's 919, in windows of 1 kb or more: from the middle it sees
1,001 bp, and each output reads 256 channels. The published models have 128 and see 193 bp.
"""

from typing import Any

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig, released_dilations

_DILATIONS = released_dilations(levels=5, base=4)
_GENOMIC_BENCHMARKS = {"hidden_size": 64, "kernel_size": 5, "mlp_expansion": 4, "use_ffn": False}

PRESETS: dict[str, dict[str, Any]] = {
    "pretraining": {"hidden_size": 128, "kernel_size": 9, "mlp_expansion": 2, "use_ffn": True},
    "nt": {"hidden_size": 128, "kernel_size": 9, "mlp_expansion": 2, "use_ffn": False},
    "nt-0.5m": {"hidden_size": 64, "kernel_size": 9, "mlp_expansion": 2, "use_ffn": False},
    "genomic-benchmarks": _GENOMIC_BENCHMARKS,
    "genomic-benchmarks-386k": _GENOMIC_BENCHMARKS | {"use_final_conv": True},
    # Eight blocks that grow to a receptive field of 4 kb: growing_dilations(4000, 9, 8).
    "gene-finding": {
        "hidden_size": 64,
        "kernel_size": 9,
        "mlp_expansion": 2,
        "use_ffn": False,
        "dilations": (1, 2, 5, 11, 25, 55, 124, 276),
    },
    # Six blocks that grow to a receptive field of 1 kb: growing_dilations(1000, 9, 6).
    "chromatin": {
        "hidden_size": 256,
        "kernel_size": 9,
        "mlp_expansion": 2,
        "use_ffn": False,
        "dilations": (1, 2, 6, 13, 30, 72),
    },
}


def preset(name: str, **changes: Any) -> ConvNovaConfig:
    """Return the configuration of an architecture by name, with some settings changed.

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


def growing_dilations(receptive_field_bp: int, kernel_size: int, blocks: int) -> tuple[int, ...]:
    """Return dilations 1, r, r^2, ... (rounded, r of at least 1) with about the wanted receptive field.

    Work and memory depend on the number of blocks alone, so a wide field costs no more than a narrow one.
    """
    # The sum of the dilations; a kernel of 1 sees no further, whatever they are.
    wanted = (receptive_field_bp - STEM_KERNEL_SIZE) / (kernel_size - 1) if kernel_size > 1 else 0.0
    low, high = 1.0, max(1.0, wanted) ** (1 / max(1, blocks - 1))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(_powers(middle, blocks)) < wanted else (low, middle)
    return _powers(high, blocks)


def _powers(ratio: float, blocks: int) -> tuple[int, ...]:
    return tuple(round(ratio**block) for block in range(blocks))
