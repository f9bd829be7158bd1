"""Which tasks a study is made on: of the catalogue, or the user's own; light to import."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.task_settings import TaskNetworkSettings


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Trainings of several networks on labelled sequences, several seeds each."""

    output: Path
    """Folder for the results; a study that stopped goes on there."""
    suite: str | None = None
    """Suite of the catalogue; convnova data list shows them."""
    tasks: str | None = None
    """Tasks of the suite, with commas between; default all."""
    data: Path | None = None
    """Folder of the data sets; default $CONVNOVA_DATA, or the user's cache."""
    train: str | None = None
    """Own labelled sequences in place of a suite, in any form that convnova finetune reads."""
    validation: str | None = None
    """Sequences to choose on; default a tenth of train, drawn by each seed."""
    test: str | None = None
    """Sequences to test on; default a tenth of train, the same for all seeds."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How own files are read."""
    seeds: int = 3
    """Trainings of each network on each task."""
    model: str = "preset:nt-0.5m"
    """The full model: preset:NAME, or scratch:FOLDER for the architecture of a ConvNova model; weights are
    random."""
    network: TaskNetworkSettings = field(default_factory=TaskNetworkSettings)
    """What to change of the full model."""
    training: FinetuneSettings = field(default_factory=FinetuneSettings)
    """How to train, the same for all, but for the seed."""
    threads: int | None = None
    """CPU threads; default all cores. The same number gives the same scores."""

    def __post_init__(self) -> None:
        if (self.suite is None) == (self.train is None):
            raise InputError("give either suite, or train with sequences of your own")
        for name in ("tasks", "data") if self.suite is None else ("validation", "test"):
            if getattr(self, name) is not None:
                other = "suite" if self.suite is None else "train"
                raise InputError(f"{name} is for {other}, which is not given; leave it out")
        for name in ("seeds", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.training.seed != FinetuneSettings.seed:
            raise InputError(
                f"training.seed is {self.training.seed}, but it is set by seeds, their number; leave it out"
            )
        if self.network.receptive_field != "preset":
            raise InputError("network.receptive_field is set by the study; leave it out")
        if not self.model.startswith(("preset:", "scratch:")):
            raise InputError(
                f"model is {self.model}: variants have other weights, so it must be preset:NAME, or "
                "scratch:FOLDER for an architecture alone"
            )
