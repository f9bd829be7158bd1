"""Settings of `convnova finetune --task tracks`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.task_settings import TaskNetworkSettings


@dataclass(frozen=True)
class TrackTaskSettings:
    """A data set of many tracks to a model that predicts them, and its scores on test."""

    tracks: Path
    """Folder that convnova tracks wrote."""
    output: Path
    """Folder for the model and its scores; must be new or empty, or hold a run to resume."""
    task: Literal["tracks"] = "tracks"
    """What is learned."""
    model: str = "preset:nt"
    """What to start from: the folder of a pretrained model, preset:NAME for random weights (chromatin is for
    hundreds of tracks), or scratch:FOLDER for a model's architecture alone."""
    genome: Path | None = None
    """FASTA that the data set was made from, where it has moved since."""
    cache: Path | None = None
    """Folder for that genome's store; default beside the FASTA."""
    window_bp: int | None = None
    """Length of the sequence that is read around the centre of a bin; default that of the data set."""
    baseline: bool = True
    """Whether to score a regression on k-mer counts beside the model, on the same test bins."""
    save_minutes: float = 10.0
    """Minutes between two checkpoints; SIGTERM saves one at once."""
    resume: bool = False
    """Whether to go on from the last checkpoint in the output folder."""
    network: TaskNetworkSettings = field(default_factory=TaskNetworkSettings)
    """What to change of the network."""
    training: FinetuneSettings = field(default_factory=FinetuneSettings)
    """How to train."""

    def __post_init__(self) -> None:
        if self.save_minutes < 0:
            raise InputError(f"save_minutes must be at least 0, got {self.save_minutes}")
