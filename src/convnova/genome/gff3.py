"""Genes from GFF3, where lines are tied by ``ID`` and ``Parent``, as SGD, Ensembl, NCBI and GENCODE write it.

::

    gene    ID=g1                     or, for bacteria:    gene    ID=g1
    mRNA    ID=t1;Parent=g1                                CDS     Parent=g1
    exon    Parent=t1,t2               or, by gffread:     mRNA    ID=t1;geneID=g1
    CDS     Parent=t1                                      CDS     Parent=t1
"""

import logging
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from convnova.errors import InputError
from convnova.genome.annotation import Gene
from convnova.genome.drafts import (
    MOST_TRANS_SPLICED,
    Feature,
    GeneDraft,
    Kind,
    TranscriptDraft,
    make_genes,
)
from convnova.genome.genome import Genome
from convnova.genome.names import Unknown
from convnova.genome.nine_columns import read_features

logger = logging.getLogger(__name__)


def read_gff3(
    path: str | Path, genome: Genome | None = None, unknown_chromosomes: Unknown = "refuse"
) -> list[Gene]:
    """Return the genes of a GFF3 file (plain or gzip), in its order.

    Where CDS or exon lines name a gene as their parent, as for bacteria, the gene is given one transcript
    with its own id and interval; one for each ``ID`` of a CDS where there are several. In a file without
    genes, transcripts are one gene for each ``Parent``, for each ``geneID`` (or ``gene_id``), or each one of
    its own. Passed over are other features (UTRs, repeats), exons of what is no transcript of a gene, and,
    counted in the log unless they are many, CDS without a parent in the file, coding transcripts without a
    gene, genes and transcripts without an id, and second lines of one id.

    Args:
        path: the file.
        genome: when given, each gene must lie on it; see `drafts.make_genes` for the chromosomes' names.
        unknown_chromosomes: what to do with genes on chromosomes that the genome does not have.

    Raises:
        InputError: at the first bad line, by its number; or when the file has no gene.
    """
    path = Path(path)
    lines = _with_ids(path, _read(path))
    _check_parents(path, lines)
    children: dict[str, list[_Line]] = defaultdict(list)  # parents may come after their children
    for line in lines:
        for parent in line.parents:
            children[parent].append(line)
    drafts = [_draft(line, children) for line in lines if line.feature.kind == "gene"]
    drafts = drafts or _drafts_without_gene(lines, children)
    if not drafts:
        raise InputError(
            f"{path}: no gene in the file; give GFF3 that has lines of type gene or mRNA (column 3)"
        )
    return make_genes(path, drafts, [line.feature for line in lines], genome, unknown_chromosomes)


class _Line(NamedTuple):
    """A feature with the attributes that tie it to others."""

    feature: Feature
    id: str
    name: str
    parents: tuple[str, ...]
    gene: str
    """Attribute ``geneID`` or ``gene_id``, by which transcripts without gene lines are tied."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a transcript; several of these may share an id."""
        return self.feature.kind in ("exon", "CDS", "stop codon")


_EXACT: dict[str, Kind] = {"CDS": "CDS", "stop_codon": "stop codon"}


@cache
def _kind(type_: str) -> Kind | None:
    """Return what a Sequence Ontology name means here, by its end.

    Genes are also pseudogene and ncRNA_gene; transcripts lnc_RNA, primary_transcript, V_gene_segment and
    TAIR's mRNA_TE_gene; exons pseudogenic_exon.
    """
    if type_ in _EXACT:
        return _EXACT[type_]
    if type_.lower().endswith(("rna", "transcript", "gene_segment", "mrna_te_gene")):
        return "transcript"
    if type_.endswith("gene"):
        return "gene"
    return "exon" if type_.endswith("exon") else None


def _read(path: Path) -> list[_Line]:
    """Return the lines that are genes or transcripts, or have a parent and are exons or CDS."""
    lines = []
    orphan: _Line | None = None
    n_orphans = 0
    for feature, text in read_features(path, "GFF3", _kind):
        line = _tied(path, feature, text)
        if line.parents or not line.is_part:
            lines.append(line)
        elif line.is_part:
            orphan, n_orphans = orphan or line, n_orphans + 1
    if orphan and not any(line.is_part for line in lines):
        raise InputError(
            f"{path}, {orphan.feature.place}: the {orphan.feature.kind} has no Parent, nor has any other; "
            "add the ID of its transcript or gene, as in Parent=gene1"
        )
    if n_orphans:
        logger.info("%s: %d exons or CDS without Parent were passed over", path, n_orphans)
    return lines


def _tied(path: Path, feature: Feature, text: str) -> _Line:
    raw = {}
    for field in text.split(";"):
        key, equals, value = field.strip().partition("=")
        if equals:
            raw[key] = value
        elif key and field.strip() != ".":
            raise InputError(
                f"{path}, {feature.place}: attribute {key!r} (column 9) is not of the form key=value; "
                "GTF is another format, which read_annotation and read_gtf read"
            )
    # Commas part the parents, and are %2C within one, so the text is parted before it is decoded.
    parents = tuple(_decoded(parent) for parent in raw.get("Parent", "").split(",") if parent)
    gene = raw.get("geneID", raw.get("gene_id", ""))
    id_, name, gene = (_decoded(text) for text in (raw.get("ID", ""), raw.get("Name", ""), gene))
    return _Line(feature, id_, name, parents, gene)


def _decoded(text: str) -> str:
    return unquote(text) if "%" in text else text


def _with_ids(path: Path, lines: list[_Line]) -> list[_Line]:
    """Return the lines that can be tied, after a look that ids differ.

    Left out and logged are genes and transcripts without an id, which can have no parts, and the second line
    of a gene that has two, as NCBI writes those that are trans-spliced.
    """
    first: dict[str, _Line] = {}
    unnamed: dict[Kind, list[_Line]] = defaultdict(list)
    twice: list[_Line] = []
    for line in lines:
        if line.is_part:
            continue
        if not line.id:
            unnamed[line.feature.kind].append(line)
        elif line.id in first:
            twice.append(line)
        else:
            first[line.id] = line
    for kind, without in unnamed.items():
        what = f"{path}, {without[0].feature.place}: the {kind} has no ID"
        if not any(line.feature.kind == kind for line in first.values()):
            raise InputError(f"{what}, nor has any other; add one, as in ID=gene1")
        logger.warning("%s; %d lines are left out for this reason", what, len(without))
    if twice:
        other = first[twice[0].id].feature.place
        what = f"{path}, {twice[0].feature.place}: ID {twice[0].id!r} is taken by {other}"
        if len(twice) > MOST_TRANS_SPLICED * len(first):
            raise InputError(f"{what} ({len(twice):,} ids are taken twice); give each its own")
        logger.warning("%s; %d lines are left out for this reason", what, len(twice))
    left_out = {id(line) for line in [*twice, *(line for each in unnamed.values() for line in each)]}
    return [line for line in lines if id(line) not in left_out]


def _check_parents(path: Path, lines: list[_Line]) -> None:
    """Check that most CDS have a gene or transcript of the file as parent, and coding transcripts a gene.

    A piece cut out of a larger file has some at its end whose parents lie beyond; these are left out. Where
    the file has no gene, transcripts need none.
    """
    coding = [line for line in lines if line.feature.kind == "CDS"]
    known = {line.id for line in lines if not line.is_part}
    _check_known(path, coding, known, "CDS", "gene or transcript")
    if genes := {line.id for line in lines if line.feature.kind == "gene"}:
        of_cds = {parent for line in coding for parent in line.parents}
        transcripts = [line for line in lines if line.feature.kind == "transcript" and line.id in of_cds]
        _check_known(path, transcripts, genes, "transcript", "gene")


def _check_known(path: Path, lines: list[_Line], known: set[str], what: str, parent: str) -> None:
    """Check that most lines have a parent that is known; the others are left out, with a warning."""
    lost = [line for line in lines if known.isdisjoint(line.parents)]
    if not lost:
        return
    fault, advice = f"the {what} has no Parent", f"add the ID of its {parent}, or remove all gene lines"
    if named := ",".join(lost[0].parents):
        fault = f"Parent {named!r} of the {what} is no {parent} of the file"
        advice = "add its line or remove this one"
    fault = f"{path}, {lost[0].feature.place}: {fault}"
    if 2 * len(lost) > len(lines):
        raise InputError(f"{fault}; {advice}")
    logger.warning("%s; %d of %d %s lines are left out for this reason", fault, len(lost), len(lines), what)


def _draft(gene: _Line, children: dict[str, list[_Line]]) -> GeneDraft:
    """Return a gene with all that names it, or one of its transcripts, as parent."""
    family = [child for child in children[gene.id] if child.feature.kind == "transcript"]
    transcripts = [_transcript(member, member.id, _parts(children[member.id])) for member in family]
    own = _parts(children[gene.id])
    ids = list(dict.fromkeys(part.id for part in own if part.feature.kind == "CDS"))
    if len(ids) > 1:  # proteins of other starts
        by_id = [[part for part in own if part.feature.kind == "exon" or part.id == id_] for id_ in ids]
        transcripts[:0] = [_transcript(gene, id_, parts) for id_, parts in zip(ids, by_id, strict=True)]
    elif own:
        transcripts.insert(0, _transcript(gene, gene.id, own))
    return GeneDraft(gene.id, gene.name or gene.id, gene.feature, transcripts)


def _drafts_without_gene(lines: list[_Line], children: dict[str, list[_Line]]) -> list[GeneDraft]:
    """Return the genes of transcripts, by their parents, which the file does not have."""
    drafts: dict[str, GeneDraft] = {}
    known = {line.id for line in lines if not line.is_part}
    for line in lines:
        if line.feature.kind == "transcript" and known.isdisjoint(line.parents):
            gene = line.parents[0] if line.parents else line.gene
            id_ = gene or line.id
            draft = drafts.setdefault(id_, GeneDraft(id_, gene or line.name or id_))
            draft.transcripts.append(_transcript(line, line.id, _parts(children[line.id])))
    return list(drafts.values())


def _parts(lines: list[_Line]) -> list[_Line]:
    return [line for line in lines if line.is_part]


def _transcript(body: _Line, id_: str, parts: list[_Line]) -> TranscriptDraft:
    draft = TranscriptDraft(id_, body.feature)
    for part in parts:
        draft.add(part.feature)
    return draft
