"""ConvNova, or a system that it is compared with, whichever a configuration is of."""

import json
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from convnova.baselines.backbone import BaselineConfig
from convnova.baselines.heads import BaselineForSequenceClassification
from convnova.baselines.systems import CONFIGS, PRESETS, preset_config
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.model.presets import PRESETS as OWN_PRESETS
from convnova.model.presets import preset

AnyConfig = ConvNovaConfig | BaselineConfig
SequenceClassifier = ConvNovaForSequenceClassification | BaselineForSequenceClassification


def sequence_classifier(config: AnyConfig) -> SequenceClassifier:
    """Return a model with a head for sequences, with random weights."""
    return classifier_class(config)(config)


def classifier_class(config: AnyConfig) -> Any:
    """Return the class of the model with a head for sequences."""
    is_ours = isinstance(config, ConvNovaConfig)
    return ConvNovaForSequenceClassification if is_ours else BaselineForSequenceClassification


def any_preset(name: str, **changes: Any) -> AnyConfig:
    """Return the configuration of a preset of ConvNova, or of a published model of another system.

    Raises:
        InputError: when there is none of that name, or it has no such setting.
    """
    if name in PRESETS:
        check_settings(PRESETS[name].system, changes)
        return preset_config(name, **changes)
    known = [*OWN_PRESETS, *PRESETS]
    if name not in OWN_PRESETS:
        near = [one for one in known if name and one.startswith(name)] or get_close_matches(name, known, n=5)
        if near:
            raise InputError(f"there is no preset {name!r}; nearest are {', '.join(near)}")
    return preset(name, **changes)


def any_config(folder: Path, **changes: Any) -> AnyConfig:
    """Return the configuration saved in a model's folder, with some settings changed.

    Raises:
        InputError: when the folder holds no model of a known architecture, or it has no such setting.
    """
    system = _system(folder)
    if system is not None:
        check_settings(system, changes)
    kind = ConvNovaConfig if system is None else CONFIGS[system]
    try:
        if not (folder / "config.json").exists():
            raise OSError("there is no config.json")
        return kind.from_pretrained(folder, local_files_only=True, **changes)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: no ConvNova model in it ({str(error).splitlines()[0]}); "
            "give a folder that `convnova pretrain` or save_pretrained wrote"
        ) from None


def _system(folder: Path) -> str | None:
    """Return the name of the system whose configuration a folder holds, None for any other."""
    try:
        name = json.loads((folder / "config.json").read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if name in CONFIGS else None


def check_settings(system: str, changes: dict[str, Any]) -> None:
    """Check that a system has some settings.

    Raises:
        InputError: when it has not.
    """
    own = [field.name for field in fields(CONFIGS[system]) if field.name not in _HIDDEN]
    if unknown := [name for name in changes if name not in (*own, *_OF_THE_TASK)]:
        raise InputError(f"{system} has no setting {unknown[0]}; it has {', '.join(own)}")


_OF_THE_TASK = ("problem_type", "id2label", "label2id", "num_labels", "pooling_segments")
_HIDDEN = {*_OF_THE_TASK, *(field.name for field in fields(PreTrainedConfig))}
