"""The heads of every system, those of ConvNova: labels or values of a sequence, labels of each base."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

from convnova.baselines.backbone import BaselineConfig, TokenBackbone
from convnova.baselines.systems import backbone_of
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


class BaselineForSequenceClassification(PreTrainedModel):
    """A system and a head for classes, independent labels or values of a sequence."""

    config_class = BaselineConfig
    base_model_prefix = "backbone"
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


class BaselineForTokenClassification(PreTrainedModel):
    """A system and a linear layer to the classes of each base.

    Raises:
        InputError: for a system that has no output for each base.
    """

    config_class = BaselineConfig
    base_model_prefix = "backbone"
    accepts_loss_kwargs = True

    def __init__(self, config: BaselineConfig):
        super().__init__(config)
        backbone = backbone_of(config)
        if not isinstance(backbone, TokenBackbone):
            raise InputError(
                f"{config.model_type} has no output for each base; use it for labels of whole sequences"
            )
        self.backbone = backbone
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
