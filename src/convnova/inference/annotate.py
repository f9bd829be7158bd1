"""`convnova annotate`: a genome to genes, as GFF3, and tracks of what the model says of each base.

Chromosomes are read tile by tile: the probabilities go into the tracks, and into a decoder that keeps only
what it needs to find the best genes. Memory does not grow with the genome, but for the genes themselves.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from convnova.console import log_console, progress_bar, say
from convnova.data.table import counted
from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval
from convnova.genome.annotation_files import read_annotation
from convnova.genome.bigwig import BigWigFile, bigwig_files
from convnova.inference.annotate_settings import AnnotateSettings
from convnova.inference.compute import make_ready
from convnova.inference.genes import Decoder, GeneModel, emissions, write_gff3
from convnova.inference.genes.proteins import write_proteins
from convnova.inference.genes.regions import agreement
from convnova.inference.genes.tables import LEGEND, gene_table
from convnova.inference.output_names import strand_in_words
from convnova.inference.saved_genes import GeneFinder, load_gene_finder
from convnova.inference.tiles import log_probabilities, predict_bases
from convnova.writing import make_folder, make_place


def annotate(settings: AnnotateSettings, console: Console | None = None) -> list[GeneModel]:
    """Return the genes that a gene finder sees in a genome, and write them.

    Raises:
        InputError: for a folder without such a model, one whose labels have no reading frame, a genome that
            cannot be read, or files that cannot be written.
    """
    console = console or log_console()
    finder = load_gene_finder(settings.model)
    check_decodable(finder, settings.model)
    genome = Genome.open(settings.genome, settings.cache)
    names = settings.chromosomes or genome.chromosome_sizes
    regions = [genome.chromosome(name) for name in names]
    sizes = {region.chromosome: region.width for region in regions}
    annotated = None
    if settings.annotation is not None:
        annotated = read_annotation(settings.annotation, genome, settings.unknown_chromosomes)
    make_ready(finder.model, settings)
    inputs = (settings.genome, settings.annotation)
    make_place(settings.output, *inputs)
    if settings.proteins is not None:
        make_place(settings.proteins, settings.output, *inputs)
    with (
        _tracks(settings, finder, sizes) as tracks,
        progress_bar(console, "annotating", sum(sizes.values())) as advance,
    ):
        genes: list[GeneModel] = []
        for name in sizes:
            genes += _annotate_one(settings, finder, genome, name, tracks, advance)
    write_gff3(genes, settings.output, sizes)
    if settings.proteins is not None:
        write_proteins(genes, settings.proteins, genome)
    exons = sum(len(gene.coding_exons) for gene in genes)
    say(console, f"{genome.path.name}: {len(genes):,} genes with {exons:,} exons -> {settings.output}")
    if annotated is not None:
        say(console, f"against {settings.annotation}:")
        _compare(console, genes, annotated, regions, finder.saved.seen_of(genome, sizes))
    if settings.proteins is not None:
        say(console, f"proteins: {settings.proteins}")
    if settings.tracks is not None:
        say(console, f"probabilities of each label: {settings.tracks}")
    return genes


def _compare(
    console: Console,
    genes: Sequence[GeneModel],
    annotated: Sequence[Gene],
    regions: Sequence[Interval],
    seen: Sequence[str],
) -> None:
    """Print how genes agree with known ones, on chromosomes that were seen in training apart."""
    for what, is_seen in (("new to the model", False), ("trained or chosen on, so no test", True)):
        part = [region for region in regions if (region.chromosome in seen) == is_seen]
        if part:
            title = f"{counted(len(part), 'chromosome')} {what}" if seen else ""
            console.print(gene_table(title, agreement(genes, annotated, part)))
    say(console, LEGEND)


def check_decodable(finder: GeneFinder, folder: Path) -> None:
    """Check that a model's labels say where genes code.

    Raises:
        InputError: when they do not.
    """
    if not finder.saved.has_coding_exons:
        raise InputError(
            f"{folder}: its exons hold untranslated regions, so genes have no reading frame to decode; "
            "fine-tune with labels.exons coding, or with label set coding or frame"
        )


def decoder_input(probabilities: NDArray[np.float32], labels: Sequence[str]) -> NDArray[np.float32]:
    """Return what a `Decoder` is fed, (L, 17), of the probabilities of each base's labels, (L, K)."""
    return emissions(log_probabilities(probabilities), labels)


def _annotate_one(
    settings: AnnotateSettings,
    finder: GeneFinder,
    genome: Genome,
    name: str,
    tracks: list[BigWigFile],
    advance: Callable[[int], None],
) -> list[GeneModel]:
    """Return the genes of one chromosome, and add its probabilities to the tracks."""
    labels, decoder = finder.saved.labels, Decoder(name, finder.saved.decoder(settings.decoder))
    both = finder.saved.average_strands if settings.both_strands is None else settings.both_strands

    def fetch(start: int, end: int) -> NDArray[np.uint8]:
        return genome.fetch(Interval(name, start, end))

    opposite = np.array(labels.opposite) if both else None
    for tile in predict_bases(finder.model, fetch, genome.chromosome_sizes[name], opposite, settings.tile_bp):
        decoder.feed(decoder_input(tile.probabilities, labels.labels), tile.ids)
        if tracks:
            rounded = np.round(tile.probabilities / settings.track_step) * settings.track_step
            for column, track in enumerate(tracks):
                track.add(name, tile.start, rounded[:, column])
        advance(len(tile.ids))
    return decoder.finish()


@contextmanager
def _tracks(
    settings: AnnotateSettings, finder: GeneFinder, sizes: dict[str, int]
) -> Iterator[list[BigWigFile]]:
    """Give a bigWig file for each label, in their order; none where no folder is given."""
    if settings.tracks is None:
        yield []
        return
    make_folder(settings.tracks)
    names = [strand_in_words(label) for label in finder.saved.labels.labels]
    with bigwig_files([settings.tracks / f"{name}.bw" for name in names], sizes) as files:
        yield files
