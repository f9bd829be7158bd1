"""Genomes and what is known about them: sequence, intervals, BED files."""

from convnova.genome.bed import read_bed, read_split_bed
from convnova.genome.genome import Genome, Windows
from convnova.genome.interval import Interval

__all__ = [
    "Genome",
    "Interval",
    "Windows",
    "read_bed",
    "read_split_bed",
]
