"""What the ablations compare ConvNova with: the one model, with single designs changed.

A study is a row of variants, the full model first. Matched in parameters, a variant has as many channels as
bring it nearest to the full model; where another kernel or depth would move the receptive field, its
dilations are chosen so that the field stays.

Source: the ablations of Bo et al., ICLR 2025, arXiv 2502.18538, sections 4 and 5; what "single gate" and
"downsampling" are in detail is ours, as no code of them was released.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig, released_dilations
from convnova.model.modeling_convnova import ConvNovaModel
from convnova.model.presets import dilations_of_field, growing_dilations

FULL = "full"
_FIELD_TOLERANCE = 0.1
"""Share that the receptive field of another kernel may differ by before its dilations grow otherwise."""
_SIZE_TOLERANCE = 0.05
"""Share that parameters may differ by before it is told; variants keep to it from 32 channels on."""


class Variant(NamedTuple):
    """One way to build the network."""

    name: str
    sentence: str
    """What is different from the full model."""
    changes: dict[str, Any]
    """Of ConvNovaConfig; empty for the full model."""


def _gate(full: ConvNovaConfig) -> list[Variant]:
    return [
        Variant("same-strand", "the second branch reads the same strand", {"second_branch": "copy"}),
        Variant(
            "single-gate",
            "one branch, gated by itself",
            {"gating": "single", "second_branch": "none"},
        ),
        Variant("no-gate", "two branches, added and not multiplied", {"gating": "none"}),
        Variant("one-branch", "one branch, no gate", {"gating": "none", "second_branch": "none"}),
    ]


def _context(full: ConvNovaConfig) -> list[Variant]:
    blocks = len(full.dilations)
    return [
        Variant("downsampling", "a U-Net, no dilation", _unet_changes(blocks)),
        *(
            Variant("deep-downsampling", f"a U-Net of the full field, {deep} blocks", _unet_changes(deep))
            for deep in [_blocks_of_unet(full)]
            if deep != blocks
        ),
        Variant("plain", "no dilation", {"dilations": (1,) * blocks}),
    ]


def _unet_changes(blocks: int) -> dict[str, Any]:
    return {"downsampling": unet(blocks), "dilations": (1,) * blocks}


def _blocks_of_unet(full: ConvNovaConfig) -> int:
    """Return how many blocks give a U-Net about the receptive field of a network."""
    fields = {blocks: changed(full, _unet_changes(blocks)).receptive_field for blocks in range(1, 16, 2)}
    return min(fields, key=lambda blocks: abs(fields[blocks] - full.receptive_field))


def _kernel(full: ConvNovaConfig) -> list[Variant]:
    return [
        Variant(
            f"kernel-{kernel}",
            f"kernels of {kernel}, dilations {' '.join(map(str, dilations))}",
            {"kernel_size": kernel, "dilations": dilations},
        )
        for kernel in (3, 5, 7, 11, 15)
        if kernel != full.kernel_size
        for dilations in [_dilations_of_kernel(full, kernel)]
    ]


def _dilations_of_kernel(full: ConvNovaConfig, kernel: int) -> tuple[int, ...]:
    """Return dilations that keep the receptive field with another kernel: the paper's where they can."""
    field, blocks = full.receptive_field, len(full.dilations)
    dilations = dilations_of_field(field, kernel, blocks)
    made = changed(full, {"kernel_size": kernel, "dilations": dilations})
    is_kept = abs(made.receptive_field / field - 1) <= _FIELD_TOLERANCE
    return dilations if is_kept else growing_dilations(field, kernel, blocks)


def _dilation(full: ConvNovaConfig) -> list[Variant]:
    blocks = len(full.dilations)
    return [
        Variant(f"dilation-{base}", f"dilations {' '.join(map(str, dilations))}", {"dilations": dilations})
        for base in (1, 2, 3, 4, 6, 8)
        if (dilations := released_dilations(blocks, base)) != full.dilations
    ]


def _depth(full: ConvNovaConfig) -> list[Variant]:
    """Return networks of other depths, and one of the same: their dilations grow by another schedule."""
    return [
        Variant(
            f"blocks-{blocks}",
            f"{blocks} blocks, dilations {' '.join(map(str, dilations))}",
            {"dilations": dilations},
        )
        for blocks in sorted({2, 3, 4, 6, 8, 12, len(full.dilations)})
        if (dilations := growing_dilations(full.receptive_field, full.kernel_size, blocks)) != full.dilations
    ]


def _ffn(full: ConvNovaConfig) -> list[Variant]:
    name = "no-ffn" if full.use_ffn else "ffn"
    sentence = f"{'no' if full.use_ffn else 'a'} pointwise layer after each block"
    return [Variant(name, sentence, {"use_ffn": not full.use_ffn})]


STUDIES: dict[str, Callable[[ConvNovaConfig], list[Variant]]] = {
    "gate": _gate,
    "context": _context,
    "kernel": _kernel,
    "dilation": _dilation,
    "depth": _depth,
    "ffn": _ffn,
}
"""Variants by the question that they answer, without the full model."""


def variants(study: str, full: ConvNovaConfig, match: bool = True) -> list[Variant]:
    """Return the variants of a study, the full model first.

    Args:
        study: a key of `STUDIES`.
        full: the model that is taken apart.
        match: whether the number of channels brings each to the parameters of the full model.

    Raises:
        InputError: for an unknown study, or a model that is itself no ConvNova.
    """
    if study not in STUDIES:
        raise InputError(f"there is no study {study!r}; choose of {', '.join(STUDIES)}")
    if full.gating != "dual" or full.second_branch != "complement" or full.downsampling:
        raise InputError("ablations begin at the full model: gating dual, complement branch, no downsampling")
    found = STUDIES[study](full)
    if match:
        found = [variant._replace(changes=_matched(full, variant.changes)) for variant in found]
    return [Variant(FULL, "ConvNova", {}), *found]


def _matched(full: ConvNovaConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes with the channels that bring a network to the parameters of the full model."""
    return changes | {"hidden_size": matched_channels(changed(full, changes), parameters(full))}


def changed(config: ConvNovaConfig, changes: dict[str, Any]) -> ConvNovaConfig:
    """Return a configuration with some settings changed."""
    return ConvNovaConfig.from_dict(config.to_dict() | changes)


def parameters(config: ConvNovaConfig) -> int:
    """Return the number of weights of a backbone, without making them."""
    with torch.device("meta"):
        return ConvNovaModel(config).num_parameters()


def unmatched(full: ConvNovaConfig, networks: Mapping[str, dict[str, Any]]) -> dict[str, float]:
    """Return by what share the parameters of networks differ from the full model's, where by more than 5 %.

    Args:
        full: the model that they are to be as large as.
        networks: what is changed of it, by the name of the network.
    """
    wanted = parameters(full)
    shares = {name: parameters(changed(full, changes)) / wanted - 1 for name, changes in networks.items()}
    return {name: share for name, share in shares.items() if abs(share) > _SIZE_TOLERANCE}


def matched_channels(config: ConvNovaConfig, wanted: int) -> int:
    """Return the number of channels that brings a backbone nearest to a number of weights."""

    @lru_cache
    def weights(channels: int) -> int:
        return parameters(changed(config, {"hidden_size": channels}))

    low, high = 1, 2
    while weights(high) < wanted:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if weights(middle) < wanted else (low, middle)
    return min((low, high), key=lambda channels: abs(weights(channels) - wanted))


def unet(blocks: int) -> tuple[int, ...]:
    """Return the scales 1, 2, 4, ..., 4, 2, 1 of a U-Net of some blocks."""
    half = (blocks + 1) // 2
    down = tuple(2**level for level in range(half))
    return down + down[: blocks - half][::-1]


def field_changes(full: ConvNovaConfig, receptive_field_bp: int) -> dict[str, Any]:
    """Return what gives a network about a receptive field, at the parameters of the full model.

    The number of blocks stays; fields narrower than its kernel allows are reached by a smaller one.
    """
    blocks = len(full.dilations)
    sizes = range(full.kernel_size, 1, -2)
    fitting = (k for k in sizes if STEM_KERNEL_SIZE + (k - 1) * blocks <= receptive_field_bp)
    kernel = next(fitting, min(3, full.kernel_size))
    dilations = growing_dilations(receptive_field_bp, kernel, blocks)
    return _matched(full, {"kernel_size": kernel, "dilations": dilations})
