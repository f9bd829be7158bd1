"""One label for each base of a genome, from its genes: what a gene finder learns.

A gene on strand ``+``; E exon, D donor, I intron, A acceptor, U UTR, C coding, 0 to 2 position in the codon,
S first base of the start codon, X last base of the stop codon, ``.`` background::

    exons          |==============|         |================|
    CDS                   |=======|         |=======|
    bend         ..EEEEEEEEEEEEEEEEDIIIIIIIAEEEEEEEEEEEEEEEEEE..     exons "annotated"
                 .........EEEEEEEEEDIIIIIIIAEEEEEEEEE...........     exons "coding"
    coding       ..UUUUUUUCCCCCCCCCDIIIIIIIACCCCCCCCCUUUUUUUUU..
    frame        .........S12012012DIIIIIIIA01201201X...........

Donor is the first base of an intron in reading direction, acceptor the last, so on strand ``-`` the donor is
the rightmost. Where genes overlap, these win, in this order: donor and acceptor, start and stop, coding exon,
UTR, intron; among equals the longer gene. ``docs/gene-labels.md`` has all the rules and the reasons.

L length of a chromosome in bp.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.genome import Gene, Interval, Transcript
from convnova.genome.annotation import width

BaseLabels = NDArray[np.uint8]

SHORTEST_INTRON_BP = 2
"""A donor and an acceptor; a shorter gap is a frameshift, and belongs to the exon that is read before it."""


@dataclass(frozen=True)
class LabelSet:
    """Names of the labels of bases; a label's id is its place."""

    name: str
    labels: tuple[str, ...]
    """Those of genes on ``+``, the same on ``-``, and the background."""
    opposite: tuple[int, ...]
    """The id that a base of each label gets when the sequence is read from the other strand."""
    background: int
    """Id of what is in no gene."""

    @property
    def in_bend(self) -> tuple[int, ...]:
        """The id of each label in the set ``bend``: parts of an exon, whatever they are called, are exon."""
        bend = LABEL_SETS["bend"].labels
        return tuple(bend.index(name if name in bend else f"exon{name[-1]}") for name in self.labels)


def _label_set(name: str, *labels: str) -> LabelSet:
    n = len(labels)
    names = tuple(f"{label}{strand}" for strand in "+-" for label in labels)
    return LabelSet(name, (*names, "intergenic"), (*range(n, 2 * n), *range(n), 2 * n), background=2 * n)


LABEL_SETS = {
    label_set.name: label_set
    for label_set in (
        _label_set("bend", "exon", "donor", "intron", "acceptor"),
        _label_set("coding", "CDS", "UTR", "donor", "intron", "acceptor"),
        _label_set("frame", "codon0", "codon1", "codon2", "donor", "intron", "acceptor", "start", "stop"),
    )
}
"""Label sets by name; ``bend`` has the ids of the benchmark BEND, whose EXON_F is ``exon+``, and so on."""


@dataclass(frozen=True)
class GeneLabelSettings:
    """How genes become labels."""

    label_set: Literal["bend", "coding", "frame"] = "bend"
    """Labels: BEND's nine; with CDS and UTR apart; or with the position in the codon, starts
    and stops."""
    exons: Literal["coding", "annotated"] = "coding"
    """Of label set "bend": the coding part of exons, which can be decoded to genes; or whole exons. The other
    sets tell coding bases apart in any case."""
    transcripts: Literal["longest", "first", "all"] = "longest"
    """Of a gene with several: that with the longest CDS, the first in the file, or all of them at once."""
    label_noncoding_genes: bool = False
    """Whether genes without CDS are labelled too, their exons as exon or UTR."""

    def __post_init__(self) -> None:
        if self.label_set not in LABEL_SETS:
            raise InputError(f"label_set {self.label_set!r} is not known; use one of {', '.join(LABEL_SETS)}")
        if self.label_noncoding_genes and self.is_coding_only:
            raise InputError(
                "label_noncoding_genes needs labels for bases that are not coding; use label set "
                '"coding", or "bend" with exons "annotated"'
            )

    @property
    def is_coding_only(self) -> bool:
        """Whether untranslated bases, and introns between them, are background."""
        return self.label_set == "frame" or (self.label_set == "bend" and self.exons == "coding")

    @property
    def has_coding_exons(self) -> bool:
        """Whether labels tell coding bases from others, so that genes have a reading frame."""
        return self.is_coding_only or self.label_set == "coding"


DEFAULT = GeneLabelSettings()


def label_genes(
    genes: Iterable[Gene], sizes: Mapping[str, int], settings: GeneLabelSettings = DEFAULT
) -> dict[str, BaseLabels]:
    """Return the ids of the labels of each chromosome in ``sizes``, uint8 of shape (L,).

    Args:
        genes: of the genome; transcripts without a strand are left out.
        sizes: length in bp of each chromosome, as `Genome.chromosome_sizes`.
        settings: labels and rules.

    Raises:
        InputError: for a gene that is not on the genome.
    """
    label_set = LABEL_SETS[settings.label_set]
    rows = {name: np.full(size, label_set.background, np.uint8) for name, size in sizes.items()}
    chains = [_chain(transcript, settings) for transcript in labelled_transcripts(genes, settings)]
    _check_inside(chains, sizes)
    brushes = {strand: _brush(settings.label_set, strand, chains) for strand in "+-"}
    # Painted weakest first: what comes later wins.
    for layer in (_paint_introns, _paint_exons, _paint_coding, _paint_ends, _paint_sites):
        for chain in chains:
            layer(rows[chain.chromosome], chain, brushes[chain.strand])
    return rows


def label_regions(
    genes: Iterable[Gene],
    sizes: Mapping[str, int],
    regions: Sequence[Interval],
    settings: GeneLabelSettings = DEFAULT,
) -> tuple[BaseLabels, ...]:
    """Return the ids of the labels of each region as strand ``+`` has them, uint8 of shape (width,).

    Chromosomes are labelled one at a time, so memory grows with the regions, not with the genome.

    Args:
        genes: of the genome.
        sizes: length in bp of each chromosome, as `Genome.chromosome_sizes`.
        regions: in any order.
        settings: labels and rules.

    Raises:
        InputError: for a gene that is not on the genome.
    """
    genes_of, places_of = defaultdict(list), defaultdict(list)
    for gene in genes:
        genes_of[gene.interval.chromosome].append(gene)
    for place, region in enumerate(regions):
        places_of[region.chromosome].append(place)
    cut: dict[int, BaseLabels] = {}
    for name, places in places_of.items():
        row = label_genes(genes_of[name], {name: sizes[name]}, settings)[name]
        for place in places:
            labels = row[regions[place].start : regions[place].end]
            cut[place] = labels if len(labels) == len(row) else labels.copy()
    return tuple(cut[place] for place in range(len(regions)))


def labelled_transcripts(genes: Iterable[Gene], settings: GeneLabelSettings = DEFAULT) -> list[Transcript]:
    """Return the transcripts that are labelled, the weakest first.

    Weaker is that of the shorter gene; of genes of one length that further to the right, then that on ``-``.
    Of one gene it is that with the shorter CDS, then with shorter exons, then the later in the file.
    """
    ordered = sorted(
        genes, key=lambda gene: (-gene.interval.width, gene.interval.start, gene.interval.strand)
    )
    chosen = [transcript for gene in ordered for transcript in _chosen(gene.transcripts, settings)]
    return chosen[::-1]


def _chosen(transcripts: Sequence[Transcript], settings: GeneLabelSettings) -> list[Transcript]:
    """Return the transcripts of one gene that count, the strongest first."""
    stranded = [transcript for transcript in transcripts if transcript.interval.strand != "."]
    usable = [transcript for transcript in stranded if transcript.coding_exons]
    if not usable and settings.label_noncoding_genes:
        usable = [transcript for transcript in stranded if transcript.exons]
    if settings.transcripts == "first":
        return usable[:1]
    if len(usable) > 1:
        usable.sort(key=lambda t: (width(t.coding_exons), width(t.exons)), reverse=True)
    return usable if settings.transcripts == "all" else usable[:1]


class _Chain(NamedTuple):
    """What is painted of one transcript, all in genomic order."""

    chromosome: str
    strand: str
    exons: tuple[Interval, ...]
    coding: tuple[Interval, ...]
    phase: int


def _chain(transcript: Transcript, settings: GeneLabelSettings) -> _Chain:
    exons = transcript.coding_exons if settings.is_coding_only else transcript.exons
    body = transcript.interval
    return _Chain(body.chromosome, body.strand, exons, transcript.coding_exons, transcript.phase)


def _check_inside(chains: list[_Chain], sizes: Mapping[str, int]) -> None:
    for chain in chains:
        end = max(exon.end for exon in chain.exons)
        if end > sizes.get(chain.chromosome, -1):
            size = f"{sizes[chain.chromosome]} bp" if chain.chromosome in sizes else "not in the genome"
            raise InputError(
                f"an exon ends at {end} on {chain.chromosome}, which is {size}; "
                "give the genome that the annotation was made for"
            )


class _Brush(NamedTuple):
    """Ids of one strand."""

    codon: BaseLabels
    """Ids of coding bases from left to right, over and over, from a base that is first in its codon on ``+``,
    last on ``-``."""
    untranslated: int
    donor: int
    intron: int
    acceptor: int
    ends: tuple[int, int] | None
    """Start and stop; none where the label set has no such labels."""


_CODONS = {"bend": ("exon",) * 3, "coding": ("CDS",) * 3, "frame": ("codon0", "codon1", "codon2")}
"""Labels of the three bases of a codon."""


def _brush(name: str, strand: str, chains: list[_Chain]) -> _Brush:
    ids = {label[:-1]: id_ for id_, label in enumerate(LABEL_SETS[name].labels) if label.endswith(strand)}
    codon = [ids[label] for label in _CODONS[name]][:: 1 if strand == "+" else -1]
    longest = max((exon.width for chain in chains for exon in chain.coding), default=0)
    cycle = np.resize(np.array(codon, dtype=np.uint8), longest + 3 + SHORTEST_INTRON_BP)
    ends = (ids["start"], ids["stop"]) if "start" in ids else None
    return _Brush(cycle, ids.get("UTR", codon[0]), ids["donor"], ids["intron"], ids["acceptor"], ends)


def introns_of(exons: Sequence[Interval]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each gap between exons in genomic order that is an intron."""
    for left, right in pairwise(exons):
        if right.start - left.end >= SHORTEST_INTRON_BP:
            yield left.end, right.start


def _paint_introns(row: BaseLabels, chain: _Chain, brush: _Brush) -> None:
    for start, end in introns_of(chain.exons):
        row[start:end] = brush.intron


def _paint_sites(row: BaseLabels, chain: _Chain, brush: _Brush) -> None:
    left, right = (brush.donor, brush.acceptor) if chain.strand == "+" else (brush.acceptor, brush.donor)
    for start, end in introns_of(chain.exons):
        row[start], row[end - 1] = left, right


def _paint_exons(row: BaseLabels, chain: _Chain, brush: _Brush) -> None:
    """Paint whole exons as untranslated; the coding layer comes over it."""
    for exon in chain.exons:
        row[exon.start : exon.end] = brush.untranslated
    for left, right in pairwise(chain.exons):
        if right.start - left.end < SHORTEST_INTRON_BP:
            row[left.end : right.start] = brush.untranslated


def _paint_coding(row: BaseLabels, chain: _Chain, brush: _Brush) -> None:
    """Paint the coding exons in reading direction, each from the position in the codon where it begins.

    A base that is skipped at a +1 frameshift is painted as if the exon before it went on; one that is read
    twice at a -1 frameshift keeps its first position, as the exons are painted from the last to the first.
    """
    exons = chain.coding if chain.strand == "+" else chain.coding[::-1]
    read = width(exons) - chain.phase  # bases from the first whole codon on
    following: Interval | None = None
    for exon in reversed(exons):
        read -= exon.width
        skipped = _gap(exon, following)
        start, end, length = exon.start, exon.end, exon.width + skipped
        if chain.strand == "+":
            row[start : end + skipped] = brush.codon[(first := read % 3) : first + length]
        else:
            row[start - skipped : end] = brush.codon[(first := -(read + length) % 3) : first + length]
        following = exon


def _paint_ends(row: BaseLabels, chain: _Chain, brush: _Brush) -> None:
    """Paint the first base of a CDS where a codon begins with it, and the last where one ends with it."""
    if brush.ends is None:
        return
    left, right = chain.coding[0].start, chain.coding[-1].end - 1
    first, last = (left, right) if chain.strand == "+" else (right, left)
    if chain.phase == 0:
        row[first] = brush.ends[0]
    if (width(chain.coding) - chain.phase) % 3 == 0:
        row[last] = brush.ends[1]


def _gap(exon: Interval, following: Interval | None) -> int:
    """Return the bases of a gap between two exons that is no intron."""
    if following is None:
        return 0
    gap = max(following.start - exon.end, exon.start - following.end)
    return gap if 0 < gap < SHORTEST_INTRON_BP else 0
