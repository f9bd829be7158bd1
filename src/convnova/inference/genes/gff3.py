"""Genes as GFF3, which counts from 1 and includes the end; `_rows` turns ours into that, here only."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from convnova.errors import InputError
from convnova.inference.genes.gene_model import GeneModel
from convnova.writing import write_text

_PLAIN_IN_ID = frozenset(".:^*$@!+_?-|")
_RESERVED_IN_ATTRIBUTES = frozenset(";=&,%")


def write_gff3(
    genes: Sequence[GeneModel], path: str | Path, sizes: Mapping[str, int], source: str = "convnova"
) -> None:
    """Write genes to a GFF3 file, whole or not at all.

    Each gene is a gene, an mRNA, and an exon and a CDS for each coding exon, since untranslated regions are
    not known. The score is that of the gene, log-odds in nats. A gene that an end of its sequence cuts has
    ``partial=true``.

    Args:
        genes: in any order; they are sorted by chromosome, start and end.
        path: the file.
        sizes: length in bp of each chromosome, in the order that the file shall have.
        source: column 2.

    Raises:
        InputError: for a gene that lies on no chromosome or reaches past its end, or a file that cannot be
            written.

    Source: Generic Feature Format version 3, Sequence Ontology Project, version 1.26.
    """
    path = Path(path)
    for gene in genes:
        if gene.end > sizes.get(gene.chromosome, 0):
            known = f"{sizes[gene.chromosome]} bp" if gene.chromosome in sizes else "not in the genome"
            raise InputError(
                f"{path}: a gene ends at {gene.chromosome}:{gene.end}, and {gene.chromosome} is {known}; "
                "give the sizes of the genome that the genes were found in"
            )
    lines = ["##gff-version 3"]
    lines += [f"##sequence-region {_in_column(name)} 1 {size}" for name, size in sizes.items() if size]
    for name, gene in named(genes, sizes):
        lines += _rows(gene, name, source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); free some space, or choose another place"
        ) from None


def named(genes: Sequence[GeneModel], sizes: Mapping[str, int]) -> Iterator[tuple[str, GeneModel]]:
    """Yield each gene with its id, ``chr1.g1``, by chromosome, start and end."""
    order = {chromosome: index for index, chromosome in enumerate(sizes)}
    ordered = sorted(genes, key=lambda gene: (order[gene.chromosome], gene.start, gene.end, gene.strand))
    number = dict.fromkeys(sizes, 0)
    for gene in ordered:
        number[gene.chromosome] += 1
        yield f"{gene.chromosome}.g{number[gene.chromosome]}", gene


def phases(gene: GeneModel) -> tuple[int, ...]:
    """Return how many bases of each coding exon come before its first whole codon, in genomic order.

    Each exon is read in the direction of its gene: on strand - from its right end.
    """
    exons = gene.coding_exons if gene.strand == "+" else gene.coding_exons[::-1]
    result = []
    phase = gene.phase
    for exon in exons:
        result.append(phase)
        phase = (phase - exon.width) % 3
    return tuple(result if gene.strand == "+" else result[::-1])


def _rows(gene: GeneModel, name: str, source: str) -> Iterator[str]:
    name = _in_attribute(name)
    partial = ";partial=true" if gene.is_partial else ""

    def row(kind: str, start: int, end: int, score: str, phase: str, attributes: str) -> str:
        place = _in_column(gene.chromosome), _in_column(source), kind, str(start + 1), str(end)
        return "\t".join([*place, score, gene.strand, phase, attributes])

    score = f"{gene.score:.2f}"
    yield row("gene", gene.start, gene.end, score, ".", f"ID={name}{partial}")
    yield row("mRNA", gene.start, gene.end, score, ".", f"ID={name}.t1;Parent={name}{partial}")
    for index, (exon, phase) in enumerate(zip(gene.coding_exons, phases(gene), strict=True), start=1):
        ids = f"ID={name}.t1.exon{index};Parent={name}.t1"
        yield row("exon", exon.start, exon.end, ".", ".", ids)
        ids = f"ID={name}.t1.cds;Parent={name}.t1"  # one CDS, of several lines
        yield row("CDS", exon.start, exon.end, ".", str(phase), ids)


def _in_column(text: str) -> str:
    """Return text for a column; what GFF3 does not allow there is percent-encoded."""
    return "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in _PLAIN_IN_ID else _percent(letter)
        for letter in text
    )


def _in_attribute(text: str) -> str:
    """Return text for column 9; letters with a meaning there, and control characters, are percent-encoded."""
    return "".join(
        _percent(letter)
        if letter in _RESERVED_IN_ATTRIBUTES or ord(letter) < 32 or ord(letter) == 127
        else letter
        for letter in text
    )


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())
