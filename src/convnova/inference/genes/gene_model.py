"""What the decoder finds: one gene with the exons that it codes in."""

from dataclasses import dataclass, replace

from convnova.genome.interval import Interval


@dataclass(frozen=True, slots=True)
class GeneModel:
    """One gene, with one transcript, as far as it codes for protein."""

    chromosome: str
    """Name as the genome has it."""
    strand: str
    """``+`` or ``-``."""
    coding_exons: tuple[Interval, ...]
    """In genomic order on either strand, stop codon included."""
    score: float
    """Log-odds in nats against no gene there, scores of gene and introns included; above 0."""
    phase: int = 0
    """Bases, in reading direction, before the first whole codon: not 0 only where the start is cut off."""
    is_partial: bool = False
    """Whether an end of the sequence cuts the gene."""

    @property
    def start(self) -> int:
        """First coding base, 0-based."""
        return self.coding_exons[0].start

    @property
    def end(self) -> int:
        """One past the last coding base."""
        return self.coding_exons[-1].end

    def shift(self, bp: int) -> "GeneModel":
        """Return the gene moved by ``bp`` towards larger coordinates."""
        return replace(self, coding_exons=tuple(exon.shift(bp) for exon in self.coding_exons))
