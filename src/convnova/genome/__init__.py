"""Genomes and what is known about them: sequence, intervals, BED files, gene annotation."""

from convnova.genome.genome import Genome, Windows
from convnova.genome.interval import Interval

__all__ = ["Genome", "Interval", "Windows"]
