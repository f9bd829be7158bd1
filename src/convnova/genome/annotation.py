"""Genes from GFF3: where they lie, their transcripts, and the coding exons of each.

GFF3 counts from 1 and includes the end; `_parse` turns that into 0-based half-open, here and nowhere else.

::

    gene         |=====================================|
    transcript   |=====================================|
    CDS               |======|      |====|     |====|         coding_exons
                              |----|      |---|               introns
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from convnova.errors import InputError
from convnova.genome.files import parse_int, read_lines
from convnova.genome.genome import Genome
from convnova.genome.interval import Interval


@dataclass(frozen=True, slots=True)
class Transcript:
    """One transcript of a gene."""

    id: str
    """Attribute ``ID``."""
    interval: Interval
    """From its first to its last base, untranslated regions included."""
    coding_exons: tuple[Interval, ...]
    """CDS segments, stop codon included, in genomic order on either strand; empty when it is not coding."""

    @property
    def introns(self) -> tuple[Interval, ...]:
        """Gaps between neighbouring coding exons, in genomic order.

        A programmed +1 frameshift is a gap of one base; at a -1 frameshift the exons overlap, with no gap.
        """
        return tuple(
            Interval(left.chromosome, left.end, right.start, left.strand)
            for left, right in pairwise(self.coding_exons)
            if left.end < right.start
        )


@dataclass(frozen=True, slots=True)
class Gene:
    """One gene with its transcripts."""

    interval: Interval
    """From its first to its last base."""
    id: str
    """Attribute ``ID``."""
    name: str
    """Attribute ``Name``, or the id when there is none."""
    transcripts: tuple[Transcript, ...]
    """In the order of the file."""


def read_gff3(path: str | Path, genome: Genome | None = None) -> list[Gene]:
    """Return the genes of a GFF3 file (plain or gzip), as SGD, Ensembl and NCBI write it, in its order.

    Where CDS lines name a gene as their parent, as for bacteria, the gene is given one transcript with its
    own id and interval. Other features (exons, UTRs, repeats) are passed over.

    Args:
        path: the file.
        genome: when given, each gene, transcript and CDS must lie on it.

    Raises:
        InputError: at the first bad line, by its number; or when the file has no gene.
    """
    features = list(_read(Path(path), genome))
    known = _ids(features)
    children: dict[str, list[_Feature]] = defaultdict(list)  # parents may come after their children
    for feature in features:
        for parent in feature.parents:
            if feature.is_cds and parent not in known:
                raise InputError(
                    f"{feature.place}: Parent {parent!r} of the CDS is no gene or transcript of the file; "
                    "add its line or remove this one"
                )
            children[parent].append(feature)
    genes = [_gene(feature, children) for feature in features if feature.is_gene]
    if not genes:
        raise InputError(f"{path}: no gene in the file; give GFF3 that has lines of type gene (column 3)")
    return genes


class _Feature(NamedTuple):
    """One line of the file."""

    place: str
    """How an error names the line."""
    type: str
    interval: Interval
    attributes: dict[str, str]
    parents: list[str]

    @property
    def id(self) -> str:
        return self.attributes.get("ID", "")

    @property
    def is_cds(self) -> bool:
        return self.type == "CDS"

    @property
    def is_gene(self) -> bool:
        """Whether its Sequence Ontology name says so: gene, pseudogene, ncRNA_gene."""
        return self.type.endswith("gene")

    @property
    def is_transcript(self) -> bool:
        """Whether its Sequence Ontology name says so: mRNA, lnc_RNA, primary_transcript, V_gene_segment."""
        return self.type.lower().endswith(("rna", "transcript", "gene_segment"))


def _gene(gene: _Feature, children: Mapping[str, list[_Feature]]) -> Gene:
    """Return a gene with all that names it, or one of its transcripts, as parent."""
    family = [child for child in children[gene.id] if child.is_transcript]
    if any(child.is_cds for child in children[gene.id]):
        family.insert(0, gene)
    transcripts = []
    for transcript in family:
        coding_exons = [child.interval for child in children[transcript.id] if child.is_cds]
        coding_exons.sort(key=lambda exon: exon.start)
        transcripts.append(Transcript(transcript.id, transcript.interval, tuple(coding_exons)))
    return Gene(gene.interval, gene.id, gene.attributes.get("Name", gene.id), tuple(transcripts))


def _ids(features: list[_Feature]) -> set[str]:
    """Return the ids that a CDS may name as parent, each found on one line only."""
    first: dict[str, _Feature] = {}
    for feature in features:
        if feature.is_cds:  # the segments of one CDS share an id
            continue
        if not feature.id:
            raise InputError(f"{feature.place}: the {feature.type} has no ID; add one, as in ID=gene1")
        if feature.id in first:
            raise InputError(
                f"{feature.place}: ID {feature.id!r} is taken by {first[feature.id].place}; "
                "genes and transcripts on several lines (trans-splicing) are not read, so remove them"
            )
        first[feature.id] = feature
    return set(first)


def _read(path: Path, genome: Genome | None) -> Iterator[_Feature]:
    """Yield the lines that are genes, transcripts of a gene, and CDS."""
    for number, line in read_lines(path, "a GFF3 file"):
        if line.startswith("##FASTA"):
            return
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{path}, line {number}"
        try:
            feature = _parse(line, place)
            if feature.is_gene or (feature.parents and (feature.is_transcript or feature.is_cds)):
                if genome is not None:
                    genome.check_inside(feature.interval)
                yield feature
        except InputError as error:
            raise InputError(f"{place}: {error}") from None


def _parse(line: str, place: str) -> _Feature:
    columns = line.split("\t")
    if len(columns) != 9:
        raise InputError(f"GFF3 has 9 columns, separated by tabs; this line has {len(columns)}")
    chromosome, _, type_, start_text, end_text, _, strand, _, attribute_text = columns
    start, end = parse_int(start_text, "start"), parse_int(end_text, "end")
    if not 1 <= start <= end:
        raise InputError(f"start {start}, end {end}; GFF3 counts from 1 and its start is not after its end")
    strand = "." if strand == "?" else strand
    # Commas part the parents, and are %2C within one, so the text is parted before it is decoded.
    raw = dict(_key_and_value(field) for field in attribute_text.split(";") if field.strip())
    parents = [unquote(parent) for parent in raw.get("Parent", "").split(",") if parent]
    attributes = {key: unquote(value) for key, value in raw.items()}
    return _Feature(place, type_, Interval(unquote(chromosome), start - 1, end, strand), attributes, parents)


def _key_and_value(field: str) -> tuple[str, str]:
    key, equals, value = field.strip().partition("=")
    if not equals:
        raise InputError(
            f"attribute {field!r} (column 9) is not of the form key=value; GTF is another format"
        )
    return key, value
