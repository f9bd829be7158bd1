"""Settings of `convnova attribute`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError


@dataclass(frozen=True, kw_only=True)
class AttributionSettings:
    """What a fine-tuned model sees: contributions of single bases, and the motifs that they make up."""

    model: Path
    """Folder that convnova finetune wrote."""
    input: str
    """Sequences, in any form that convnova classify reads; those of the test set, for instance."""
    output: Path
    """Folder for contributions, motifs and figures."""
    label: str | None = None
    """Class, label or value whose output is explained; default the last one."""
    only_label: bool = True
    """Whether to look only at the sequences of that class, where the input says which they are."""
    method: Literal["deep-lift-shap", "integrated-gradients", "mutagenesis"] = "deep-lift-shap"
    """How contributions are found: the first two against shuffles of each sequence, by tangermeme and captum;
    the third by every substitution."""
    shuffles: int = 10
    """Of each sequence, which keep its dinucleotides; with mutagenesis there are none."""
    most_sequences: int = 500
    """Sequences that are looked at, drawn from those of the input."""
    both_strands: bool | None = None
    """Whether contributions are averaged over both strands; default as the model predicts."""
    window_bp: int = 11
    """Length of the core of a seqlet: about that of the motifs looked for."""
    known: Path | None = None
    """Known motifs, in MEME's format, that those found are compared with."""
    overwrite: bool = False
    """Whether results that are in the output folder may be replaced."""
    seed: int = 0
    """Of shuffles, draws and clusters."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the file is read."""

    def __post_init__(self) -> None:
        for name in ("shuffles", "most_sequences"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.window_bp < 4:
            raise InputError(f"window_bp must be at least 4, got {self.window_bp}")
