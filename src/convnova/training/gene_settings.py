"""Settings of `convnova finetune --task gene-finding`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.data.base_labels import GeneLabelSettings
from convnova.data.base_windows import BaseWindowSettings
from convnova.data.gene_settings import GeneDataSettings
from convnova.errors import InputError
from convnova.training.settings import NetworkSettings, OptimizerSettings, RunSettings


@dataclass(frozen=True)
class GeneNetworkSettings(NetworkSettings):
    """What to change: of a preset anything, of a pretrained model dropout."""

    blocks: int | None = None
    """Gated convolution blocks, with dilations that grow to receptive_field_bp; default the preset's."""
    receptive_field_bp: int | None = None
    """How many bases around a base the network sees, about; default the preset's. Time and memory do not
    depend on it: only on the number of blocks."""
    classifier_dropout: float | None = None
    """Dropout before the head; default 0."""

    def __post_init__(self) -> None:
        if self.blocks is not None and self.blocks < 1:
            raise InputError(f"blocks must be at least 1, got {self.blocks}")
        if self.receptive_field_bp is not None and self.receptive_field_bp < 1:
            raise InputError(f"receptive_field_bp must be at least 1, got {self.receptive_field_bp}")
        if self.dilations is not None and (self.blocks or self.receptive_field_bp):
            raise InputError("give either dilations, or blocks and receptive_field_bp, not both")

    def settled(self) -> list[str]:
        """Return the names of what is given and only a preset can have."""
        growth = [name for name in ("blocks", "receptive_field_bp") if getattr(self, name) is not None]
        return super().settled() + growth


@dataclass(frozen=True, kw_only=True)
class GeneTrainingSettings(RunSettings):
    """How to train a network that labels each base."""

    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=1e-3, weight_decay=0.1)
    )
    """How the weights move."""
    batch_windows: int = 8
    """Windows in one step, over all processes and accumulation steps together."""
    label_weighting: Literal["none", "sqrt", "balanced"] = "sqrt"
    """Weight of a label in the loss: all alike, one over the root of its frequency, or one over it."""
    weight_averaging: float = 0.999
    """Decay of the moving average of the weights, which is what is scored and kept; 0 keeps the last ones."""
    average_strands: bool = True
    """Whether a prediction is the mean of those for both strands; also on validation."""
    selection: Literal["mcc", "f1", "accuracy", "loss"] = "mcc"
    """Score on the validation part by which the model is chosen among all evaluations."""
    evaluation_bp: int = 2_000_000
    """Most bases of the validation part that are scored each time, in stretches that are spread over it."""
    patience: int | None = None
    """Evaluations without a better score after which training ends; default never before the last epoch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("evaluations", "evaluation_bp"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.weight_averaging < 1:
            raise InputError(f"weight_averaging must be at least 0 and below 1, got {self.weight_averaging}")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"patience must be at least 1, got {self.patience}")

    @property
    def weighting_power(self) -> float:
        """By what power of its frequency a label weighs less."""
        return {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[self.label_weighting]


@dataclass(frozen=True, kw_only=True)
class GeneFindingSettings(GeneDataSettings):
    """A genome and its genes to a model that labels each base, and its score on test."""

    output: Path
    """Folder for the model and its scores; must be new or empty, or hold a run to resume."""
    task: Literal["gene-finding"] = "gene-finding"
    """What is learned."""
    model: str = "preset:gene-finding"
    """What to start from: the folder of a pretrained model, preset:NAME for random weights, or scratch:FOLDER
    for a model's architecture alone."""
    labels: GeneLabelSettings = field(default_factory=GeneLabelSettings)
    """How genes become labels of bases."""
    windows: BaseWindowSettings = field(default_factory=BaseWindowSettings)
    """How training windows are cut."""
    network: GeneNetworkSettings = field(default_factory=GeneNetworkSettings)
    """What to change of the network."""
    training: GeneTrainingSettings = field(default_factory=GeneTrainingSettings)
    """How to train."""
    resume: bool = False
    """Whether to go on from the last checkpoint in the output folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base_labels is not None and self.labels != GeneLabelSettings():
            raise InputError("base_labels says what each base is (BEND's nine labels); leave labels out")
