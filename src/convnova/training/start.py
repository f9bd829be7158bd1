"""What training begins with: a preset, a pretrained model, or a model's architecture with random weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from convnova.baselines.architectures import AnyConfig, any_config, any_preset
from convnova.errors import InputError
from convnova.training.settings import NetworkSettings
from convnova.training.weights import WEIGHTS_NAME

PRESET, SCRATCH = "preset:", "scratch:"
"""Before the name of a preset; before the folder of a model whose architecture alone is wanted."""


class Start(NamedTuple):
    """What training begins with."""

    pretrained: Path | None
    """Folder of a pretrained model; None is random weights."""
    config: AnyConfig


def check_model(model: str, network: NetworkSettings) -> None:
    """Check that a model can be begun with, before any data are read.

    Raises:
        InputError: for an unknown preset, a folder without model, or a change that it cannot have.
    """
    folder = start(model, network, ()).pretrained
    if folder is not None and not (folder / WEIGHTS_NAME).exists():
        raise InputError(f"{folder}: there is no {WEIGHTS_NAME} in it; give the folder of a finished run")


def start(model: str, network: NetworkSettings, labels: Sequence[str], **changes: Any) -> Start:
    """Return the configuration of a task's model, and where its weights come from.

    Args:
        model: ``preset:NAME``, the folder of a pretrained model, or ``scratch:FOLDER`` for its architecture
            with random weights.
        network: what to change of it.
        labels: names of the outputs.
        changes: more of them, in the words of ConvNovaConfig.

    Raises:
        InputError: for an unknown preset, a folder without model, or a change that it cannot have.
    """
    changes = network.changes() | changes
    changes["id2label"] = dict(enumerate(labels))
    changes["label2id"] = {name: index for index, name in enumerate(labels)}
    if model.startswith(PRESET):
        return Start(None, any_preset(model.removeprefix(PRESET), **changes))
    folder = Path(model.removeprefix(SCRATCH))
    config = any_config(folder, **changes)
    if not model.startswith(SCRATCH) and (settled := network.settled()):
        raise InputError(
            f"{model}: the architecture of a folder is settled, so {settled[0]} cannot be given; "
            "leave it out, or start from a preset, or from scratch:FOLDER"
        )
    return Start(None if model.startswith(SCRATCH) else folder, config)


def field_of(config: AnyConfig) -> str:
    """Return the receptive field in words."""
    field = config.receptive_field
    return "each output reads all bases" if field is None else f"receptive field {field:,} bp"
