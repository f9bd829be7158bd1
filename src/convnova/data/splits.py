"""Which parts of a genome are trained on, and which are held out for validation and for test."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.bed import read_split_bed

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
HELD_OUT_SHARE = 0.05


class HeldOut(Protocol):
    """What of a genome is held out, as the settings of several commands say it."""

    @property
    def intervals(self) -> Path | None:
        """BED file with a fourth column train, valid or test."""

    @property
    def validation_chromosomes(self) -> list[str]:
        """Chromosomes for validation."""

    @property
    def test_chromosomes(self) -> list[str]:
        """Chromosomes for test."""


def check_chromosomes(validation: Iterable[str], test: Iterable[str]) -> None:
    """Check that no chromosome is held out twice.

    Raises:
        InputError: when one is.
    """
    if both := set(validation) & set(test):
        raise InputError(f"{', '.join(sorted(both))} cannot be held out for validation and for test at once")


def split_regions(genome: Genome, settings: HeldOut) -> dict[Split, list[Interval]]:
    """Return the regions of each split; no base is in two of them.

    They are the rows of the interval file, or whole chromosomes. Where neither is given, about 5 % of the
    genome are held out for validation and 5 % for test: whole chromosomes or contigs where some have a
    fitting size, else the end of the longest chromosome.

    Raises:
        InputError: for a held-out chromosome that the genome does not have, or intervals of two splits that
            overlap.
    """
    if settings.intervals is not None:
        return _from_file(settings.intervals, genome)
    validation, test = settings.validation_chromosomes, settings.test_chromosomes
    if not validation and not test:
        validation, test = _fitting_chromosomes(genome)
        if not test:
            return _split_longest_chromosome(genome)
    train = [name for name in genome.chromosome_sizes if name not in {*validation, *test}]
    by_name: dict[Split, list[str]] = {"train": train, "validation": validation, "test": test}
    return {split: [genome.chromosome(name) for name in names] for split, names in by_name.items()}


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


def _fitting_chromosomes(genome: Genome) -> tuple[list[str], list[str]]:
    """Return chromosomes for validation and for test, each 2.5 to 15 % of the genome, or none at all.

    Those nearest to 5 % come first; small contigs are added up.
    """
    sizes, target = genome.chromosome_sizes, HELD_OUT_SHARE * genome.total_bp
    small = [name for name in sizes if sizes[name] <= 3 * target]
    waiting = sorted(small, key=lambda name: abs(sizes[name] - target))
    parts: list[list[str]] = []
    for _ in range(2):
        part: list[str] = []
        while waiting and sum(sizes[name] for name in part) < target / 2:
            part.append(waiting.pop(0))
        parts.append(part)
    is_enough = sum(sizes[name] for name in parts[1]) >= target / 2
    return (parts[0], parts[1]) if is_enough else ([], [])


def _split_longest_chromosome(genome: Genome) -> dict[Split, list[Interval]]:
    longest = max(genome.chromosome_sizes, key=genome.chromosome_sizes.__getitem__)
    size = genome.chromosome_sizes[longest]
    part = int(min(HELD_OUT_SHARE * genome.total_bp, size / 4))
    others = [one for one in genome.chromosomes if one.chromosome != longest]
    return {
        "train": [*others, Interval(longest, 0, size - 2 * part)],
        "validation": [Interval(longest, size - 2 * part, size - part)],
        "test": [Interval(longest, size - part, size)],
    }
