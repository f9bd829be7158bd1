"""What genes code for, as FASTA."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from convnova.genome import Genome
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.gff3 import named
from convnova.sequence import Ids, decode
from convnova.writing import write_text

_AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
"""Of the standard code, codons in the order TTT, TTC, TTA, TTG, TCT ... GGG (NCBI's translation table 1)."""
_OF_CODON = dict(zip(map("".join, product("TCAG", repeat=3)), _AMINO_ACIDS, strict=True))
_LINE = 60


def write_proteins(genes: Sequence[GeneModel], path: Path, genome: Genome) -> None:
    """Write the protein of each gene to a FASTA file, whole or not at all, named as its mRNA in the GFF3.

    Args:
        genes: on the genome, in any order; they are written in that of `write_gff3`.
        path: the file.
        genome: that they were found in.
    """
    records = []
    for name, gene in named(genes, genome.chromosome_sizes):
        protein = translate(coding_sequence(gene, genome)[gene.phase :])
        lines = [protein[start : start + _LINE] for start in range(0, len(protein), _LINE)]
        records.append("\n".join([f">{name}.t1", *lines]) + "\n")
    write_text(path, "".join(records))


def coding_sequence(gene: GeneModel, genome: Genome) -> Ids:
    """Return the coding bases of a gene in reading direction, (L,)."""
    exons = gene.coding_exons if gene.strand == "+" else gene.coding_exons[::-1]
    return np.concatenate([genome.fetch(exon) for exon in exons])


def translate(ids: Ids) -> str:
    """Return the protein of whole codons by the standard code, without the stop codon at its end.

    A codon with N is X, and a stop codon before the end ``*``.
    """
    text = decode(ids)
    protein = "".join(_OF_CODON.get(text[at : at + 3], "X") for at in range(0, len(text) // 3 * 3, 3))
    return protein.removesuffix("*")
