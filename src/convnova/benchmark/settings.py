"""Settings of `convnova benchmark`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.task_settings import TaskNetworkSettings


@dataclass(frozen=True)
class BenchmarkSettings:
    """A suite: task x model x seed, to one table beside the published numbers."""

    suite: str
    """Name of the suite; convnova data list shows them."""
    output: Path
    """Folder for the results; a run that stopped goes on there."""
    model: str = "preset:nt"
    """Models to compare, with commas between: preset:NAME, folders of pretrained ones, or scratch:FOLDER for
    the architecture of one alone; with a name of its own before it, as in new=preset:nt,yeast=runs/yeast."""
    tasks: str | None = None
    """Tasks of the suite, with commas between; default all."""
    seeds: int | None = None
    """Number of seeds; default what the field uses: 10 for nt, 5 for genomic-benchmarks, else 3."""
    first_seed: int = 0
    """The first of them."""
    protocol: Literal["auto", "sound", "gue", "frozen", "released"] = "auto"
    """What is trained and chosen on; auto is what the field uses for the suite."""
    by_task: bool = True
    """Whether the catalogue decides on strand and pooling under the protocols sound and gue: tasks on one
    strand (promoters, splice sites), whose sequences are aligned on a point, learn and predict on that strand
    and pool by segments; all others as they are set."""
    grid: bool = False
    """Whether each job searches the published grid, learning rate 0.001 and 0.002 x batch 128 and 512, on
    validation: four times the work."""
    data: Path | None = None
    """Folder of the data sets; default $CONVNOVA_DATA, or the user's cache."""
    network: TaskNetworkSettings = field(default_factory=TaskNetworkSettings)
    """What to change of the networks."""
    training: FinetuneSettings = field(default_factory=FinetuneSettings)
    """How to train; the protocol and the seed have the last word."""
    engine: Literal["process", "ray"] = "process"
    """Where jobs run: one after another in this process, or as Ray tasks."""
    ray_address: str | None = None
    """Running Ray cluster, HOST:PORT or auto, whose machines find data and models in the same places; default
    a local one."""
    threads: int | None = None
    """CPU threads of a job; default all in this process, and 1 with Ray. The same number gives the same
    scores."""
    gpus: float | None = None
    """GPUs of a job under Ray; a fraction shares one; default 1 where the cluster has GPUs, else 0."""
    keep_models: bool = False
    """Whether to keep the model of each job."""

    def __post_init__(self) -> None:
        for name in ("seeds", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("first_seed", "gpus"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.ray_address is not None and self.engine != "ray":
            raise InputError("ray_address is given, but engine is process; add --engine ray")
        if self.gpus and self.engine != "ray":
            raise InputError(
                "gpus is given, but engine is process, which uses what there is; add --engine ray"
            )
