"""Does an annotation fit its genome? Splice sites of the introns, and start, stop and frame of the CDS.

::

    exon |GT . . . . . AG| exon       GT-AG nearly always, GC-AG about 1 %, AT-AC rarely
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from convnova.data.base_labels import DEFAULT, GeneLabelSettings, introns_of, labelled_transcripts
from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval, Transcript
from convnova.sequence import Ids, N, decode, encode, reverse_complement

KNOWN_SITES = ("GT-AG", "GC-AG", "AT-AC")
LEAST_SHARE = 0.5
"""Of introns with known sites, and of transcripts with a start or a stop codon, under which an annotation is
taken for that of another assembly."""
LEAST_INTRONS = 10
"""How many introns it takes to say so."""
LEAST_TRANSCRIPTS = 10
"""How many transcripts it takes."""
STOPS = ("TAA", "TAG", "TGA")

_N_SHOWN = 5


class SpliceSites(NamedTuple):
    """How the introns of an annotation begin and end."""

    counts: dict[str, int]
    """Introns by their sites: those of `KNOWN_SITES`, and ``other``."""
    n_unknown: int
    """Introns with N in a site; they are in no count."""
    examples: tuple[Interval, ...]
    """The first few of ``other``, each with its sites as its name."""

    @property
    def total(self) -> int:
        """Introns whose sites can be read."""
        return sum(self.counts.values())

    @property
    def known_share(self) -> float:
        """Share of these that have one of the `KNOWN_SITES`; 1 when there are none."""
        return 1 - self.counts["other"] / self.total if self.total else 1.0

    def __str__(self) -> str:
        """Return one line for people."""
        if not self.total and not self.n_unknown:
            return "no introns"
        shown = ", ".join(f"{count:,} {sites}" for sites, count in self.counts.items())
        unknown = f"; {self.n_unknown:,} more with N there" if self.n_unknown else ""
        return f"{self.total:,} introns: {shown} ({self.known_share:.1%} with known splice sites{unknown})"


def splice_sites(genes: Sequence[Gene], genome: Genome, settings: GeneLabelSettings = DEFAULT) -> SpliceSites:
    """Return how the labelled introns begin and end, each intron counted once.

    Raises:
        InputError: when fewer than half of at least ten introns have known splice sites.
    """
    introns = _introns(genes, settings)
    words = _splice_words(genome, introns)
    found = Counter(words)
    counts = {word: found.pop(word, 0) for word in KNOWN_SITES}
    n_unknown = sum(found.pop(word) for word in list(found) if "N" in word)
    others = (
        replace(intron, name=word) for intron, word in zip(introns, words, strict=True) if word in found
    )
    sites = SpliceSites(counts | {"other": found.total()}, n_unknown, tuple(islice(others, _N_SHOWN)))
    if sites.total >= LEAST_INTRONS and sites.known_share < LEAST_SHARE:
        first = sites.examples[0]
        raise InputError(
            f"only {sites.known_share:.1%} of the {sites.total:,} introns have splice sites "
            f"{', '.join(KNOWN_SITES)} on {genome.path} ({first} on {first.strand} has {first.name}); "
            "the annotation is of another assembly, so give the genome that it was made for"
        )
    return sites


class CodingChecks(NamedTuple):
    """How many of the labelled coding transcripts do not read as a protein."""

    n_transcripts: int
    not_in_threes: int
    """Whose CDS, from the first whole codon on, is no multiple of three."""
    without_start: int
    """Which do not begin with ATG, or begin within a codon."""
    without_stop: int
    """Whose CDS does not end with a stop codon."""
    with_inner_stop: int
    """With a stop codon in frame before the last codon."""

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.n_transcripts:,} coding transcripts: {self.not_in_threes:,} no multiple of three, "
            f"{self.without_start:,} without ATG, {self.without_stop:,} without stop codon, "
            f"{self.with_inner_stop:,} with a stop codon inside"
        )


def coding_checks(
    genes: Sequence[Gene], genome: Genome, settings: GeneLabelSettings = DEFAULT
) -> CodingChecks:
    """Return how many of the labelled coding transcripts read as a protein, by the standard code.

    Raises:
        InputError: when, of at least ten of whole codons, fewer than half begin with ATG or end with a stop
            codon.
    """
    coding = [transcript for transcript in labelled_transcripts(genes, settings) if transcript.coding_exons]
    ids = [_coding_sequence(genome, each) for each in coding]
    faults = [_faults(one, each.phase) for one, each in zip(ids, coding, strict=True)]
    has_end = [
        not (has_no_start and has_no_stop)
        for (is_cut, has_no_start, has_no_stop, _), one, each in zip(faults, ids, coding, strict=True)
        if each.phase == 0 and not is_cut and N not in (*one[:3], *one[-3:])
    ]
    if len(has_end) >= LEAST_TRANSCRIPTS and sum(has_end) < LEAST_SHARE * len(has_end):
        raise InputError(
            f"only {sum(has_end) / len(has_end):.1%} of the {len(has_end):,} transcripts of whole codons "
            f"begin with ATG or end with a stop codon on {genome.path}; the annotation is of another "
            "assembly, or of pieces of genes, so give the genome that it was made for, or whole genes"
        )
    return CodingChecks(len(coding), *np.array(faults, dtype=np.int64).reshape(-1, 4).sum(axis=0).tolist())


def _introns(genes: Sequence[Gene], settings: GeneLabelSettings) -> list[Interval]:
    """Return each labelled intron once, in genomic order."""
    found: set[tuple[str, int, int, str]] = set()
    for transcript in labelled_transcripts(genes, settings):
        exons = transcript.coding_exons if settings.is_coding_only else transcript.exons
        chromosome, strand = transcript.interval.chromosome, transcript.interval.strand
        found.update((chromosome, start, end, strand) for start, end in introns_of(exons))
    return [Interval(*span) for span in sorted(found)]


def _splice_words(genome: Genome, introns: list[Interval]) -> list[str]:
    """Return ``GT-AG`` or the like for each intron, which are sorted by chromosome."""
    words = []
    for chromosome, group in groupby(introns, key=lambda intron: intron.chromosome):
        spans = list(group)
        starts, ends = np.array([(intron.start, intron.end) for intron in spans]).T
        is_minus = np.array([intron.strand == "-" for intron in spans])
        places = np.stack([starts, starts + 1, ends - 2, ends - 1], axis=1)
        sites = genome.sequence(chromosome)[places]
        sites[is_minus] = reverse_complement(sites[is_minus])
        text = decode(sites.ravel())
        words += [f"{text[at : at + 2]}-{text[at + 2 : at + 4]}" for at in range(0, len(text), 4)]
    return words


_CODON = np.array([25, 5, 1])
"""Weights that make a number of the ids of a codon, N included."""
_ATG = int(_CODON @ encode("ATG"))
_STOPS = [int(_CODON @ encode(stop)) for stop in STOPS]


def _coding_sequence(genome: Genome, transcript: Transcript) -> Ids:
    """Return the coding bases in reading direction, from the first on."""
    exons = transcript.coding_exons[:: -1 if transcript.interval.strand == "-" else 1]
    return np.concatenate([genome.fetch(exon) for exon in exons])


def _faults(ids: Ids, phase: int) -> tuple[bool, bool, bool, bool]:
    """Return whether a CDS is no multiple of three, has no start, no stop, and a stop before its end."""
    is_in_threes = (len(ids) - phase) % 3 == 0
    codons = ids[phase : phase + (len(ids) - phase) // 3 * 3].reshape(-1, 3) @ _CODON
    is_stop = np.isin(codons, _STOPS)
    has_start = phase == 0 and codons[:1].tolist() == [_ATG]
    has_stop = is_in_threes and bool(is_stop[-1:].any())
    return not is_in_threes, not has_start, not has_stop, bool(is_stop[:-1].any())
