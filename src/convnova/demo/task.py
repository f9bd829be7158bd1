"""The demo's task: is this ATG where translation starts, or just any ATG?

Every window has ATG in its middle, so the triplet itself tells nothing and a model has to read around it:

        leader                      A T G  codon codon codon ...
    |<---- flank_bp ---->|center                                 |    window_bp = 2 flank_bp + 1
                          ^ the A, at index window_bp // 2

Real ones are the start codons of annotated genes. Decoys are drawn at random from all other ATGs of the same
chromosomes, both strands: about as many lie in genes as genes cover.

n windows, L window length in bp.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval
from convnova.sequence import Ids, encode, reverse_complement

ATG = encode("ATG")
STOPS = ("TAA", "TAG", "TGA")


class Site(NamedTuple):
    """The A of an ATG."""

    chromosome: str
    position: int
    """0-based, on the forward strand."""
    strand: str
    name: str
    """Name of the gene that starts here; empty for a decoy."""

    def window(self, flank_bp: int) -> Interval:
        """Return the window with the A in its middle."""
        start = self.position - flank_bp
        return Interval(self.chromosome, start, self.position + flank_bp + 1, self.strand, self.name)


class StartCodons(NamedTuple):
    """Windows of one split."""

    sites: list[Site]
    """n sites, real ones first."""
    sequences: LabelledSequences
    """Ids (n, L), and label 1 for annotated starts, 0 for decoys."""


def annotated_starts(genes: Sequence[Gene], chromosomes: Sequence[str]) -> list[Site]:
    """Return the first base of each coding sequence, one for each place and strand."""
    sites: dict[tuple[str, int, str], Site] = {}
    for gene in genes:
        for transcript in gene.transcripts:
            if transcript.coding_exons and gene.interval.chromosome in chromosomes:
                first, last = transcript.coding_exons[0], transcript.coding_exons[-1]
                position, strand = (last.end - 1, "-") if first.strand == "-" else (first.start, "+")
                place = (first.chromosome, position, strand)
                sites.setdefault(place, Site(*place, gene.name))
    return list(sites.values())


def atg_positions(genome: Genome, chromosome: str) -> dict[str, NDArray[np.int64]]:
    """Return the place of the A of each ATG of a chromosome, on the forward strand, by strand."""
    forward = genome.sequence(chromosome)
    opposite = reverse_complement(ATG)  # its last base pairs with the A
    return {"+": _occurrences(forward, ATG), "-": _occurrences(forward, opposite) + len(ATG) - 1}


def start_codons(
    genome: Genome,
    genes: Sequence[Gene],
    chromosomes: Sequence[str],
    flank_bp: int,
    decoys_per_start: int,
    seed: int,
) -> StartCodons:
    """Return the windows of all annotated ATG starts on some chromosomes, and of random other ATGs.

    Left out are starts that are no ATG, and sites whose window leaves the chromosome.

    Raises:
        InputError: when there is no start or no decoy.
    """
    starts = annotated_starts(genes, chromosomes)
    sites = [site for site in starts if _is_usable(site, genome, flank_bp)]
    n_starts = len(sites)
    places = [
        (chromosome, int(position), strand)
        for chromosome in chromosomes
        for strand, positions in atg_positions(genome, chromosome).items()
        for position in positions
    ]
    is_start = {site[:3] for site in starts}
    for index in np.random.default_rng(seed).permutation(len(places)):
        if len(sites) == (1 + decoys_per_start) * n_starts:
            break
        chromosome, position, strand = places[index]
        site = Site(chromosome, position, strand, "")
        if places[index] not in is_start and _is_usable(site, genome, flank_bp):
            sites.append(site)
    if not 0 < n_starts < len(sites):
        raise InputError(
            f"{', '.join(chromosomes)}: {n_starts} annotated ATG starts and {len(sites) - n_starts} other "
            f"ATGs with {flank_bp} bp on both sides; give chromosomes with both"
        )
    ids = np.stack([genome.fetch(site.window(flank_bp)) for site in sites])
    labels = (np.arange(len(sites)) < n_starts).astype(np.int64)
    return StartCodons(sites, LabelledSequences(pack(ids), labels))


def open_codons(ids: Ids) -> NDArray[np.int64]:
    """Return how many codons from the middle ATG on come before an in-frame stop or the end, (n,)."""
    is_stop = in_frame_stops(ids)
    return np.where(is_stop.any(axis=1), is_stop.argmax(axis=1), is_stop.shape[1])


def in_frame_stops(ids: Ids) -> NDArray[np.bool_]:
    """Return which codons from the middle on are TAA, TAG or TGA; windows (n, L) to (n, codons)."""
    coding = ids[:, ids.shape[1] // 2 :]
    codons = coding[:, : coding.shape[1] // 3 * 3].reshape(len(ids), -1, 3)
    stops = np.stack([encode(stop) for stop in STOPS])
    return (codons[:, :, None] == stops).all(axis=3).any(axis=2)


def _occurrences(ids: Ids, word: Ids) -> NDArray[np.int64]:
    if len(ids) < len(word):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero((np.lib.stride_tricks.sliding_window_view(ids, len(word)) == word).all(axis=1))


def _is_usable(site: Site, genome: Genome, flank_bp: int) -> bool:
    window = site.window(flank_bp)
    is_inside = window.start >= 0 and window.end <= genome.chromosome_sizes[site.chromosome]
    return is_inside and bool((genome.fetch(window)[flank_bp : flank_bp + 3] == ATG).all())
