"""Settings of a fine-tuning run; light to import, for the command line."""

from dataclasses import dataclass, field
from typing import Literal

from convnova.errors import InputError
from convnova.training.settings import OptimizerSettings

Measure = Literal["auroc", "auprc", "mcc", "f1", "accuracy"]


def _published_optimizer() -> OptimizerSettings:
    return OptimizerSettings(learning_rate=1e-3, weight_decay=0.1)


@dataclass(frozen=True)
class FinetuneSettings:
    """Fine-tuning of a sequence classifier; the optimiser's defaults are the published ones."""

    optimizer: OptimizerSettings = field(default_factory=_published_optimizer)
    """How the weights move; weight decay spares norms and biases."""
    epochs: int = 20
    """Passes over the training sequences."""
    batch_sequences: int = 64
    """Sequences in one step."""
    evaluations_per_epoch: int = 1
    """Times that the validation part is scored in each epoch."""
    selection: Measure = "mcc"
    """Score on the validation part by which the model is chosen among all evaluations."""
    patience: int | None = None
    """Evaluations without a better score after which training ends; default never before the last epoch."""
    reverse_complement: bool = False
    """Whether half of the training sequences are read from the opposite strand, for tasks without strand."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the network."""
    seed: int = 0
    """One seed gives the same run on the same machine."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_sequences", "evaluations_per_epoch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"patience must be at least 1 evaluation, got {self.patience}")
