"""Settings of a fine-tuning run; light to import, for the command line."""

from dataclasses import dataclass, field
from typing import Literal

from convnova.data.augmentation import AugmentationSettings
from convnova.errors import InputError
from convnova.training.settings import OptimizerSettings

Measure = Literal["mcc", "f1", "accuracy", "auroc", "auprc", "pearson", "spearman", "r2", "mse", "loss"]
Method = Literal["whole-model", "frozen-backbone", "logistic-regression"]


def _published_optimizer() -> OptimizerSettings:
    return OptimizerSettings(learning_rate=1e-3, weight_decay=0.1)


@dataclass(frozen=True)
class FinetuneSettings:
    """Fine-tuning of a sequence model; the optimiser's defaults are the published ones."""

    method: Method = "whole-model"
    """What is trained: the whole model, its head on a frozen backbone (a linear probe), or a logistic (for
    values: ridge) regression on frozen mean-pooled embeddings."""
    optimizer: OptimizerSettings = field(default_factory=_published_optimizer)
    """How the weights move; weight decay spares norms and biases."""
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    """What is changed of the training sequences."""
    average_strands: bool = True
    """Whether a prediction is the mean of those for both strands; also on validation."""
    weight_averaging: float = 0.999
    """Decay of the moving average of the weights, which is what is scored and kept; 0 keeps the last ones."""
    mixup: float = 0.0
    """Parameter of the Beta distribution from which the shares of two mixed sequences are drawn, 0.4 for
    instance; 0 mixes none."""
    label_smoothing: float = 0.0
    """Share of each class label given to all classes alike."""
    label_weighting: Literal["none", "balanced", "sqrt"] = "none"
    """How much more a positive of an independent label weighs in the loss than a negative: as much; so much
    that both weigh the same in sum over the training sequences; or the square root of that."""
    epochs: int = 20
    """Passes over the training sequences."""
    most_steps: int | None = None
    """Steps after which training ends before that, the schedule with it; default no such end."""
    batch_sequences: int = 64
    """Sequences in one step, over all processes together."""
    evaluations_per_epoch: int = 1
    """Times that the validation part is scored in each epoch."""
    selection: Measure | None = None
    """Score on the validation part by which the model is chosen among all evaluations; default the task's:
    MCC for classes, AUROC for independent labels, Pearson correlation for values."""
    patience: int | None = None
    """Evaluations without a better score after which training ends; default never before the last epoch."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of training; auto is bf16 on a GPU or a processor with instructions for it, else fp32.
    Scores are made in fp32."""
    gradient_checkpointing: bool = False
    """Whether to recompute activations in the backward pass: less memory, about a third more time."""
    seed: int = 0
    """One seed gives the same run on the same machine."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_sequences", "evaluations_per_epoch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("patience", "most_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.mixup < 0:
            raise InputError(f"mixup must be at least 0, got {self.mixup}")
        for name in ("weight_averaging", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
