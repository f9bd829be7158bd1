"""Genomes and what is known about them: sequence, intervals, BED files, gene annotation."""

from convnova.genome.annotation import Gene, Transcript
from convnova.genome.annotation_files import read_annotation
from convnova.genome.bed import read_bed, read_split_bed
from convnova.genome.genbank import genbank_sequences, read_genbank
from convnova.genome.genome import Genome, Windows
from convnova.genome.gff3 import read_gff3
from convnova.genome.gtf import read_gtf, read_old_gff
from convnova.genome.interval import Interval

__all__ = [
    "Gene",
    "Genome",
    "Interval",
    "Transcript",
    "Windows",
    "genbank_sequences",
    "read_annotation",
    "read_bed",
    "read_genbank",
    "read_gff3",
    "read_gtf",
    "read_old_gff",
    "read_split_bed",
]
