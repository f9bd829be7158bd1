"""Settings of `convnova compare`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings

LENGTHS_BP = (256, 512, 1024, 4096, 8192, 32_768, 65_536, 262_144, 1_048_576)


@dataclass(frozen=True)
class CompareSettings:
    """ConvNova against other systems: quality on tasks, and what each costs at several lengths."""

    output: Path
    """Folder for the results; a run that stopped goes on there."""
    models: str = "convnova,hyenadna,caduceus-ph,caduceus-ps,dnabert,dnabert2,nt,cnn,kmers"
    """Systems, with commas between, deepsea, danq and deepatt too; or, as in convnova benchmark,
    NAME=preset:NAME or NAME=folder."""
    size: Literal["0.5m", "1.7m"] = "0.5m"
    """About how many weights each has in use, where a system is only named; cnn, kmers, deepsea, danq and
    deepatt have one size."""
    suite: str | None = None
    """Suite whose tasks are trained on from scratch; default none, then only costs are measured."""
    tasks: str | None = None
    """Tasks of the suite, with commas between; default all."""
    seeds: int = 3
    """Trainings of each model on each task."""
    data: Path | None = None
    """Folder of the data sets; default $CONVNOVA_DATA, or the user's cache."""
    training: FinetuneSettings = field(default_factory=FinetuneSettings)
    """How to train, the same for all: their one budget."""
    minutes: float | None = None
    """Minutes of each training: as many steps as its system makes in them, by the speed that is measured
    first with batches and the median length of the task, but no more than training.epochs; validation is not
    counted. Default: the same epochs for all, however long they take."""
    learning_rates: list[float] = field(default_factory=list)
    """Rates to choose from for each system, as in [5e-4,1e-3,2e-3]: it is trained with each on all tasks with
    the first seed, and that which does best on validation, on average over tasks, is taken for all its seeds;
    default that of training for all."""
    lengths_bp: list[int] = field(default_factory=lambda: list(LENGTHS_BP))
    """At what lengths costs are measured, as far as each model goes."""
    most_seconds: float = 120.0
    """Longest that one measurement may take, beside the start of its process."""
    threads: int | None = None
    """CPU threads of a training and of a measurement; default all cores."""

    def __post_init__(self) -> None:
        if self.tasks is not None and self.suite is None:
            raise InputError("tasks need the suite that they are of")
        if self.learning_rates and (len(set(self.learning_rates)) < 2 or min(self.learning_rates) <= 0):
            raise InputError(
                f"learning_rates must be several, above 0, got {self.learning_rates}; "
                "one alone is training.optimizer.learning_rate"
            )
        if self.learning_rates and self.suite is None:
            raise InputError("learning_rates need a suite to choose on")
        if self.minutes is not None and self.suite is None:
            raise InputError("minutes need a suite to train on")
        if not self.lengths_bp or min(self.lengths_bp) < 1 or sorted(set(self.lengths_bp)) != self.lengths_bp:
            raise InputError(f"lengths_bp must be ascending and at least 1, got {self.lengths_bp}")
        if self.most_seconds <= 0:
            raise InputError(f"most_seconds must be above 0, got {self.most_seconds:g}")
        if self.minutes is not None and self.minutes <= 0:
            raise InputError(f"minutes must be above 0, got {self.minutes:g}")
        for name in ("seeds", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
