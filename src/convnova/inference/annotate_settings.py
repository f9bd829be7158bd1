"""Settings of `convnova annotate`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.errors import InputError
from convnova.genome.names import Unknown
from convnova.inference.compute_settings import ComputeSettings
from convnova.inference.genes.grammar import DecoderSettings


@dataclass(frozen=True)
class AnnotateSettings(ComputeSettings):
    """A gene finder over a genome, to genes."""

    genome: Path
    """Genome as FASTA: plain, gzip or bgzip."""
    model: Path
    """Folder that convnova finetune --task gene-finding wrote."""
    output: Path
    """GFF3 file to write."""
    proteins: Path | None = None
    """FASTA file for the proteins of the genes; default none is written."""
    annotation: Path | None = None
    """Genes that are known, to compare with: GFF3, GTF or GenBank; default none."""
    unknown_chromosomes: Unknown = "refuse"
    """What to do with known genes on chromosomes that the genome does not have, under any of their names."""
    chromosomes: list[str] = field(default_factory=list)
    """Chromosomes to annotate; default all."""
    tracks: Path | None = None
    """Folder for a bigWig file of the probabilities of each label; default none are written."""
    track_step: float = 0.01
    """What probabilities in the tracks are rounded to; finer steps make larger files."""
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    """Which genes there can be."""
    both_strands: bool | None = None
    """Whether probabilities are averaged over both strands; default as the model was chosen."""
    tile_bp: int = 2**15
    """Bases predicted at once. It changes no result, only memory and time."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.track_step < 1:
            raise InputError(f"track_step must be between 0 and 1, got {self.track_step}")
        if self.tile_bp < 1:
            raise InputError(f"tile_bp must be at least 1, got {self.tile_bp}")
