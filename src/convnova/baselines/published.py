"""Published weights into our modules: every tensor is renamed, or named as one that is not needed."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from convnova.errors import InputError
from convnova.model.conversion import misfits

Names = Iterable[tuple[str, str | None]]
"""Patterns of published names, each with ours; None where a tensor is known and not needed."""
_TIED = "tied."


def renamed(tensors: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Return tensors under our names.

    Args:
        tensors: by published name.
        names: tried in order; a pattern has to fit the whole name.

    Raises:
        InputError: for a tensor that no pattern explains.
    """
    found: dict[str, Tensor] = {}
    unexplained = []
    for name, tensor in tensors.items():
        for pattern, ours in names:
            if match := re.fullmatch(pattern, name):
                if ours is not None:
                    found[match.expand(ours)] = tensor
                break
        else:
            unexplained.append(name)
    if unexplained:
        shown = ", ".join(unexplained[:5]) + (", ..." if len(unexplained) > 5 else "")
        raise InputError(
            f"{len(unexplained)} tensors are not of this architecture ({shown}); "
            "give weights of the system that is named"
        )
    return found


def tied(tensors: dict[str, Tensor], twins: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors with those that a file leaves out because they are others too.

    Args:
        tensors: under our names.
        twins: names of tensors that may be left out, each with that of the other one.
    """
    return {name: tensors[other] for name, other in twins.items() if other in tensors} | tensors


def without_twins(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without those called ``tied.NAME``, which are NAME once more, or stand in for it.

    Raises:
        InputError: when one is not the same as its twin.
    """
    found = {name: one for name, one in tensors.items() if not name.startswith(_TIED)}
    for name, one in tensors.items():
        if name.startswith(_TIED):
            twin = name.removeprefix(_TIED)
            if not torch.equal(found.setdefault(twin, one), one):
                raise InputError(f"{twin} is there twice, with other numbers; its published weights are tied")
    return found


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors into a model, in place.

    Raises:
        InputError: when one is missing, left over or of another shape; nothing is loaded then.
    """
    given, own = ({name: one.shape for name, one in of.items()} for of in (tensors, model.state_dict()))
    if faults := misfits(given, own):
        raise InputError(f"these tensors do not fit the configuration: {faults}")
    model.load_state_dict(dict(tensors))
