"""The task's windows, split by chromosome: all of them, and the few of the second comparison."""

import time
from typing import NamedTuple

import numpy as np

from convnova.data.labelled import LabelledSequences, without_duplicates
from convnova.demo.settings import DemoSettings
from convnova.demo.steps import Steps
from convnova.demo.task import StartCodons, start_codons
from convnova.genome import Gene, Genome


class Task(NamedTuple):
    """What there is to learn."""

    splits: dict[str, StartCodons]
    """Windows of train, validation and test."""
    duplicates: int
    """Training windows left out because they are in a held-out part too."""


def build_task(
    genome: Genome, genes: list[Gene], held_out: dict[str, list[str]], settings: DemoSettings, steps: Steps
) -> Task:
    """Return the windows of each split, training windows without those of the held-out parts.

    Args:
        genome: where the windows lie.
        genes: their starts are the real ones.
        held_out: chromosomes of validation and test; all others are for training.
        settings: of the demo.
        steps: gets the time that it took.
    """
    began = time.perf_counter()
    others = {name for names in held_out.values() for name in names}
    chromosomes = {"train": [name for name in genome.chromosome_sizes if name not in others], **held_out}
    splits = {
        split: start_codons(
            genome, genes, names, settings.flank_bp, settings.decoys_per_start, settings.seed + number
        )
        for number, (split, names) in enumerate(chromosomes.items())
    }
    full = splits["train"].sequences
    train = without_duplicates(full, [splits["validation"].sequences, splits["test"].sequences])
    splits["train"] = splits["train"]._replace(sequences=train)
    steps.add("build the task", time.perf_counter() - began, False)
    for name, part in splits.items():
        decoys, starts = part.sequences.class_counts
        steps.console.print(
            f"  {name}: {starts:,} annotated starts, {decoys:,} other ATGs, "
            f"{2 * settings.flank_bp + 1} bp each"
        )
    return Task(splits, len(full) - len(train))


def few_sequences(train: StartCodons, settings: DemoSettings) -> LabelledSequences:
    """Return a random part of the training windows: few starts, and as many times the decoys as in all."""
    rng, labels = np.random.default_rng(settings.seed), train.sequences.labels
    wanted = {1: settings.few_starts, 0: settings.few_starts * settings.decoys_per_start}
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:most] for label, most in wanted.items()]
    return train.sequences.take(np.concatenate(drawn))
