"""A gene-finding task: the label of each base of the regions to train on, to choose on and to test on.

annotation + genome        chromosomes, or the regions of a BED file
GenBank                    records, each with its own sequence
base labels + regions      a row of an HDF5 file for each row of a BED file (BEND's form)
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings, LabelSet, label_regions
from convnova.data.base_overlap import STRETCH_BP, shared_shares
from convnova.data.base_windows import LabelledBases
from convnova.data.bend import read_bend
from convnova.data.gene_checks import coding_checks, splice_sites
from convnova.data.gene_settings import GeneDataSettings
from convnova.data.splits import SPLITS, Split, split_regions
from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval
from convnova.genome.annotation_files import annotation_format, read_annotation
from convnova.genome.files import at_place
from convnova.genome.genbank import genbank_sequences

Parts = dict[Split, LabelledBases]


class GeneTask(NamedTuple):
    """What a gene finder learns, is chosen and is tested on."""

    parts: Parts
    """Train and validation always, test where there is one."""
    genes: dict[Split, list[Gene]]
    """Annotated genes that overlap the regions of each part; none where only labels are given."""
    label_set: LabelSet
    has_coding_exons: bool
    """Whether exons are coding ones, so that genes have a reading frame."""
    notes: tuple[str, ...]
    """What was found, one sentence each."""


class _Annotated(NamedTuple):
    """A genome with its genes."""

    annotation: Path
    genome: Genome
    genes: list[Gene]
    is_records: bool
    """Whether its sequences are single loci, as in GenBank, and no chromosomes."""


def load_gene_task(data: GeneDataSettings, labels: GeneLabelSettings, seed: int = 0) -> GeneTask:
    """Return the parts of a gene-finding task.

    Args:
        data: where genes and sequences come from, and what is held out.
        labels: how genes become labels.
        seed: draws the validation records of a GenBank file.

    Raises:
        InputError: when a file is wrong, they do not fit each other, or a part has no gene.
    """
    if data.base_labels is not None:
        return _published(data)
    assert data.annotation is not None
    source = _read(data, data.annotation, data.genome, "genome")
    notes = _checks(source, labels)
    is_drawn = source.is_records and not (
        data.intervals or data.validation_chromosomes or data.test_chromosomes
    )
    cut = _record_regions if is_drawn else _chromosomes
    regions = cut(source.genome, data, seed)
    for split in SPLITS[:2]:
        if split not in regions:
            raise InputError(
                f"{data.intervals or source.genome.path}: nothing is left for the {split} part; "
                "hold out other chromosomes or regions"
            )
    parts, genes = _parts(source, regions, labels)
    if data.test_annotation is not None:
        test = _read(data, data.test_annotation, data.test_genome or data.genome, "test_genome")
        notes += _checks(test, labels)
        if _sequences(test.genome) <= _sequences(source.genome):
            raise InputError(
                f"{data.test_annotation}: its genes lie on the genome that is trained on; "
                "hold out chromosomes with test_chromosomes instead"
            )
        whole: dict[Split, list[Interval]] = {"test": test.genome.chromosomes}
        test_parts, test_genes = _parts(test, whole, labels)
        parts, genes = parts | test_parts, genes | test_genes
    for split, found in genes.items():
        if not found:
            file = data.test_annotation if split == "test" and data.test_annotation else data.annotation
            raise InputError(
                f"{file}: no gene lies in the {split} part; hold out other chromosomes or records"
            )
    notes += _shared(parts)
    return GeneTask(parts, genes, LABEL_SETS[labels.label_set], labels.has_coding_exons, tuple(notes))


def _sequences(genome: Genome) -> set[str]:
    """Return the checksums of its chromosomes, whatever their names and their case."""
    return {genome.chromosome_checksum(region.chromosome) for region in genome.chromosomes}


def _shared(parts: Parts) -> list[str]:
    """Return how much of each held-out part is in train too, a sentence each."""
    held_out = [split for split in SPLITS[1:] if split in parts]
    shares = shared_shares([parts[split] for split in held_out], parts["train"])
    return [
        f"{split}: {share:.1%} of its stretches of {STRETCH_BP} bp are in train too, on either strand"
        for split, share in zip(held_out, shares, strict=True)
    ]


def _read(data: GeneDataSettings, annotation: Path, fasta: Path | None, setting: str) -> _Annotated:
    """Return the genes of a file and the genome that they lie on."""
    if annotation_format(annotation) == "GenBank":
        if fasta is not None and setting != "test_genome":
            raise InputError(f"{annotation}: GenBank brings its own sequences; leave {setting} out")
        genome = Genome.of_sequences(annotation, genbank_sequences(annotation))
        return _Annotated(annotation, genome, read_annotation(annotation, genome), is_records=True)
    if fasta is None:
        raise InputError(f"{annotation}: it needs the sequences that its genes lie on; give --{setting}")
    genome = Genome.open(fasta, data.cache)
    genes = read_annotation(annotation, genome, data.unknown_chromosomes)
    return _Annotated(annotation, genome, genes, is_records=False)


def _checks(source: _Annotated, labels: GeneLabelSettings) -> list[str]:
    """Return what an annotation looks like on its genome, in sentences."""
    with at_place(str(source.annotation)):
        sites = splice_sites(source.genes, source.genome, labels)
        coding = coding_checks(source.genes, source.genome, labels)
    if not coding.n_transcripts and (labels.has_coding_exons or not labels.label_noncoding_genes):
        raise InputError(
            f"{source.annotation}: none of its {len(source.genes):,} genes has CDS, so there is nothing to "
            "learn; give an annotation with CDS, or set --labels.exons annotated and "
            "--labels.label_noncoding_genes true"
        )
    return [f"{source.genome.path.name}: {len(source.genes):,} genes", str(sites), str(coding)]


def _chromosomes(genome: Genome, data: GeneDataSettings, seed: int) -> dict[Split, list[Interval]]:
    """Return whole chromosomes, or the rows of a file, by part; no test where it is another file."""
    regions = split_regions(genome, data)
    if data.test_annotation is not None:
        regions["train"] += regions.pop("test")
    # Genes have a strand, stretches of a genome have none: their labels are those of strand +.
    return {
        split: [Interval(region.chromosome, region.start, region.end) for region in found]
        for split, found in regions.items()
        if found
    }


def _record_regions(genome: Genome, data: GeneDataSettings, seed: int) -> dict[Split, list[Interval]]:
    """Return the records by part, a share of them drawn for validation, and as many for test if need be."""
    records = genome.chromosomes
    held_out = max(1, round(data.validation_share * len(records)))
    sizes = [held_out, held_out if data.test_annotation is None else 0]
    if sum(sizes) >= len(records):
        raise InputError(
            f"{genome.path}: {len(records)} records leave none to train on; give more, "
            "or lower validation_share"
        )
    order = [records[index] for index in np.random.default_rng(seed).permutation(len(records))]
    validation, test, train = order[:held_out], order[held_out : sum(sizes)], order[sum(sizes) :]
    regions: dict[Split, list[Interval]] = {"train": train, "validation": validation, "test": test}
    return {split: found for split, found in regions.items() if found}


def _parts(
    source: _Annotated, regions: dict[Split, list[Interval]], labels: GeneLabelSettings
) -> tuple[Parts, dict[Split, list[Gene]]]:
    parts: Parts = {}
    for split in SPLITS:
        if split in regions:
            found = tuple(regions[split])
            rows = label_regions(source.genes, source.genome.chromosome_sizes, found, labels)
            parts[split] = LabelledBases(source.genome, found, rows)
    return parts, {split: overlapping(source.genes, part.regions) for split, part in parts.items()}


def overlapping(genes: Sequence[Gene], regions: Sequence[Interval]) -> list[Gene]:
    """Return the genes that share a base or more with one of some regions."""
    starts, ends = defaultdict(list), defaultdict(list)
    for region in regions:
        starts[region.chromosome].append(region.start)
        ends[region.chromosome].append(region.end)
    for places in (*starts.values(), *ends.values()):
        places.sort()
    found = []
    for gene in genes:
        body = gene.interval
        begun = bisect_left(starts[body.chromosome], body.end)
        if begun > bisect_right(ends[body.chromosome], body.start):
            found.append(gene)
    return found


def _published(data: GeneDataSettings) -> GeneTask:
    """Return the task of BEND's files."""
    assert data.base_labels is not None
    assert data.intervals is not None
    assert data.genome is not None
    label_set = LABEL_SETS["bend"]
    genome = Genome.open(data.genome, data.cache)
    parts = read_bend(data.intervals, data.base_labels, genome, len(label_set.labels))
    if missing := [split for split in SPLITS[:2] if split not in parts]:
        raise InputError(f"{data.intervals}: no row of split {missing[0]}; give some")
    counts = ", ".join(f"{len(part.regions):,} {split}" for split, part in parts.items())
    notes = (f"{data.base_labels.name}: regions {counts}", *_shared(parts))
    return GeneTask(parts, {}, label_set, False, notes)
