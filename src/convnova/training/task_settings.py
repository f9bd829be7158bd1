"""Settings of `convnova finetune`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.settings import NetworkSettings


@dataclass(frozen=True)
class TaskNetworkSettings(NetworkSettings):
    """What to change: of a preset anything, of a pretrained model dropout and pooling."""

    receptive_field: Literal["preset", "sequence"] = "preset"
    """"sequence" chooses the dilations of a preset so that the receptive field is about the median length of
    the training sequences."""
    pooling: Literal["mean", "max", "center", "segments"] | None = None
    """How positions are summed up for the head: segments is the mean of each of several equal parts, where
    labels depend on the place of something; default mean."""
    segment_bp: int = 10
    """Length of these parts, in the median training sequence."""
    classifier_dropout: float | None = None
    """Dropout before the head; default 0."""
    system: dict[str, int | float | bool] = field(default_factory=dict)
    """Other settings of a system that ConvNova is compared with, by their own names."""

    def __post_init__(self) -> None:
        if self.segment_bp < 1:
            raise InputError(f"segment_bp must be at least 1, got {self.segment_bp}")

    def changes(self) -> dict[str, Any]:
        """Return what is not left to the preset, in the words of the configuration."""
        return super().changes() | self.system

    def settled(self) -> list[str]:
        """Return the names of what is given and only a preset can have."""
        return super().settled() + (["receptive_field"] if self.receptive_field != "preset" else [])


@dataclass(frozen=True)
class FinetuneTaskSettings:
    """Labelled sequences to a model of the task and an honest test score."""

    train: str
    """Sequences to train on: CSV, TSV, Parquet, FASTA with the label after |, BED or intervals with a genome,
    a folder of one file a sequence or a class, or class=file,class=file; plain or gzip."""
    output: Path
    """Folder for the model and its scores; must be new or empty."""
    task: Literal["sequences"] = "sequences"
    """What is learned: labels of whole sequences here; --task gene-finding for labels of bases, --task tracks
    for many tracks of a genome."""
    model: str = "preset:nt"
    """What to start from: the folder of a pretrained model, preset:NAME for random weights (pretraining, nt,
    nt-0.5m, genomic-benchmarks, genomic-benchmarks-386k; hyenadna-0.5m, caduceus-ph-0.5m, kmers and other
    systems in docs/systems.md), or scratch:FOLDER for a model's architecture alone."""
    test: str | None = None
    """Sequences to test on, read once; default none."""
    validation: str | None = None
    """Sequences to choose on; default a share of train, drawn by seed."""
    kind: Literal["single-label", "multi-label", "regression"] | None = None
    """What the labels are; default found from train."""
    class_names: list[str] | None = None
    """Names of the classes, in the order of their ids; default found from train."""
    validation_share: float = 0.1
    """Share of train that is held out for validation where none is given."""
    test_share: float = 0.0
    """Share of train that is held out for test where none is given."""
    on_leakage: Literal["error", "state", "remove"] = "error"
    """What to do with test sequences that are in train too, on either strand: refuse, only state them, or
    remove them from train."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the files are read."""
    network: TaskNetworkSettings = field(default_factory=TaskNetworkSettings)
    """What to change of the network."""
    training: FinetuneSettings = field(default_factory=FinetuneSettings)
    """How to train."""
    search: Literal["none", "optuna"] = "none"
    """Whether to search, on validation, for learning rate, weight decay, batch, dropout and averaging of
    weights before the model is trained with the best of them, which recipe.yaml holds."""
    trials: int | None = None
    """Trainings of the search, default 20; one that was stopped goes on with those that are missing."""

    def __post_init__(self) -> None:
        if self.trials is not None and self.search == "none":
            raise InputError("trials is given, but search is none; add --search optuna")
        if self.trials is not None and self.trials < 1:
            raise InputError(f"trials must be at least 1, got {self.trials}")
        for name in ("validation_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if self.validation is None and not self.validation_share:
            raise InputError(
                "validation_share is 0 and no validation is given: there is nothing to choose on"
            )
