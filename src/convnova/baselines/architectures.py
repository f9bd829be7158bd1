"""ConvNova, or a system that it is compared with, whichever a configuration is of."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from convnova.baselines.backbone import BaselineConfig
from convnova.baselines.heads import BaselineForSequenceClassification
from convnova.baselines.systems import CONFIGS, PRESETS, preset_config
from convnova.errors import InputError, nearest
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
    if name not in OWN_PRESETS:
        known = [*OWN_PRESETS, *PRESETS]
        near = nearest(name, known)
        hint = f"nearest are {', '.join(near)}" if near else f"choose one of {', '.join(known)}"
        raise InputError(f"there is no preset {name!r}; {hint}")
    return preset(name, **changes)


def any_config(folder: Path, **changes: Any) -> AnyConfig:
    """Return the configuration saved in a model's folder, with some settings changed.

    Raises:
        InputError: when the folder holds no model of a known architecture, or it has no such setting.
    """
    try:
        if not (folder / "config.json").exists():
            raise OSError("there is no config.json")
        saved, _ = PreTrainedConfig.get_config_dict(folder, local_files_only=True)
        system = saved.get("model_type")
        if system not in CONFIGS and system != ConvNovaConfig.model_type and _is_published(saved):
            raise InputError(
                f"{folder}: published weights of another system; convert them first (convnova convert --from)"
            )
        if system not in CONFIGS:
            return ConvNovaConfig.from_dict(saved, **changes)
        check_settings(system, changes)
        return CONFIGS[system].from_dict(saved, **changes)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: no ConvNova model in it ({str(error).splitlines()[0]}); "
            "give a folder that `convnova pretrain` or save_pretrained wrote"
        ) from None


def _is_published(saved: dict[str, Any]) -> bool:
    """Return whether a configuration is one of those that the other systems are published with."""
    return bool({"d_model", "num_attention_heads"} & set(saved))


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
