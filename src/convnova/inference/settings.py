"""Settings of `convnova evaluate` and `convnova classify`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.data.read_settings import ReadSettings
from convnova.inference.compute_settings import ComputeSettings


@dataclass(frozen=True)
class EvaluateSettings(ComputeSettings):
    """A fine-tuned model on labelled sequences."""

    model: Path
    """Folder that convnova finetune wrote."""
    test: str
    """Labelled sequences, in any form that convnova finetune reads."""
    output: Path | None = None
    """Folder for scores.json and predictions.csv; default nowhere, scores are only shown."""
    both_strands: bool | None = None
    """Whether predictions are averaged over both strands; default as on validation."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the file is read."""


@dataclass(frozen=True)
class ClassifySettings(ComputeSettings):
    """A fine-tuned model on new sequences."""

    model: Path
    """Folder that convnova finetune wrote."""
    input: str
    """Sequences: CSV, TSV, Parquet, FASTA, text, or BED with a genome; plain or gzip."""
    output: Path
    """What to write: .csv, .tsv, .parquet, or .bed for intervals."""
    both_strands: bool | None = None
    """Whether predictions are averaged over both strands; default as on validation."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How the file is read."""
