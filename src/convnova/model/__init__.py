"""ConvNova for Transformers: the Auto classes know it after this import, saved models carry their code."""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from convnova.model.configuration_convnova import ConvNovaConfig, paper_dilations, released_dilations
from convnova.model.modeling_convnova import (
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
    ConvNovaModel,
)
from convnova.model.presets import PRESETS, preset
from convnova.model.tokenization_convnova import ConvNovaTokenizer

__all__ = [
    "PRESETS",
    "ConvNovaConfig",
    "ConvNovaForMaskedLM",
    "ConvNovaForSequenceClassification",
    "ConvNovaForTokenClassification",
    "ConvNovaModel",
    "ConvNovaTokenizer",
    "paper_dilations",
    "preset",
    "released_dilations",
]

_MODELS = {
    AutoModel: ConvNovaModel,
    AutoModelForMaskedLM: ConvNovaForMaskedLM,
    AutoModelForSequenceClassification: ConvNovaForSequenceClassification,
    AutoModelForTokenClassification: ConvNovaForTokenClassification,
}

AutoConfig.register(ConvNovaConfig.model_type, ConvNovaConfig, exist_ok=True)
AutoTokenizer.register(ConvNovaConfig, fast_tokenizer_class=ConvNovaTokenizer, exist_ok=True)
ConvNovaConfig.register_for_auto_class()
ConvNovaTokenizer.register_for_auto_class()
for _auto_class, _model_class in _MODELS.items():
    _auto_class.register(ConvNovaConfig, _model_class, exist_ok=True)
    _model_class.register_for_auto_class(_auto_class.__name__)
