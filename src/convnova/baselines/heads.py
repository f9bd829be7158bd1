"""The heads of every system, those of ConvNova: of sequences, of each base, and of the language model."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput, SequenceClassifierOutput, TokenClassifierOutput

from convnova.baselines.backbone import BaselineConfig, TokenBackbone, Tokens
from convnova.baselines.systems import CONFIGS, backbone_of
from convnova.errors import InputError
from convnova.model.modeling_convnova import masked_cross_entropy, sequence_loss

_LANGUAGE_MODEL = ("lm_head.", "bert.cls.", "decoder.", "transform.")


def parameters_in_use(model: PreTrainedModel) -> int:
    """Return how many weights a model with a head for a task trains: not those of a language model's head."""
    prefix = f"{model.base_model_prefix}."
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not name.removeprefix(prefix).startswith(_LANGUAGE_MODEL)
    )


class BaselineWithHead(PreTrainedModel):
    """What the models with a head share."""

    config_class = BaselineConfig
    base_model_prefix = "backbone"

    @classmethod
    def from_pretrained(cls, folder: Any, *arguments: Any, config: Any = None, **keywords: Any) -> Any:
        """Return a model from its folder, with the configuration of whichever system it is.

        Raises:
            InputError: when it is none of these systems.
        """
        if config is None:
            saved, _ = PreTrainedConfig.get_config_dict(folder)
            if saved.get("model_type") not in CONFIGS:
                raise InputError(
                    f"{folder}: its model is a {saved.get('model_type')}, and none of {', '.join(CONFIGS)}"
                )
            config = CONFIGS[saved["model_type"]].from_dict(saved)
        return super().from_pretrained(folder, *arguments, config=config, **keywords)


class BaselineForSequenceClassification(BaselineWithHead):
    """A system and a head for classes, independent labels or values of a sequence."""

    accepts_loss_kwargs = False

    def __init__(self, config: BaselineConfig):
        super().__init__(config)
        self.backbone = backbone_of(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = self.backbone.make_classifier(config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        """Return logits (B, labels), and with labels the loss of `config.problem_type`.

        Labels are those of `ConvNovaForSequenceClassification`.
        """
        features = self.backbone.features(input_ids, attention_mask)
        logits = self.classifier(self.dropout(features))
        problem = self.config.problem_type or "single_label_classification"
        loss = None if labels is None else sequence_loss(problem, logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the embedding of each sequence, (B, `config.pooled_size`)."""
        return self.backbone.embed(input_ids, attention_mask)


class BaselineForTokenClassification(BaselineWithHead):
    """A system and a linear layer to the classes of each base.

    Raises:
        InputError: for a system that has no output for each base.
    """

    accepts_loss_kwargs = True

    def __init__(self, config: BaselineConfig):
        super().__init__(config)
        self.backbone = backbone = _of_tokens(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(backbone.base_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        num_items_in_batch: Tensor | float | None = None,
        **inputs: Any,
    ) -> TokenClassifierOutput:
        """Return logits (B, L, labels), and with labels (B, L) the cross-entropy in nats per base."""
        hidden = self.backbone(input_ids, attention_mask).last_hidden_state
        logits = self.classifier(self.dropout(hidden))
        loss = None
        if labels is not None:
            loss = masked_cross_entropy(logits, labels, loss_weights, num_items_in_batch)
        return TokenClassifierOutput(loss=loss, logits=logits)


class BaselineForLanguageModel(BaselineWithHead):
    """A system with the head of its language model: masked, or causal (HyenaDNA).

    Raises:
        InputError: for a system that has none.
    """

    accepts_loss_kwargs = True

    def __init__(self, config: BaselineConfig):
        super().__init__(config)
        self.backbone = _of_tokens(config)
        self.post_init()

    def tokenize(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tokens:
        """Return the tokens that the system reads of bases (B, L), to be hidden or predicted."""
        return self.backbone.tokenize(input_ids, attention_mask)

    def forward(
        self,
        tokens: Tokens,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        num_items_in_batch: Tensor | float | None = None,
    ) -> MaskedLMOutput:
        """Return logits (B, T, V) of each token, or of the one after it where the system is causal.

        Args:
            tokens: what is read.
            labels: token to predict by each of the logits, -100 where there is none, (B, T); with it there is
                a loss, the cross-entropy in nats per token.
            loss_weights: weight of each of them, (B, T).
            num_items_in_batch: as in `ConvNovaForMaskedLM`.
        """
        logits, loss = self.backbone.token_logits(tokens), None
        if labels is not None:
            loss = masked_cross_entropy(logits, labels, loss_weights, num_items_in_batch)
        return MaskedLMOutput(loss=loss, logits=logits)


def _of_tokens(config: BaselineConfig) -> TokenBackbone:
    backbone = backbone_of(config)
    if not isinstance(backbone, TokenBackbone):
        raise InputError(
            f"{config.model_type} has no output for each base; use it for labels of whole sequences"
        )
    return backbone
