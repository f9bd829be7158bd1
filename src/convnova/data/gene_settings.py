"""Where genes come from; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.data.splits import check_chromosomes
from convnova.errors import InputError
from convnova.genome.names import Unknown


@dataclass(frozen=True)
class GeneDataSettings:
    """Where genes come from, and which of them are held out."""

    annotation: Path | None = None
    """Genes as GFF3, GTF or GenBank, plain or gzip; GenBank brings its own sequences."""
    genome: Path | None = None
    """Genome of the annotation as FASTA: plain, gzip or bgzip."""
    test_annotation: Path | None = None
    """Genes to test on, where they are a file of their own."""
    test_genome: Path | None = None
    """Genome of test_annotation, where it is another one."""
    intervals: Path | None = None
    """BED with a fourth column train, valid or test: these regions and no others are read. BEND's
    gene_finding.bed, which has a header, is read too."""
    base_labels: Path | None = None
    """HDF5 file with the label of each base of each row of intervals (BEND's gene_finding.hdf5), in place of
    an annotation."""
    validation_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes held out to choose on; default about 5 % of the genome, where test_chromosomes is not
    given either."""
    test_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes held out to be scored once, at the end; default about 5 % of the genome, where
    validation_chromosomes is not given either, else none."""
    unknown_chromosomes: Unknown = "refuse"
    """What to do with genes on chromosomes that the genome does not have, under any of their names."""
    validation_share: float = 0.1
    """Share of the records of a GenBank file that are held out to choose on, drawn by seed."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""

    def __post_init__(self) -> None:
        if (self.annotation is None) == (self.base_labels is None):
            raise InputError("give an annotation and its genome, or base_labels, intervals and a genome")
        if self.base_labels is not None and (self.intervals is None or self.genome is None):
            raise InputError("base_labels needs the intervals that they belong to, and their genome")
        if self.test_genome is not None and self.test_annotation is None:
            raise InputError("test_genome needs the test_annotation of its genes")
        if self.test_annotation is not None and (self.intervals is not None or self.test_chromosomes):
            raise InputError("test is a file of its own here, so give no intervals and no test_chromosomes")
        if self.intervals is not None and (self.validation_chromosomes or self.test_chromosomes):
            raise InputError("give the parts either by intervals or by chromosomes, not both")
        check_chromosomes(self.validation_chromosomes, self.test_chromosomes)
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share must be between 0 and 1, got {self.validation_share}")

    def files(self) -> dict[str, Path | None]:
        """Return the files that are read, by setting."""
        names = ("annotation", "genome", "test_annotation", "test_genome", "intervals", "base_labels")
        return {name: getattr(self, name) for name in names}
