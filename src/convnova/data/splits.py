"""Which parts of a genome are trained on, and which are held out for validation and for test."""

from pathlib import Path
from typing import Literal

from convnova.data.windows import WindowSettings
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.bed import read_split_bed

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
HELD_OUT_SHARE = 0.05


def split_regions(genome: Genome, settings: WindowSettings) -> dict[Split, list[Interval]]:
    """Return the regions of each split; no base is in two of them.

    They are the rows of the interval file, or whole chromosomes. Where neither is given, parts of about 5 %
    of the genome are held out for validation and for test: whole chromosomes when there are at least four,
    else the end of the longest chromosome.

    Raises:
        InputError: for a held-out chromosome that the genome does not have, or intervals of two splits that
            overlap.
    """
    if settings.intervals is not None:
        return _from_file(settings.intervals, genome)
    validation, test = settings.validation_chromosomes, settings.test_chromosomes
    if not validation and not test:
        if len(genome.chromosome_sizes) < 4:
            return _split_longest_chromosome(genome)
        target = HELD_OUT_SHARE * genome.total_bp
        sizes = genome.chromosome_sizes
        by_distance = sorted(sizes, key=lambda name: abs(sizes[name] - target))
        validation, test = by_distance[:1], by_distance[1:2]
    train = [name for name in genome.chromosome_sizes if name not in {*validation, *test}]
    by_name: dict[Split, list[str]] = {"train": train, "validation": validation, "test": test}
    return {split: [_whole(genome, name) for name in names] for split, names in by_name.items()}


def _from_file(path: Path, genome: Genome) -> dict[Split, list[Interval]]:
    by_split = read_split_bed(path, genome)
    in_order = sorted(
        ((interval, split) for split, intervals in by_split.items() for interval in intervals),
        key=lambda row: (row[0].chromosome, row[0].start),
    )
    farthest: dict[str, Interval] = {}  # of each split, the interval that reaches farthest so far
    for interval, split in in_order:
        for other_split, other in farthest.items():
            if other_split != split and interval.overlaps(other):
                raise InputError(
                    f"{path}: {other} ({other_split}) and {interval} ({split}) overlap, "
                    "so what is held out would be trained on; cut one of them"
                )
        last = farthest.get(split)
        if last is None or last.chromosome != interval.chromosome or last.end < interval.end:
            farthest[split] = interval
    return {split: by_split[split] for split in SPLITS}


def _whole(genome: Genome, chromosome: str) -> Interval:
    genome.index_of(chromosome)  # says which names there are when this is none of them
    return Interval(chromosome, 0, genome.chromosome_sizes[chromosome])


def _split_longest_chromosome(genome: Genome) -> dict[Split, list[Interval]]:
    longest = max(genome.chromosome_sizes, key=genome.chromosome_sizes.__getitem__)
    size = genome.chromosome_sizes[longest]
    part = int(HELD_OUT_SHARE * size)
    others = [_whole(genome, name) for name in genome.chromosome_sizes if name != longest]
    return {
        "train": [*others, Interval(longest, 0, size - 2 * part)],
        "validation": [Interval(longest, size - 2 * part, size - part)],
        "test": [Interval(longest, size - part, size)],
    }
