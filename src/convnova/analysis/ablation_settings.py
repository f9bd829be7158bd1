"""Settings of `convnova ablate`; light to import, for the command line."""

from dataclasses import dataclass, field

from convnova.analysis.study_settings import StudySettings
from convnova.errors import InputError


@dataclass(frozen=True, kw_only=True)
class AblationSettings(StudySettings):
    """Which designs matter on a task: the full model against variants with one of them changed."""

    studies: list[str] = field(default_factory=lambda: ["gate", "context"])
    """Questions, with commas between: gate (gates and the second branch), context (dilation, downsampling or
    neither), kernel, dilation, depth, ffn."""
    match_parameters: bool = True
    """Whether each variant has as many channels as bring it to the parameters of the full model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.studies:
            raise InputError("studies names none; give one, such as gate")
