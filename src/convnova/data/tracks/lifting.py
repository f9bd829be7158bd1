"""Intervals of one assembly on another, by a chain file."""

from pathlib import Path
from typing import Any

from convnova.errors import InputError, optional
from convnova.genome import Genome
from convnova.genome.files import parse_int, read_lines, reading

REASONS = ("unmapped", "split", "length changed")
"""Why an interval is left out: an end is in no chain or in several; its ends come to two chromosomes or
strands; it has become longer or shorter."""

_CHAINS = "hgdownload.soe.ucsc.edu, goldenPath/hg19/liftOver/hg19ToHg38.over.chain.gz"


class Lifter:
    """A chain file that was checked against the genome that it leads to."""

    def __init__(self, path: Path, genome: Genome):
        library = optional("liftover", "chain files", "tracks")
        if not path.exists():
            raise InputError(f"{path}: no such chain file; for hg19 to hg38 it is at {_CHAINS}")
        self.path = path
        self.sizes, self.own_names = _check_chain(path, genome)
        with reading(path, "a chain file"):
            self.chain: Any = library.ChainFile(str(path), one_based=False)

    def lift(self, chromosome: str, start: int, end: int) -> tuple[str, int, int] | str:
        """Return where an interval, 0-based and half-open, lies now, or the reason why it lies nowhere.

        The chromosome is called as in `sizes`, and in what comes back as in the genome.

        Raises:
            InputError: when it does not lie on the assembly that the chain begins with.
        """
        if chromosome in self.sizes and end > self.sizes[chromosome]:
            raise InputError(
                f"end {end} is past the end of {chromosome} ({self.sizes[chromosome]} bp) in "
                f"{self.path.name}; give the chain file from the assembly of the table"
            )
        ends = (
            [self.chain[chromosome][base] for base in (start, end - 1)] if chromosome in self.sizes else [[]]
        )
        if any(len(places) != 1 for places in ends):
            return "unmapped"
        (first, low, strand), (last, high, other_strand) = (places[0] for places in ends)
        if (first, strand) != (last, other_strand):
            return "split"
        low, high = min(low, high), max(low, high)
        if (own := self.own_names[first]) is None:
            return "unmapped"  # on a contig that the genome's file does not have
        return (own, low, high + 1) if high + 1 - low == end - start else "length changed"


def _check_chain(path: Path, genome: Genome) -> tuple[dict[str, int], dict[str, str | None]]:
    """Return the sizes of the chromosomes that the chains begin with, and what the genome calls the others.

    Raises:
        InputError: when the file has no chain, or one leads to a chromosome of another size.
    """
    sizes: dict[str, int] = {}
    ends: dict[tuple[str, int], int] = {}  # the first line that leads to a chromosome of this size
    for number, line in read_lines(path, "a chain file"):
        if not line.startswith("chain"):
            continue
        cells = line.split()
        if len(cells) < 12:
            raise InputError(f"{path}, line {number}: a chain has 12 columns or more; this has {len(cells)}")
        sizes[cells[2]] = parse_int(cells[3], "size")
        ends.setdefault((cells[7], parse_int(cells[8], "size")), number)
    if not sizes:
        raise InputError(f"{path}: no chain in the file; give a chain file of UCSC, plain or gzip")
    own_names = genome.own_names(name for name, _ in ends)
    for (name, size), number in ends.items():
        own = own_names[name]
        if own is not None and genome.chromosome_sizes[own] != size:
            raise InputError(
                f"{path}, line {number}: it leads to a {name} of {size} bp, and in {genome.path.name} it has "
                f"{genome.chromosome_sizes[own]}; give the chain file to the assembly of the genome"
            )
    return sizes, own_names
