"""Settings of `convnova score-variants`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.errors import InputError
from convnova.genome.names import Unknown
from convnova.inference.compute_settings import ComputeSettings

VCF, TABLES = (".vcf", ".vcf.gz"), (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class VariantSettings(ComputeSettings):
    """What the variants of a VCF file do to the outputs of a model."""

    input: Path
    """VCF file, plain or gzip, sorted; it needs no index."""
    genome: Path
    """Genome that its positions are of, as FASTA: plain, gzip or bgzip."""
    model: Path
    """Folder that convnova pretrain or convnova finetune wrote."""
    output: Path
    """What to write: .vcf.gz (compressed by bgzip, with an index), .vcf, .parquet, .csv or .tsv."""
    scores: list[str] = field(default_factory=list)
    """Which: masked-llr, unmasked-llr, pseudo-likelihood and embedding-distance of a masked language model;
    output-change and embedding-distance of one with a head; default all that the model has."""
    both_strands: bool | None = None
    """Whether scores are averaged over both strands; default as the model predicts, and of a masked language
    model one strand."""
    window_bp: int | None = None
    """Length of the sequence around each variant that a head of sequences reads; default that of its
    training, where all sequences had one."""
    unknown_chromosomes: Unknown = "refuse"
    """What to do with chromosomes that the genome does not have, also under another name: refuse them, or
    leave-out their variants."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.output.name.endswith((*VCF, *TABLES)):
            raise InputError(f"{self.output}: the name must end with one of {', '.join((*VCF, *TABLES))}")
        if self.window_bp is not None and self.window_bp < 1:
            raise InputError(f"window_bp must be at least 1, got {self.window_bp}")

    @property
    def is_vcf(self) -> bool:
        """Whether a VCF file is written, and no table."""
        return self.output.name.endswith(VCF)
