"""Settings of a pretraining run: what the command line, the recipes and the run record hold.

Every attribute has a docstring, which is also its help on the command line.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from convnova.data.masking import MaskingSettings
from convnova.data.windows import WindowSettings
from convnova.errors import InputError

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")


_UNCONFIGURED = ("preset", "receptive_field", "segment_bp", "blocks", "receptive_field_bp", "system")
"""Settings of a network that ConvNovaConfig does not know by these names."""
_FREE = ("dropout", "classifier_dropout", "pooling")
"""Settings of a network that change none of the backbone's weights."""


@dataclass(frozen=True)
class NetworkSettings:
    """What to change of a network."""

    hidden_size: int | None = None
    """Channels of both branches; default the preset's."""
    kernel_size: int | None = None
    """Kernel of the gated convolutions, odd; default the preset's."""
    dilations: list[int] | None = None
    """One dilation a block; default the preset's."""
    mlp_expansion: int | None = None
    """Width of the output MLP as a multiple of hidden_size; default the preset's."""
    use_ffn: bool | None = None
    """Whether each block ends with a pointwise layer; default the preset's."""
    use_final_conv: bool | None = None
    """Whether two 1x1 convolutions follow the output MLP; default the preset's."""
    gating: Literal["dual", "single", "none"] | None = None
    """What a block multiplies by: the gate of the second branch, one from its own branch, or nothing; default
    the preset's, dual. For ablations, as are the next two."""
    second_branch: Literal["complement", "copy", "none"] | None = None
    """What the second branch reads; default the preset's, complement."""
    downsampling: list[int] | None = None
    """Bases in a cell of each block, for a U-Net: [1,2,4,2,1]; default the preset's, none."""
    dropout: float | None = None
    """Dropout before each gated convolution; default the preset's."""

    def changes(self) -> dict[str, Any]:
        """Return what is not left to the preset, in the words of ConvNovaConfig."""
        names = [field.name for field in fields(self) if field.name not in _UNCONFIGURED]
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def settled(self) -> list[str]:
        """Return the names of what is given and only a preset can have: it makes the backbone's weights."""
        return [name for name in self.changes() if name not in _FREE]


@dataclass(frozen=True)
class ModelSettings(NetworkSettings):
    """A published preset, and what to change of it."""

    preset: str = "pretraining"
    """Name of a preset: pretraining, nt, nt-0.5m, genomic-benchmarks, genomic-benchmarks-386k, gene-finding
    or chromatin."""


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW and its schedule; the defaults are the published ones."""

    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    decay_protocol: Literal["standard", "released"] = "standard"
    """"standard" decays neither norms nor biases; "released" decays every parameter."""
    adam_beta1: float = 0.9
    """Decay of the first moment."""
    adam_beta2: float = 0.999
    """Decay of the second moment."""
    warmup_share: float = 0.01
    """Share of all steps over which the learning rate rises from 1e-6."""
    final_share: float = 0.1
    """Share of the highest learning rate at which the cosine ends."""
    max_gradient_norm: float = 1.0
    """Gradients are clipped to this norm; 0 leaves them as they are."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be positive, got {self.learning_rate}")
        for name in ("warmup_share", "final_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        for name in ("weight_decay", "max_gradient_norm"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Training on windows of a genome, with checkpoints."""

    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """How the weights move."""
    epochs: int = 10
    """Passes over the training windows."""
    batch_windows: int = 32
    """Windows in one step, over all processes and accumulation steps together."""
    accumulation_steps: int = 1
    """Forward and backward passes that make up one step, when a batch does not fit into memory."""
    seed: int = 0
    """One seed gives the same run on the same machine."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the network; auto is bf16 on a GPU or a processor with instructions for it, else fp32."""
    compile: bool = False
    """Whether to compile the network with torch.compile."""
    gradient_checkpointing: bool = False
    """Whether to recompute activations in the backward pass: less memory, about a third more time."""
    log_steps: int = 20
    """Steps between two lines of the log."""
    save_minutes: float = 10.0
    """Minutes between two checkpoints; SIGTERM saves one at once."""
    evaluations: int = 10
    """Times that the validation part is scored during the run."""
    trackers: list[str] = field(default_factory=lambda: ["tensorboard"])
    """Where to log besides metrics.csv: tensorboard, wandb, mlflow, trackio."""
    workers: int = 1
    """Processes that prepare windows."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_windows", "accumulation_steps", "log_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seed", "save_minutes", "evaluations", "workers"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)}")
        if unknown := set(self.trackers) - set(TRACKERS):
            raise InputError(
                f"trackers {', '.join(sorted(unknown))}: choose from {', '.join(TRACKERS)}, or none with []"
            )


@dataclass(frozen=True)
class PretrainSettings(RunSettings):
    """Masked language modelling on a genome."""

    genome: Path
    """Genome as FASTA: plain, gzip or bgzip."""
    output: Path
    """Folder for the model, its checkpoints and its scores; must be new or empty, or hold a run to resume."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The network."""
    windows: WindowSettings = field(default_factory=WindowSettings)
    """What is read of the genome."""
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    """What is hidden."""
    evaluation_windows: int = 4096
    """Most windows scored of the validation and of the test part, spread evenly."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""
    resume: bool = False
    """Whether to go on from the last checkpoint in the output folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluation_windows < 1:
            raise InputError(f"evaluation_windows must be at least 1, got {self.evaluation_windows}")
