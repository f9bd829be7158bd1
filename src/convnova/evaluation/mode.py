"""Leaving a model as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode and its own precision; each of its parts gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    # A Trainer's mixed precision is a forward of the instance, around that of the class.
    mixed = model.__dict__.pop("forward", None)
    model.eval()
    try:
        yield
    finally:
        if mixed is not None:
            model.forward = mixed
        for module, was_training in modes:
            module.training = was_training
