"""Settings of `convnova receptive-field`; light to import, for the command line."""

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

from convnova.analysis.study_settings import StudySettings
from convnova.errors import InputError

_OF_A_MODEL = ("input", "window_bp", "most_sequences", "positions", "seed", "overwrite")
SHARES_OF_LENGTH = (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class ReceptiveFieldSettings(StudySettings):
    """How far a trained model looks; with --sweep, how the score on tasks depends on how far it can look."""

    output: Path
    """Folder for the results; a sweep that stopped goes on there."""
    model: str = "preset:nt-0.5m"
    """Folder of a trained ConvNova model; with --sweep what is trained, preset:NAME or scratch:FOLDER."""
    input: str | None = None
    """Sequences that gradients are averaged over, in any form that convnova classify reads; without
    --sweep."""
    sweep: bool = False
    """Whether to train at growing receptive fields, on a suite or on own sequences, in place of looking at a
    trained model."""
    shares: list[float] = field(default_factory=lambda: list(SHARES_OF_LENGTH))
    """Receptive fields of the sweep, as shares of the length of the median training sequence."""
    window_bp: int | None = None
    """Bases of a sequence that are looked at, drawn from longer ones; default twice the receptive field."""
    most_sequences: int = 64
    """Windows that gradients are averaged over."""
    positions: int = 4
    """Outputs looked at in each window."""
    seed: int = 0
    """Draws the windows and the outputs."""
    overwrite: bool = False
    """Whether the report of a trained model that is in the output folder may be replaced."""

    def __post_init__(self) -> None:
        if self.sweep:
            super().__post_init__()
            self._refuse(*_OF_A_MODEL, why="is for a trained model, without --sweep")
        else:
            of_both = ("output", "model", "read", "sweep", *_OF_A_MODEL)
            others = [one.name for one in fields(self) if one.name not in of_both]
            self._refuse(*others, why="is for the sweep; add --sweep")
            if self.input is None:
                raise InputError("give input, the sequences that gradients are averaged over, or --sweep")
            if self.model.startswith(("preset:", "scratch:")):
                raise InputError(
                    f"model is {self.model}, which is not trained; give the folder of a trained ConvNova"
                )
        if not self.shares or min(self.shares) <= 0 or sorted(set(self.shares)) != self.shares:
            raise InputError(f"shares must be ascending and above 0, got {self.shares}")
        for name in ("window_bp", "most_sequences", "positions"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")

    def _refuse(self, *names: str, why: str) -> None:
        """Refuse settings that are not as they are by default."""
        for one in fields(self):
            default = one.default if one.default_factory is MISSING else one.default_factory()
            if one.name in names and getattr(self, one.name) != default:
                raise InputError(f"{one.name} {why}")
