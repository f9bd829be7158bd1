"""Which arithmetic this machine has, and computes fastest in."""

from pathlib import Path
from typing import Literal

import torch

from convnova.errors import InputError


def resolve_precision(wanted: Literal["auto", "fp32", "bf16", "fp16"]) -> str:
    """Return the arithmetic to use on this machine.

    Raises:
        InputError: for one that it does not have.
    """
    has_gpu = torch.cuda.is_available()
    can_bf16 = not has_gpu or torch.cuda.is_bf16_supported()
    if wanted == "auto":
        return "bf16" if can_bf16 and (has_gpu or has_bf16_instructions()) else "fp32"
    if wanted == "fp16" and not has_gpu:
        raise InputError("precision fp16 needs a GPU, and there is none; use fp32 or bf16")
    if wanted == "bf16" and not can_bf16:
        raise InputError("precision bf16 is not known to this GPU; use fp32 or fp16")
    return wanted


def has_bf16_instructions() -> bool:
    """Return whether the processor multiplies bf16 in hardware; elsewhere bf16 is slower than fp32."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return False
    flags = set(cpuinfo.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
