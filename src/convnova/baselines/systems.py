"""The systems that ConvNova is compared with, by name: their classes, and their published models."""

from typing import Any, NamedTuple

from convnova.baselines.backbone import Backbone, BaselineConfig
from convnova.baselines.caduceus import CaduceusConfig, CaduceusModel
from convnova.baselines.cnn import CNNConfig, CNNModel
from convnova.baselines.danq import DanQConfig, DanQModel
from convnova.baselines.deepatt import DeepATTConfig, DeepATTModel
from convnova.baselines.deepsea import DeepSEAConfig, DeepSEAModel
from convnova.baselines.dnabert import DNABERTConfig, DNABERTModel
from convnova.baselines.dnabert2 import DNABERT2Config, DNABERT2Model
from convnova.baselines.hyenadna import HyenaDNAConfig, HyenaDNAModel
from convnova.baselines.kmers import KmersConfig, KmersModel
from convnova.baselines.nucleotide_transformer import (
    NucleotideTransformerConfig,
    NucleotideTransformerModel,
)
from convnova.errors import InputError, nearest

_CLASSES: dict[type[BaselineConfig], type[Backbone]] = {
    DNABERTConfig: DNABERTModel,
    DNABERT2Config: DNABERT2Model,
    NucleotideTransformerConfig: NucleotideTransformerModel,
    HyenaDNAConfig: HyenaDNAModel,
    CaduceusConfig: CaduceusModel,
    DeepSEAConfig: DeepSEAModel,
    DanQConfig: DanQModel,
    DeepATTConfig: DeepATTModel,
    CNNConfig: CNNModel,
    KmersConfig: KmersModel,
}


CONFIGS = {config.model_type: config for config in _CLASSES}
"""Configuration of each system by its name."""


class Preset(NamedTuple):
    """A published model, or a small one of the same kind."""

    system: str
    settings: dict[str, Any]
    """Of its configuration."""
    published_parameters: str = ""
    """As its authors state them, in their precision; nothing where it is none of theirs."""
    source: str = ""
    """Where they do."""


_DNABERT2_PAPER = "Zhou et al. 2024"
_CADUCEUS_PAPER = "Schiff et al. 2024"
_HYENADNA_PAPER = "Nguyen et al. 2023"
_DEEPATT_REPOSITORY = "README of Bioinfor-DeepATT"


def _bert(hidden_size: int, layers: int, heads: int = 16, **changes: Any) -> dict[str, Any]:
    sizes = {"hidden_size": hidden_size, "num_hidden_layers": layers, "num_attention_heads": heads}
    return sizes | {"intermediate_size": 4 * hidden_size} | changes


_VERSION_1 = {"is_gated": False, "vocab_size": 4105, "max_positions": 1002, "token_dropout": True}


def _size(hidden_size: int, layers: int, **changes: Any) -> dict[str, Any]:
    return {"hidden_size": hidden_size, "num_hidden_layers": layers} | changes


PRESETS = {
    "dnabert-3": Preset("dnabert", {"k": 3}, "86M", _DNABERT2_PAPER),
    "dnabert-4": Preset("dnabert", {"k": 4}, "86M", _DNABERT2_PAPER),
    "dnabert-5": Preset("dnabert", {"k": 5}, "87M", _DNABERT2_PAPER),
    "dnabert-6": Preset("dnabert", {"k": 6}, "89M", _DNABERT2_PAPER),
    "dnabert2-117m": Preset("dnabert2", {}, "117M", _DNABERT2_PAPER),
    "nt-500m": Preset("nucleotide-transformer", _bert(1280, 24, 20, **_VERSION_1), "480M", _DNABERT2_PAPER),
    "nt-2500m": Preset("nucleotide-transformer", _bert(2560, 32, 20, **_VERSION_1), "2537M", _DNABERT2_PAPER),
    "nt-v2-50m": Preset("nucleotide-transformer", _bert(512, 12), "50M", "its name"),
    "nt-v2-100m": Preset("nucleotide-transformer", _bert(512, 22), "100M", "its name"),
    "nt-v2-250m": Preset("nucleotide-transformer", _bert(768, 24), "250M", "its name"),
    "nt-v2-500m": Preset("nucleotide-transformer", _bert(1024, 29), "500M", "its name"),
    "hyenadna-tiny-1k": Preset("hyenadna", _size(128, 2), "436K", _CADUCEUS_PAPER),
    "hyenadna-small-32k": Preset("hyenadna", _size(256, 4, max_positions=32_770), "3.3M", _HYENADNA_PAPER),
    "hyenadna-medium-160k": Preset("hyenadna", _size(256, 8, max_positions=160_002), "6.6M", _HYENADNA_PAPER),
    "hyenadna-medium-450k": Preset("hyenadna", _size(256, 8, max_positions=450_002), "6.6M", _HYENADNA_PAPER),
    "hyenadna-large-1m": Preset("hyenadna", _size(256, 8, max_positions=1_000_002), "6.6M", _HYENADNA_PAPER),
    "caduceus-ph-1k": Preset("caduceus", _size(118, 4), "470K", _CADUCEUS_PAPER),
    "caduceus-ps-1k": Preset("caduceus", _size(118, 4, keeps_strands=True), "470K", _CADUCEUS_PAPER),
    "caduceus-ph-131k": Preset("caduceus", _size(256, 16), "7.7M", _CADUCEUS_PAPER),
    "caduceus-ps-131k": Preset("caduceus", _size(256, 16, keeps_strands=True), "7.7M", _CADUCEUS_PAPER),
    "deepsea": Preset("deepsea", {}, "52,843,119", "the layers of the published model"),
    "danq": Preset("danq", {}, "46,926,479", _DEEPATT_REPOSITORY),
    "deepatt": Preset("deepatt", {}, "7,808,057", _DEEPATT_REPOSITORY),
    "cnn": Preset("cnn", {}),
    "kmers": Preset("kmers", {}),
    # Small ones, to be trained from scratch beside each other: about 0.5 and 1.7 M weights that a task uses.
    "dnabert-3-0.5m": Preset("dnabert", {"k": 3} | _bert(96, 4, 6)),
    "dnabert-3-1.7m": Preset("dnabert", {"k": 3} | _bert(176, 4, 8)),
    "dnabert2-0.5m": Preset("dnabert2", {"vocab_size": 512} | _bert(80, 4, 5)),
    "dnabert2-1.7m": Preset("dnabert2", {"vocab_size": 512} | _bert(160, 4, 8)),
    "nt-v2-0.5m": Preset("nucleotide-transformer", _bert(64, 4, 4)),
    "nt-v2-1.7m": Preset("nucleotide-transformer", _bert(128, 4, 8)),
    "hyenadna-0.5m": Preset("hyenadna", _size(128, 2, max_positions=65_538)),
    "hyenadna-1.7m": Preset("hyenadna", _size(256, 2, max_positions=65_538)),
    "caduceus-ph-0.5m": Preset("caduceus", _size(118, 4)),
    "caduceus-ph-1.7m": Preset("caduceus", _size(240, 4)),
    "caduceus-ps-0.5m": Preset("caduceus", _size(118, 4, keeps_strands=True)),
    "caduceus-ps-1.7m": Preset("caduceus", _size(240, 4, keeps_strands=True)),
}
"""Models by name."""


def preset_config(name: str, **changes: Any) -> BaselineConfig:
    """Return the configuration of a published model, with some settings changed.

    Raises:
        InputError: when there is no such model.
    """
    if name not in PRESETS:
        near = ", ".join(nearest(name, PRESETS) or PRESETS)
        raise InputError(f"there is no model {name!r}; nearest are {near}")
    preset = PRESETS[name]
    return CONFIGS[preset.system](**preset.settings | changes)


def backbone_of(config: BaselineConfig) -> Backbone:
    """Return the system of a configuration, with random weights.

    Raises:
        InputError: when its sizes do not go together.
    """
    try:
        return _CLASSES[type(config)](config)
    except ValueError as error:
        raise InputError(f"{config.model_type}: {' '.join(str(error).split())}") from None
