"""ConvNova: a dual-branch gated dilated convolution network for DNA, with its task heads.

    input ids ──one-hot──► stem ──────────► A ─┬──────────────► + ──► … ──► output MLP ──► head
                                               └► norm, conv, GELU ─► h ─× ▲
                                                                         │
    complement ─one-hot──► complement stem ► B ─┬► norm, conv, sigmoid ─ g ─┐
                                                └────────────────────────► + ──► …

The second branch reads the complement of the sequence at the same positions, not reversed.

Shapes: B batch, L length in bp, C channels (`hidden_size`), V vocabulary (A C G T N). Activations stay
channels-last, (B, L, C), from the stem to the head.

Source: Bo et al., "Revisiting Convolution Architecture in the Realm of DNA Foundation Models", ICLR 2025,
arXiv 2502.18538; written from the paper's description and checked against tensors of the reference
implementation (github.com/aim-uofa/ConvNova, commit c606027, no licence, no code used).
Differences from the reference: N, mask and padding share id 4 there too, but positions outside the
attention mask are kept at zero before every convolution here, so that padding never changes a result, and
pooling leaves them out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from .configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig
from .layers_convnova import FinalConv, GatedConvBlock, OutputMLP, Rescaling, SameConv, Scale, keep_real

COMPLEMENT = (3, 2, 1, 0, 4)


class ConvNovaPreTrainedModel(PreTrainedModel):
    """What all ConvNova models share: configuration, initialisation, gradient checkpointing."""

    config_class = ConvNovaConfig
    base_model_prefix = "convnova"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules = ("GatedConvBlock",)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Set PyTorch's own initial values, as the reference does; Transformers would take N(0, 0.02)."""
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            bound = module.weight[0].numel() ** -0.5
            init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)


class ConvNovaModel(ConvNovaPreTrainedModel):
    """The backbone: ids to one vector of C channels at each base."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__(config)
        self.stem = SameConv(config.vocab_size, config.hidden_size, STEM_KERNEL_SIZE)
        self.stem_activation = nn.GELU()
        if config.second_branch != "none":
            self.complement_stem = SameConv(config.vocab_size, config.hidden_size, STEM_KERNEL_SIZE)
            self.complement_stem_activation = nn.GELU()
        self.blocks = nn.ModuleList(GatedConvBlock(config, dilation) for dilation in config.dilations)
        # Before some blocks of a network that downsamples; ConvNova has none.
        self.rescaling = nn.ModuleDict(
            {str(block): Rescaling(config, is_down) for block, is_down in config.rescaled_blocks.items()}
        )
        self.output_mlp = OutputMLP(config)
        self.final_conv = FinalConv(config) if config.use_final_conv else None
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput | tuple:
        """Return the last hidden state (B, L, C).

        Args:
            input_ids: ids A 0, C 1, G 2, T 3, N 4, (B, L).
            attention_mask: 1 at real positions, 0 at padding, (B, L). N is a real position.
            inputs_embeds: one-hot or soft bases (B, L, V) in place of ids, for gradients.
            output_hidden_states: whether to return the feature branch after the stem and each block too; of
                a network that downsamples at the scale of the block.

        Raises:
            ValueError: unless exactly one of `input_ids` and `inputs_embeds` is given; of a network that
                downsamples for padding on the left.
        """
        if input_ids is not None and inputs_embeds is None:
            bases = F.one_hot(input_ids, self.config.vocab_size)
        elif inputs_embeds is not None and input_ids is None:
            bases = inputs_embeds
        else:
            raise ValueError("give either input_ids (B, L) or inputs_embeds (B, L, 5), not both and not none")
        bases = bases.to(self.stem.weight.dtype)
        mask = None if attention_mask is None else attention_mask.unsqueeze(-1).to(bases.dtype)
        bases = keep_real(bases, mask)
        is_checked = self.config.downsampling and not torch.compiler.is_compiling()
        # Its cells would begin in the padding, and hold other bases together.
        if mask is not None and is_checked and (mask[:, :1] < mask.amax(1, keepdim=True)).any():
            raise ValueError("a network that downsamples takes padding on the right alone")

        features, gates = self.branches(bases)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        # Kept only when asked for: a forward without gradients needs no more than one block's memory.
        hidden_states: tuple[Tensor, ...] | None = (features,) if output_hidden_states else None
        skips: list[Scale] = []
        for index, block in enumerate(self.blocks):
            if str(index) in self.rescaling:
                features, gates, mask = self.rescaling[str(index)](Scale(features, gates, mask), skips)
            features, gates = block(features, gates, mask)
            if hidden_states is not None:
                hidden_states += (features,)
        features = self.output(features)
        return _as_output(
            BaseModelOutput(last_hidden_state=features, hidden_states=hidden_states),
            self.config.return_dict if return_dict is None else return_dict,
        )

    def branches(self, bases: Tensor, is_inner: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return both branches after their stems, (B, L, C); None for a second one where there is none.

        Args:
            bases: one-hot or soft bases, (B, L, V).
            is_inner: whether to return only positions that no padding reaches, (B, L - 8, C).
        """

        def read(stem: SameConv, x: Tensor) -> Tensor:
            return stem.inner(x) if is_inner else stem(x)

        features = self.stem_activation(read(self.stem, bases))
        if self.config.second_branch == "none":
            return features, None
        other = bases[..., COMPLEMENT] if self.config.second_branch == "complement" else bases
        return features, self.complement_stem_activation(read(self.complement_stem, other))

    def output(self, features: Tensor) -> Tensor:
        """Return the last hidden state (B, L, C) of the feature branch after the blocks."""
        features = features + self.output_mlp(features)
        return features if self.final_conv is None else self.final_conv(features)


class ConvNovaForMaskedLM(ConvNovaPreTrainedModel):
    """Backbone and a linear layer to the five letters at each base."""

    accepts_loss_kwargs = True

    def __init__(self, config: ConvNovaConfig):
        super().__init__(config)
        self.convnova = ConvNovaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        num_items_in_batch: Tensor | float | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> MaskedLMOutput | tuple:
        """Return logits (B, L, V), and with labels the cross-entropy in nats per base.

        Args:
            labels: ids to predict, -100 where there is none, (B, L).
            loss_weights: weight of each position in the loss, (B, L).
            num_items_in_batch: what the summed loss is divided by, in place of the sum of weights: the
                Trainer's count over all processes and accumulation steps.
        """
        outputs = self.convnova(input_ids, attention_mask, return_dict=True, **inputs)
        logits = self.lm_head(outputs.last_hidden_state)
        loss = None
        if labels is not None:
            loss = masked_cross_entropy(logits, labels, loss_weights, num_items_in_batch)
        return _as_output(
            MaskedLMOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states),
            self.config.return_dict if return_dict is None else return_dict,
        )


class Pooling(nn.Module):
    """What a sequence head reads of all positions: a module of its own, so that attribution can hook it."""

    def __init__(self, config: ConvNovaConfig):
        super().__init__()
        self.config = config

    def forward(self, hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return one vector a sequence, as `pool` does, from hidden (B, L, C)."""
        return pool(hidden, attention_mask, self.config)


class ConvNovaForSequenceClassification(ConvNovaPreTrainedModel):
    """Backbone, pooling over real positions, and a linear layer: classes, independent labels, or values."""

    accepts_loss_kwargs = False  # the loss is the mean over the batch, so the Trainer divides it itself

    def __init__(self, config: ConvNovaConfig):
        super().__init__(config)
        self.convnova = ConvNovaModel(config)
        self.pooling = Pooling(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.pooled_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput | tuple:
        """Return logits (B, labels), and with labels the loss of `config.problem_type`.

        Args:
            labels: class ids (B,) for single_label_classification; 0/1 (B, labels) for
                multi_label_classification; values (B,) or (B, labels) for regression. Without a
                `problem_type`, one label means regression, whole numbers mean classes.
        """
        outputs = self.convnova(input_ids, attention_mask, return_dict=True, **inputs)
        pooled = self.pooling(outputs.last_hidden_state, attention_mask)
        logits = self.classifier(self.dropout(pooled))
        loss = None if labels is None else sequence_loss(self._problem(labels), logits, labels)
        return _as_output(
            SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states),
            self.config.return_dict if return_dict is None else return_dict,
        )

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the embedding of each sequence, (B, `config.pooled_size`), which the head reads."""
        hidden = self.convnova(input_ids, attention_mask, return_dict=True).last_hidden_state
        return self.pooling(hidden, attention_mask)

    def _problem(self, labels: Tensor) -> str:
        if self.config.problem_type is not None:
            return self.config.problem_type
        if self.config.num_labels == 1:
            return "regression"
        is_classes = not labels.is_floating_point() and labels.dim() == 1
        return "single_label_classification" if is_classes else "multi_label_classification"


class ConvNovaForTokenClassification(ConvNovaPreTrainedModel):
    """Backbone and a linear layer to the classes of each base."""

    accepts_loss_kwargs = True

    def __init__(self, config: ConvNovaConfig):
        super().__init__(config)
        self.convnova = ConvNovaModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        num_items_in_batch: Tensor | float | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> TokenClassifierOutput | tuple:
        """Return logits (B, L, labels), and with labels (B, L) the cross-entropy in nats per base.

        Labels, `loss_weights` and `num_items_in_batch` are those of `ConvNovaForMaskedLM`.
        """
        outputs = self.convnova(input_ids, attention_mask, return_dict=True, **inputs)
        logits = self.classifier(self.dropout(outputs.last_hidden_state))
        loss = None
        if labels is not None:
            loss = masked_cross_entropy(logits, labels, loss_weights, num_items_in_batch)
        return _as_output(
            TokenClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states),
            self.config.return_dict if return_dict is None else return_dict,
        )


def pool(hidden: Tensor, attention_mask: Tensor | None, config: ConvNovaConfig) -> Tensor:
    """Return one vector a sequence, (B, `config.pooled_size`), from its real positions only.

    Args:
        hidden: (B, L, C).
        attention_mask: (B, L), real positions in one run.
        config: with `pooling` and `pooling_segments`.
    """
    pooling = config.pooling
    if attention_mask is None:
        attention_mask = hidden.new_ones(hidden.shape[:2])
    real = attention_mask.bool().unsqueeze(-1)
    count = real.sum(dim=1)
    if pooling == "max":
        return hidden.masked_fill(~real, float("-inf")).amax(dim=1)
    if pooling == "center":
        first = real.squeeze(-1).int().argmax(dim=1)
        return hidden[torch.arange(hidden.shape[0], device=hidden.device), first + count.squeeze(-1) // 2]
    if pooling == "segments":
        return _segment_means(hidden, real, count, config.pooling_segments).to(hidden.dtype)
    # Summed in float32: in half precision a few thousand positions leave its range.
    return ((hidden * real).sum(dim=1, dtype=torch.float32) / count).to(hidden.dtype)


def _segment_means(hidden: Tensor, real: Tensor, count: Tensor, segments: int) -> Tensor:
    """Return the means of equal parts of the real positions, side by side, (B, segments * C).

        real positions   0 1 2 3 4 5 6      3 segments: 0 1 2 | 3 4 | 5 6

    A part without position, of a sequence shorter than `segments`, is zero.

    Args:
        hidden: (B, L, C).
        real: whether a position is real, (B, L, 1).
        count: number of real positions, (B, 1).
        segments: number of parts.
    """
    place = real.squeeze(-1).cumsum(dim=1) - 1  # among the real positions, (B, L)
    segment = place * segments // count
    is_member = F.one_hot(segment.clamp(0, segments - 1), segments) * real  # (B, L, segments)
    sums = is_member.transpose(1, 2).float() @ hidden.float()
    return (sums / is_member.sum(dim=1).clamp(min=1).unsqueeze(-1)).flatten(1)


def sequence_loss(problem: str, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean loss of a sequence head: cross-entropy in nats, or the squared error.

    Args:
        problem: Transformers' `problem_type`.
        logits: (B, labels).
        labels: class ids (B,), 0 or 1 (B, labels), or values (B,) or (B, labels).
        label_smoothing: share of each class label given to all classes alike.
    """
    logits = logits.float()
    if problem == "regression":
        return F.mse_loss(logits, labels.to(logits.dtype).view_as(logits))
    if problem == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def masked_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, divisor: Tensor | float | None = None
) -> Tensor:
    """Return the weighted cross-entropy in nats per labelled base; zero where a batch has none.

    Args:
        logits: (B, L, V).
        labels: (B, L), -100 where there is none.
        weights: (B, L), default 1.
        divisor: default the summed weight of the labelled positions.
    """
    is_labelled = labels != -100
    # Only labelled positions reach the softmax: 15 % of them in pretraining, 1.3 ms in place of 8.4 ms for
    # 32 windows of 1024 bp on one CPU core.
    loss = F.cross_entropy(logits[is_labelled].float(), labels[is_labelled], reduction="none")
    weight = loss.new_ones(loss.shape) if weights is None else weights[is_labelled].to(loss.dtype)
    if divisor is None:
        divisor = weight.sum().clamp(min=torch.finfo(loss.dtype).tiny)
    return (loss * weight).sum() / divisor


def _as_output(output: Any, return_dict: bool) -> Any:
    return output if return_dict else output.to_tuple()
