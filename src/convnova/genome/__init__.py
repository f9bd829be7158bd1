"""Genomes and what is known about them: sequence, intervals, BED files, gene annotation."""

from convnova.genome.annotation import Gene, Transcript, read_gff3
from convnova.genome.bed import read_bed, read_split_bed
from convnova.genome.genome import Genome, Windows
from convnova.genome.interval import Interval

__all__ = [
    "Gene",
    "Genome",
    "Interval",
    "Transcript",
    "Windows",
    "read_bed",
    "read_gff3",
    "read_split_bed",
]
