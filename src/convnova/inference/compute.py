"""Where and how a trained model computes: the one place where commands make it ready."""

from typing import Any

import torch

from convnova.errors import InputError
from convnova.evaluation.mode import AUTOCAST
from convnova.inference.compute_settings import ComputeSettings
from convnova.precision import resolve_precision


def make_ready(model: Any, settings: ComputeSettings) -> None:
    """Put a model where it computes fastest, and have it compute as it is wanted.

    Raises:
        InputError: for a precision that this machine does not have, or where torch.compile does not work.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    set_arithmetic(model, settings)
    model.to("cuda" if torch.cuda.is_available() else "cpu")


def set_arithmetic(model: Any, settings: ComputeSettings) -> None:
    """Have a model compute in a precision, and compiled, from its next pass on."""
    if resolve_precision(settings.precision) == "bf16":
        setattr(model, AUTOCAST, torch.bfloat16)
    else:
        allow_tf32(False)
    if settings.compile:
        _check_compiler()
        backbone = model.convnova if hasattr(model, "convnova") else model.backbone
        backbone.compile(dynamic=True)


def allow_tf32(is_allowed: bool) -> None:
    """Allow or not what is PyTorch's default on a GPU: to round what a convolution reads to ten bits."""
    torch.backends.cudnn.allow_tf32 = is_allowed


def _check_compiler() -> None:
    try:
        torch.compile(torch.neg)(torch.ones(2))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"torch.compile does not work here ({first}); leave out compile") from None
