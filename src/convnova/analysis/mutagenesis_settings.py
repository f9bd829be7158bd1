"""Settings of `convnova mutagenesis`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.inference.compute_settings import ComputeSettings


@dataclass(frozen=True, kw_only=True)
class MutagenesisSettings(ComputeSettings):
    """Every substitution at every position of sequences, or of intervals of a genome."""

    model: Path
    """Folder that convnova pretrain or convnova finetune wrote."""
    output: Path
    """Folder for the effects and their figures."""
    input: str | None = None
    """Sequences, in any form that convnova classify reads; or give genome and intervals."""
    genome: Path | None = None
    """Genome as FASTA: plain, gzip or bgzip."""
    intervals: list[str] = field(default_factory=list)
    """Places on it, as chrI:1001-2000 (from 1, the end included), with commas between; or a BED file."""
    score: Literal["masked", "unmasked", "pseudo-likelihood"] | None = None
    """Of a masked language model: log-odds of the new against the old base while it is hidden (default), or
    in view; or the change of the sum of log P(base) over all bases in reach."""
    label: str | None = None
    """Class, label, track or value whose output is read; default the last one. Of two classes it is the
    log-odds, of more log P, of bases the probability where it changes most."""
    deletions: bool = False
    """Whether each base is deleted too."""
    both_strands: bool | None = None
    """Whether effects are averaged over both strands; default as the model predicts, and of a masked language
    model one strand."""
    window_bp: int | None = None
    """Length of the sequence around an interval that a model of sequences reads; default that of its
    training, or the interval where sequences of several lengths were trained on."""
    most_sequences: int = 20
    """Sequences or intervals that are looked at, the first ones: each has a figure."""
    overwrite: bool = False
    """Whether the results of an earlier run in the folder are replaced."""
    html: bool = False
    """Whether to write an interactive heat map of each, by plotly."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the input is read."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.input is None) == (self.genome is None):
            raise InputError("give either input, sequences, or genome with intervals")
        if self.genome is not None and not self.intervals:
            raise InputError("give intervals of the genome, as chrI:1001-2000 or a BED file")
        if self.genome is None and self.intervals:
            raise InputError("intervals are of a genome; give it too")
        for name in ("most_sequences", "window_bp"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.window_bp is not None and self.genome is None:
            raise InputError("window_bp is of intervals of a genome; leave it out")
