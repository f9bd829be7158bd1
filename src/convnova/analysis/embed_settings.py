"""Settings of `convnova embed`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.inference.compute_settings import ComputeSettings

FORMATS = (".parquet", ".npy", ".zarr")


@dataclass(frozen=True, kw_only=True)
class EmbedSettings(ComputeSettings):
    """Embeddings of sequences, from any layer of a model."""

    model: Path
    """Folder that convnova pretrain or convnova finetune wrote, or convnova convert."""
    input: str
    """Sequences, in any form that convnova classify reads; FASTA, CSV, TSV and BED are read as a stream."""
    output: Path
    """What to write: .parquet, .npy (names beside it, in a CSV file) or .zarr."""
    level: Literal["sequence", "window", "base"] = "sequence"
    """Mean over all bases of a sequence, over each window, or each base."""
    window_bp: int = 128
    """Length of the windows, side by side from the begin of a sequence; the last one may be shorter."""
    layer: int | None = None
    """0 for the stem, 1 for the first block and so on; default what heads read, behind all blocks."""
    both_strands: bool = False
    """Whether to average with the reverse complement, base by base."""
    half: bool = False
    """Whether numbers are written in half precision, which takes half of the space."""
    figure: Path | None = None
    """Picture (.png) of the two principal components of at most 5,000 sequences, coloured by label."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the input is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output.suffix not in FORMATS:
            raise InputError(f"{self.output}: the name must end with one of {', '.join(FORMATS)}")
        if self.figure is not None and (self.figure.suffix != ".png" or self.level != "sequence"):
            raise InputError("figure is a .png of level sequence; change one of them")
        if self.window_bp < 1:
            raise InputError(f"window_bp must be at least 1, got {self.window_bp}")
        if self.level != "window" and self.window_bp != EmbedSettings.window_bp:
            raise InputError("window_bp is of level window; leave it out")
