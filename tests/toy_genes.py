"""A toy genome whose genes a tiny network learns in seconds, as FASTA with GFF3, GTF or GenBank.

Between genes all letters are alike; exons are rich in G, introns in T (on strand - in C and A), introns begin
with GT and end with AG, and genes run from ATG to TGA.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from convnova.data.base_windows import BaseWindowSettings
from convnova.genome import Gene
from convnova.sequence import reverse_complement_text
from convnova.training.gene_settings import GeneFindingSettings, GeneNetworkSettings, GeneTrainingSettings
from convnova.training.settings import OptimizerSettings

torch.set_num_threads(1)  # a tiny network is no faster with more

CHROMOSOMES = ("chr2", "chr10", "chr1", "chr3")
TINY_NETWORK = {"hidden_size": 8, "kernel_size": 5, "dilations": [1, 2, 4], "dropout": 0.05}


class ToyGene(NamedTuple):
    """A gene that codes from end to end."""

    chromosome: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    """0-based and half-open, in genomic order."""


def make_chromosome(name: str, bp: int, seed: int) -> tuple[str, list[ToyGene]]:
    """Return letters and genes of a chromosome of at least `bp`."""
    rng = np.random.default_rng(seed)
    text, genes = _letters(rng, "ACGT", 40), []
    while len(text) < bp:
        gene, exons = _gene(rng)
        strand = str(rng.choice(list("+-")))
        if strand == "-":
            exons = [(len(gene) - end, len(gene) - start) for start, end in reversed(exons)]
            gene = reverse_complement_text(gene)
        genes.append(
            ToyGene(name, strand, tuple((len(text) + start, len(text) + end) for start, end in exons))
        )
        text += gene + _letters(rng, "ACGT", int(rng.integers(40, 90)))
    return text, genes


def _gene(rng: np.random.Generator) -> tuple[str, list[tuple[int, int]]]:
    """Return letters and exons of a gene on strand +."""
    coding = "ATG" + "".join(rng.choice(["GGG", "GAG", "GGA", "AGG"], rng.integers(24, 40))) + "TGA"
    cuts = sorted(rng.choice(np.arange(1, len(coding) // 20), rng.integers(0, 3), replace=False) * 20)
    text, exons = "", []
    for start, end in zip([0, *cuts], [*cuts, len(coding)], strict=True):
        text += "GT" + _letters(rng, "TTTA", int(rng.integers(24, 40))) + "AG" if exons else ""
        exons.append((len(text), len(text) + end - start))
        text += coding[start:end]
    return text, exons


def _letters(rng: np.random.Generator, alphabet: str, n: int) -> str:
    return "".join(rng.choice(list(alphabet), n))


def make_genome(bp: int = 1500) -> tuple[dict[str, str], list[ToyGene]]:
    """Return letters by chromosome, which are in no order of the alphabet, and all genes."""
    made = {name: make_chromosome(name, bp, seed) for seed, name in enumerate(CHROMOSOMES)}
    return {name: text for name, (text, _) in made.items()}, [g for _, genes in made.values() for g in genes]


def coding(genes: list[Gene]) -> list[ToyGene]:
    """Return genes that were read, as they are made here."""
    return [
        ToyGene(
            gene.interval.chromosome,
            gene.interval.strand,
            tuple((exon.start, exon.end) for exon in gene.transcripts[0].coding_exons),
        )
        for gene in genes
    ]


def write_fasta(path: Path, letters: dict[str, str]) -> Path:
    """Write a genome."""
    path.write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    return path


def write_gff3(path: Path, genes: list[ToyGene]) -> Path:
    """Write genes with gene, mRNA and CDS."""
    lines = ["##gff-version 3"]
    for number, gene in enumerate(genes):
        spans = [(gene.exons[0][0], gene.exons[-1][1])] * 2 + list(gene.exons)
        kinds = [("gene", f"ID=g{number}"), ("mRNA", f"ID=t{number};Parent=g{number}")]
        kinds += [("CDS", f"Parent=t{number}")] * len(gene.exons)
        for (start, end), (kind, attributes) in zip(spans, kinds, strict=True):
            columns = (gene.chromosome, "toy", kind, start + 1, end, ".", gene.strand, ".", attributes)
            lines.append("\t".join(map(str, columns)))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_gtf(path: Path, genes: list[ToyGene]) -> Path:
    """Write genes as CDS alone, on chromosomes without `chr`."""
    lines = []
    for number, gene in enumerate(genes):
        for start, end in gene.exons:
            ids = f'gene_id "g{number}"; transcript_id "t{number}";'
            place = (gene.chromosome.removeprefix("chr"), "toy", "CDS", start + 1, end, ".", gene.strand)
            lines.append("\t".join(map(str, (*place, ".", ids))))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_genbank(path: Path, n: int, seed: int = 0) -> Path:
    """Write records with a gene or two each."""
    records = []
    for number in range(n):
        text, genes = make_chromosome(f"locus{number}", 120, 100 * seed + number)
        lines = [
            f"LOCUS       locus{number}   {len(text)} bp  DNA",
            "FEATURES             Location/Qualifiers",
        ]
        for index, gene in enumerate(genes):
            joined = f"join({','.join(f'{start + 1}..{end}' for start, end in gene.exons)})"
            place = joined if gene.strand == "+" else f"complement({joined})"
            lines += [f"     CDS             {place}", f'                     /gene="g{number}.{index}"']
        lines.append("ORIGIN")
        lines += [f"{start + 1:>9} {text[start : start + 60].lower()}" for start in range(0, len(text), 60)]
        records.append("\n".join([*lines, "//\n"]))
    path.write_text("".join(records))
    return path


def training(**changes) -> GeneTrainingSettings:
    """Return how to train: a few steps, unless told."""
    plain = GeneTrainingSettings(
        optimizer=OptimizerSettings(learning_rate=1e-2, weight_decay=0.1),
        epochs=6,
        batch_windows=8,
        weight_averaging=0.9,
        precision="fp32",
        log_steps=5,
        evaluations=2,
        trackers=[],
        workers=0,
    )
    return replace(plain, **changes)


def settings(folder: Path, output: Path, **changes) -> GeneFindingSettings:
    """Return the settings of a run on the genome that `write_all` put into a folder."""
    values = {
        "genome": folder / "g.fa",
        "annotation": folder / "g.gff3",
        "validation_chromosomes": ["chr10"],
        "test_chromosomes": ["chr1"],
        "windows": BaseWindowSettings(window_bp=64),
        "network": GeneNetworkSettings(**TINY_NETWORK),
        "training": training(),
    }
    return GeneFindingSettings(output=output, **values | changes)


def write_all(folder: Path, bp: int = 1500) -> list[ToyGene]:
    """Write g.fa and g.gff3, and return the genes."""
    letters, genes = make_genome(bp)
    write_fasta(folder / "g.fa", letters)
    write_gff3(folder / "g.gff3", genes)
    return genes
