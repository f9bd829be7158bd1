"""Genes from a file in any of the formats that are read, recognised by its content."""

import logging
import re
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.genome.annotation import Gene
from convnova.genome.files import read_lines
from convnova.genome.genbank import read_genbank
from convnova.genome.genome import Genome
from convnova.genome.gff3 import read_gff3
from convnova.genome.gtf import read_gtf, read_old_gff
from convnova.genome.names import Unknown

logger = logging.getLogger(__name__)

AnnotationFormat = Literal["GFF3", "GTF", "old GFF", "GenBank"]

_READERS = {"GFF3": read_gff3, "GTF": read_gtf, "old GFF": read_old_gff, "GenBank": read_genbank}
_SYNTAX: dict[AnnotationFormat, re.Pattern[str]] = {
    "GTF": re.compile(r"(?:^|;)\s*(?:gene_id|transcript_id)\s+\S"),
    "GFF3": re.compile(r"^\s*[^\s=;]+="),
    "old GFF": re.compile(r"^\s*[A-Za-z_]\w*\s+\S"),
}
"""What column 9 looks like, tried in this order."""


def read_annotation(
    path: str | Path, genome: Genome | None = None, unknown_chromosomes: Unknown = "refuse"
) -> list[Gene]:
    """Return the genes of a file in GFF3, GTF, the old GFF of JGI, or GenBank (plain or gzip), in its order.

    The format is found by `annotation_format`; which one it was is logged.

    Args:
        path: the file.
        genome: when given, each gene must lie on it. Chromosomes that it calls otherwise are renamed, where
            every one of the file has a counterpart: with or without ``chr``, Roman or Arabic, M or MT.
        unknown_chromosomes: what to do with genes on chromosomes that the genome does not have.

    Raises:
        InputError: when the format is none of these; at the first bad line, by its number; or when the file
            has no gene.
    """
    form = annotation_format(path)
    genes = _READERS[form](path, genome, unknown_chromosomes)
    transcripts = [transcript for gene in genes for transcript in gene.transcripts]
    n_coding = sum(bool(transcript.coding_exons) for transcript in transcripts)
    logger.info(
        "%s: %s, %d genes, %d transcripts, %d of them coding",
        path,
        form,
        len(genes),
        len(transcripts),
        n_coding,
    )
    return genes


def annotation_format(path: str | Path) -> AnnotationFormat:
    """Return the format of an annotation: GenBank by its word LOCUS, the others by the words of column 9.

    Raises:
        InputError: when it is none of these, or the file is empty.
    """
    path, n_lines = Path(path), 0
    for number, line in read_lines(path, "an annotation"):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("LOCUS "):
            return "GenBank"
        columns = line.split("\t")
        if len(columns) == 9:
            for form, syntax in _SYNTAX.items():
                if syntax.search(columns[8]):
                    return form
        elif n_lines == 0:
            raise InputError(
                f"{path}, line {number}: this is no annotation; give GFF3, GTF, old GFF (nine columns, "
                f"separated by tabs; this line has {len(columns)}) or GenBank (which begins with LOCUS)"
            )
        n_lines += 1
    what = "no line has attributes in column 9" if n_lines else "the file is empty"
    raise InputError(f"{path}: {what}; give GFF3, GTF, old GFF or GenBank with genes")
