"""Pretrained weights into a model with another head: every tensor is named as loaded, new or dropped."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME as WEIGHTS_NAME

from convnova.baselines.architectures import any_config
from convnova.baselines.backbone import BaselineConfig
from convnova.errors import InputError
from convnova.model.conversion import misfits
from convnova.training.arguments import quiet_libraries

HEADS = ("lm_head.", "classifier.")
"""Layers that belong to a task: a new task gets new ones."""
_ARCHITECTURE = (
    "hidden_size",
    "kernel_size",
    "dilations",
    "mlp_expansion",
    "use_ffn",
    "use_final_conv",
    "layer_norm_eps",
)


class WeightsReport(NamedTuple):
    """What became of each tensor."""

    loaded: tuple[str, ...]
    """Taken over from the pretrained model."""
    new: tuple[str, ...]
    """Of the new head, freshly initialised."""
    dropped: tuple[str, ...]
    """Of the pretrained model's own head, not needed here."""

    def __str__(self) -> str:
        """Return one line for people."""
        new, dropped = ", ".join(self.new) or "none", ", ".join(self.dropped) or "none"
        return f"{len(self.loaded)} tensors loaded; new: {new}; dropped: {dropped}"


def load_pretrained(model: PreTrainedModel, folder: Path) -> WeightsReport:
    """Load the backbone of a saved model into one with another head, in place.

    Raises:
        InputError: when the architectures differ, or any tensor but a head's is missing, left over or of
            another shape; nothing is loaded then.
    """
    saved_config = any_config(folder)
    for name in ("model_type", *_ARCHITECTURE):
        saved_value, value = (getattr(config, name, None) for config in (saved_config, model.config))
        if saved_value != value:
            raise InputError(
                f"{folder}: its model has {name} {saved_value}, and the one to train has {value}; "
                "use the architecture of the pretrained model"
            )
    path = folder / WEIGHTS_NAME
    if not path.exists():
        raise InputError(f"{folder}: there is no {WEIGHTS_NAME} in it; give the folder of a finished run")
    own = model.state_dict()
    saved = _of_system(model, folder) if isinstance(saved_config, BaselineConfig) else load_file(path)
    is_head = {name: name.startswith(HEADS) for name in saved | own}
    shapes = ({name: of[name].shape for name in of if not is_head[name]} for of in (saved, own))
    if faults := misfits(*shapes):
        raise InputError(f"{path}: these tensors do not fit: {faults}; give the model they belong to")
    loaded = {name: tensor for name, tensor in saved.items() if not is_head[name]}
    nn.Module.load_state_dict(model, loaded, strict=False)
    return WeightsReport(
        tuple(loaded),
        tuple(name for name in own if is_head[name]),
        tuple(name for name in saved if is_head[name]),
    )


def _of_system(model: PreTrainedModel, folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a system's folder by the names of a model with a head for a task.

    Transformers saves its own BERT and ESM with other names and without what is tied, so it reads them too; a
    system is saved alone, or with the head of another task.

    Raises:
        InputError: when the weights cannot be read.
    """
    quiet_libraries()
    try:
        found, loading = type(model).from_pretrained(
            folder,
            config=model.config,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: its weights cannot be loaded ({str(error).splitlines()[0]}); convert or train again"
        ) from None
    shapes = {name: shape for name, shape, _ in loading["mismatched_keys"]}
    tensors = {name: one for name, one in found.state_dict().items() if name not in loading["missing_keys"]}
    other = dict.fromkeys(loading["unexpected_keys"], torch.empty(0))
    return tensors | {name: torch.empty(shape) for name, shape in shapes.items()} | other
