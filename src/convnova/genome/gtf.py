"""Genes from GTF and from the old GFF that JGI wrote: lines tied by words in column 9, with no parent lines.

::

    GTF       exon  ... gene_id "g1"; transcript_id "t1"; gene_name "ACT1";
    AUGUSTUS  gene  ... g1                  transcript  ... g1.t1                 exon and CDS as in GTF
    old GFF   exon  ... name "fgenesh1_pg.1"; transcriptId 88584

GTF of Ensembl and GENCODE leaves the stop codon out of the CDS and writes it on a line of its own; it is put
back. Where stop codons are in the CDS, as JGI has them, they change nothing.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from convnova.errors import InputError
from convnova.genome.annotation import Gene
from convnova.genome.drafts import Feature, GeneDraft, Kind, TranscriptDraft, make_genes
from convnova.genome.genome import Genome
from convnova.genome.names import Unknown
from convnova.genome.nine_columns import read_features

_KINDS: dict[str, Kind] = {
    "gene": "gene",
    "transcript": "transcript",
    "mRNA": "transcript",
    "exon": "exon",
    "CDS": "CDS",
    "stop_codon": "stop codon",
}
"""Types that are read; start codons and UTRs follow from CDS and exons."""


def _attribute(*keys: str) -> Callable[[str], str]:
    """Return a function that finds the value of one of some keys in column 9; empty when none is there."""
    pattern = re.compile(rf'(?:^|;)\s*(?:{"|".join(keys)})\s+"?([^";]*)')

    def value(text: str) -> str:
        match = pattern.search(text)
        return match[1].strip() if match else ""

    return value


_BARE = re.compile(r"(?:([^\s;=\"]+)\.t\d+)|[^\s;=\"]+")
"""An id and nothing else, as AUGUSTUS and BRAKER write it: ``g1`` on the line of a gene, ``g1.t1`` below."""

_gene_id, _transcript_id = _attribute("gene_id"), _attribute("transcript_id")
_gene_name = _attribute("gene_name", "gene")
_old_name, _old_transcript = _attribute("name"), _attribute("transcriptId")


def read_gtf(
    path: str | Path, genome: Genome | None = None, unknown_chromosomes: Unknown = "refuse"
) -> list[Gene]:
    """Return the genes of a GTF file (plain or gzip), in the order of their first lines.

    Gene and transcript lines may be there or not. A gene that the file has on two chromosomes or strands
    under one ``gene_id``, as in the pseudoautosomal regions, becomes two genes.

    Args:
        path: the file.
        genome: when given, each gene must lie on it; see `drafts.make_genes` for the chromosomes' names.
        unknown_chromosomes: what to do with genes on chromosomes that the genome does not have.

    Raises:
        InputError: at the first bad line, by its number; or when the file has no gene.
    """
    return _read(Path(path), genome, unknown_chromosomes, "GTF", _gtf_keys)


def read_old_gff(
    path: str | Path, genome: Genome | None = None, unknown_chromosomes: Unknown = "refuse"
) -> list[Gene]:
    """Return the genes of a file in the GFF that JGI wrote before GFF3, plain or gzip.

    All lines of one ``name`` are one gene with one transcript, whose id is the ``transcriptId``, or the name
    where there is none.

    Args:
        path: the file.
        genome: as in `read_gtf`.
        unknown_chromosomes: as in `read_gtf`.

    Raises:
        InputError: as in `read_gtf`.
    """
    return _read(Path(path), genome, unknown_chromosomes, "old GFF", _old_gff_keys)


class _Keys(NamedTuple):
    """What ties a line to others."""

    gene: str
    transcript: str
    """Empty on the line of a gene."""
    transcript_id: str
    """What the transcript is called; empty where the line does not say."""


def _read(
    path: Path,
    genome: Genome | None,
    unknown_chromosomes: Unknown,
    form: str,
    keys_of: Callable[[Feature, str], _Keys],
) -> list[Gene]:
    genes: dict[tuple[str, str, str], GeneDraft] = {}
    transcripts: dict[tuple[str, str, str], TranscriptDraft] = {}
    features = []
    for feature, text in read_features(path, form, _KINDS.get):
        try:
            gene_key, transcript_key, transcript_id = keys_of(feature, text)
        except InputError as error:
            raise InputError(f"{path}, {feature.place}: {error}") from None
        features.append(feature)
        place = gene_key, feature.chromosome, feature.strand
        if (gene := genes.get(place)) is None:
            gene = genes[place] = GeneDraft(gene_key, _gene_name(text) or gene_key)
        if feature.kind == "gene":
            gene.body = feature
            continue
        copy = gene_key, transcript_key, feature.chromosome  # on X and on Y these are two
        if (transcript := transcripts.get(copy)) is None:
            transcript = transcripts[copy] = TranscriptDraft(transcript_key)
            gene.transcripts.append(transcript)
        if transcript_id:
            transcript.id = transcript_id
        transcript.add(feature)
    drafts = [gene for gene in genes.values() if gene.body or gene.transcripts]
    if not drafts:
        raise InputError(
            f"{path}: no gene in the file; give {form} that has lines of type exon or CDS (column 3)"
        )
    return make_genes(path, drafts, features, genome, unknown_chromosomes)


def _gtf_keys(feature: Feature, text: str) -> _Keys:
    gene, transcript = _gene_id(text), _transcript_id(text)
    if not gene and (bare := _BARE.fullmatch(text)) and feature.kind in ("gene", "transcript"):
        return _Keys(bare[1] or text, text if bare[1] else "", text if bare[1] else "")
    if not gene or not (transcript or feature.kind == "gene"):
        missing = "transcript_id" if gene else "gene_id"
        raise InputError(
            f'no {missing} in column 9 of the {feature.kind}; GTF ties lines by gene_id "g1"; '
            'transcript_id "t1"; add it, or give the file as GFF3'
        )
    return _Keys(gene, transcript, transcript)


def _old_gff_keys(feature: Feature, text: str) -> _Keys:
    if not (name := _old_name(text)):
        raise InputError(
            f'no name in column 9 of the {feature.kind}; old GFF ties the lines of a gene by name "g1", '
            'GTF by gene_id "g1"; transcript_id "t1"; add it, or give the file as GFF3'
        )
    return _Keys(name, name, _old_transcript(text))
