"""Genes and sequences from GenBank records, by Biopython.

::

    gene    complement(<1..300)              /gene="ACT1"    /locus_tag="YFL039C"
    mRNA    complement(join(<1..200,250..300))               the first that holds a CDS is that CDS's
    CDS     complement(join(10..200,250..260))
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from convnova.errors import InputError
from convnova.genome.annotation import Gene
from convnova.genome.drafts import LONGEST_SLIP_BP, Feature, GeneDraft, Kind, TranscriptDraft, make_genes
from convnova.genome.files import open_text
from convnova.genome.genome import Genome
from convnova.genome.names import Unknown
from convnova.sequence import Ids, encode

if TYPE_CHECKING:
    from Bio.SeqFeature import SeqFeature
    from Bio.SeqRecord import SeqRecord

logger = logging.getLogger(__name__)

_STRANDS = {1: "+", -1: "-"}


def read_genbank(
    path: str | Path, genome: Genome | None = None, unknown_chromosomes: Unknown = "refuse"
) -> list[Gene]:
    """Return the genes of a GenBank file (plain or gzip), in its order; a record is a chromosome.

    Features of one ``/locus_tag``, or else of one ``/gene``, are one gene; a ``gene`` feature begins a new
    one. A CDS goes with the first mRNA of its gene that has its introns and holds it; a CDS without such an
    mRNA is a transcript of its own, and so is an RNA without CDS. ``/codon_start`` gives the phase. What goes
    on beyond the end of a circular record is left out, with a warning.

    Args:
        path: the file.
        genome: when given, each gene must lie on it; see `drafts.make_genes` for the chromosomes' names.
        unknown_chromosomes: what to do with genes on chromosomes that the genome does not have.

    Raises:
        InputError: when Biopython is missing, the file is no GenBank or has no gene, or a feature lies on
            another record.
    """
    path = Path(path)
    features: list[Feature] = []
    drafts: list[GeneDraft] = []
    for record in _records(path):
        for locus in _loci(path, record):
            drafts.append(locus.draft())
            features += locus.features()
    if not drafts:
        raise InputError(f"{path}: no gene in the file; give GenBank records with features gene, mRNA or CDS")
    return make_genes(path, drafts, features, genome, unknown_chromosomes)


def genbank_sequences(path: str | Path) -> Iterator[tuple[str, Ids]]:
    """Yield the name and the ids, uint8 of shape (L,), of each record of a GenBank file; write them as FASTA
    to make a genome of them.

    Raises:
        InputError: as in `read_genbank`, and for a record without sequence.
    """
    path = Path(path)
    for record in _records(path):
        if not record.seq.defined or not len(record.seq):
            raise InputError(
                f"{path}, record {_name(record)}: it has no sequence (ORIGIN); download it with its sequence"
            )
        yield _name(record), encode(bytes(record.seq), f"{path}, record {_name(record)}")


@dataclass(slots=True)
class _Locus:
    """The features of one gene."""

    id: str
    name: str
    body: Feature | None = None
    rnas: list[TranscriptDraft] = field(default_factory=list)
    proteins: list[TranscriptDraft] = field(default_factory=list)

    def features(self) -> list[Feature]:
        """Return all stretches, in no order."""
        parts = [part for draft in (*self.rnas, *self.proteins) for part in (*draft.exons, *draft.coding)]
        return [self.body, *parts] if self.body else parts

    def draft(self) -> GeneDraft:
        """Return the gene, each CDS with an mRNA of its own where there is a fitting one."""
        transcripts = [TranscriptDraft(rna.id, exons=rna.exons) for rna in self.rnas]
        for protein in self.proteins:
            free = (rna for rna in transcripts if not rna.coding and _holds(rna.exons, protein.coding))
            if (rna := next(free, None)) is None:
                transcripts.append(protein)
            else:
                rna.coding = protein.coding
        return GeneDraft(self.id, self.name, self.body, transcripts)


def _loci(path: Path, record: "SeqRecord") -> list[_Locus]:
    """Return the genes of one record, in the order of their first features."""
    loci: list[_Locus] = []
    latest: dict[str, _Locus] = {}
    for feature in record.features:
        kind = _kind(feature.type)
        if kind is None:
            continue
        name = _qualifier(feature, "gene", "locus_tag")
        key = _qualifier(feature, "locus_tag", "gene")
        place = f"record {_name(record)}, {feature.type} {name or feature.location}"
        if _crosses_origin(feature):
            logger.warning("%s, %s: left out, since it goes on beyond the end of a circle", path, place)
            continue
        parts = _parts(path, place, kind, record, feature)
        locus = latest.get(key) if key else None
        if locus is None or kind == "gene":
            unnamed = f"{_name(record)}:{parts[0].start + 1}-{parts[-1].end}"
            locus = _Locus(key or unnamed, name or unnamed)
            loci.append(locus)
            latest[key] = locus
        if kind == "gene":
            locus.body = parts[0]._replace(end=parts[-1].end)
        elif kind == "exon":
            locus.rnas.append(TranscriptDraft(_qualifier(feature, "transcript_id") or locus.id, exons=parts))
        else:
            locus.proteins.append(
                TranscriptDraft(_qualifier(feature, "protein_id") or locus.id, coding=parts)
            )
    return loci


def _kind(type_: str) -> Kind | None:
    if type_ == "CDS":
        return "CDS"
    if type_.endswith("RNA"):
        return "exon"
    return "gene" if type_ == "gene" else None


def _parts(path: Path, place: str, kind: Kind, record: "SeqRecord", feature: "SeqFeature") -> list[Feature]:
    """Return the stretches of a feature in genomic order; ``<`` and ``>`` only say that it goes on."""
    codon_start = _qualifier(feature, "codon_start") or "1"
    if codon_start not in ("1", "2", "3"):
        raise InputError(f"{path}, {place}: codon_start {codon_start!r} is not 1, 2 or 3; correct it")
    parts = []
    for part in feature.location.parts:
        if part.ref:
            raise InputError(f"{path}, {place}: a part of it is on record {part.ref}; remove the feature")
        start, end, strand = int(part.start), int(part.end), _STRANDS.get(part.strand, ".")
        parts.append(Feature(place, kind, _name(record), start, end, strand, int(codon_start) - 1))
    return sorted(parts, key=lambda part: part.start)


def _crosses_origin(feature: "SeqFeature") -> bool:
    """Whether a feature of a circular record goes on at its begin, as in ``join(941..1000,1..60)``."""
    starts = [int(part.start) for part in feature.location.parts]
    is_backward = feature.location.strand == -1  # Biopython gives the parts in reading direction
    return starts != sorted(starts, reverse=is_backward)


def _holds(exons: list[Feature], coding: list[Feature]) -> bool:
    """Whether a CDS lies in the exons and has the introns between them; both in genomic order."""
    introns = {(left.end, right.start) for left, right in pairwise(exons)}
    gaps = {(left.end, right.start) for left, right in pairwise(coding)}
    return all(
        any(exon.start <= part.start and part.end <= exon.end for exon in exons) for part in coding
    ) and all(gap in introns or gap[1] - gap[0] <= LONGEST_SLIP_BP for gap in gaps)


def _qualifier(feature: "SeqFeature", *keys: str) -> str:
    return next((feature.qualifiers[key][0] for key in keys if key in feature.qualifiers), "")


def _name(record: "SeqRecord") -> str:
    """Return accession and version, or the LOCUS where the record has none."""
    return record.name if record.id in (None, "", ".", "<unknown id>") else record.id


def _records(path: Path) -> Iterator["SeqRecord"]:
    try:
        from Bio import SeqIO
    except ImportError:
        raise InputError(
            f"{path}: GenBank needs Biopython; install it with: pip install 'convnova[genbank]'"
        ) from None
    is_empty = True
    with open_text(path, "a GenBank file") as text:
        records = SeqIO.parse(text, "genbank")
        while True:
            with warnings.catch_warnings():  # of LOCUS lines that are not as NCBI writes them
                warnings.simplefilter("ignore")
                record = next(records, None)
            if record is None:
                break
            is_empty = False
            yield record
    if is_empty:
        raise InputError(f"{path}: no GenBank record in the file; a record begins with a line LOCUS")
