"""Leaving a model as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

AUTOCAST = "inference_dtype"
"""Attribute of a model with the type that it computes in where it is not that of its weights."""


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode and the precision that it is used in; each part gets its mode back."""
    modes = [(module, module.training) for module in model.modules()]
    # A Trainer's mixed precision is a forward of the instance, around that of the class.
    mixed = model.__dict__.pop("forward", None)
    model.eval()
    dtype = getattr(model, AUTOCAST, None)
    try:
        with nullcontext() if dtype is None else torch.autocast(next(model.parameters()).device.type, dtype):
            yield
    finally:
        if mixed is not None:
            model.forward = mixed
        for module, was_training in modes:
            module.training = was_training
