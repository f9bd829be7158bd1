"""Genes in a random genome, and emissions for them as a trained network gives them.

L length in bp.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.sequence import Ids, encode, reverse_complement

START, STOP, MINUS, INTERGENIC, CLASSES = 6, 7, 8, 16, 17
STOPS = ("TAA", "TAG", "TGA")


class Simulated(NamedTuple):
    """A random sequence with genes in it."""

    ids: Ids
    """(L,)"""
    classes: NDArray[np.int8]
    """Emission column of each base, (L,)."""
    genes: list[tuple[str, tuple[tuple[int, int], ...]]]
    """Strand and coding exons of each gene, from left to right."""


def simulate(length: int, rng: np.random.Generator, gap_bp: int = 1500, exon_bp: int = 400) -> Simulated:
    """Return genes of one to four exons on random strands, with exponentially distributed gaps and exons."""
    ids = rng.integers(0, 4, length, dtype=np.uint8)
    classes = np.full(length, INTERGENIC, dtype=np.int8)
    genes = []
    position = 0
    while True:
        gene, columns, exons = _gene(rng, exon_bp)
        position += 1 + int(rng.exponential(gap_bp))
        end = position + len(gene)
        if end > length:
            return Simulated(ids, classes, genes)
        strand = "+-"[int(rng.integers(2))]
        if strand == "-":
            gene, columns = reverse_complement(gene), columns[::-1] + MINUS
            exons = [(len(gene) - right, len(gene) - left) for left, right in exons[::-1]]
        ids[position:end], classes[position:end] = gene, columns
        genes.append((strand, tuple((position + left, position + right) for left, right in exons)))
        position = end


def _gene(rng: np.random.Generator, exon_bp: int) -> tuple[Ids, NDArray[np.int8], list[tuple[int, int]]]:
    """Return a gene on strand +: its bases, its classes and its exons."""
    parts = 1 + rng.integers(4)
    codons = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]
    inner = rng.choice(codons, 20 + int(rng.exponential(exon_bp * parts / 3)))
    coding = encode("ATG" + "".join(inner) + str(rng.choice(STOPS)))
    frame = (np.arange(len(coding)) % 3).astype(np.int8)
    frame[0], frame[-1] = START, STOP
    cuts = np.sort(rng.choice(np.arange(3, len(coding) - 6, 4), parts - 1, replace=False))
    ids, columns, exons, at = [], [], [], 0
    for index, (exon, exon_columns) in enumerate(
        zip(np.split(coding, cuts), np.split(frame, cuts), strict=True)
    ):
        if index:
            inside = rng.integers(0, 4, 40 + int(rng.exponential(60)), dtype=np.uint8)
            ids.append(np.concatenate([encode("GT"), inside, encode("AG")]))
            columns.append(np.r_[np.int8(3), np.full(len(inside) + 2, 4, dtype=np.int8), np.int8(5)])
            at += len(ids[-1])
        ids.append(exon)
        columns.append(exon_columns)
        exons.append((at, at + len(exon)))
        at += len(exon)
    return np.concatenate(ids), np.concatenate(columns), exons


def emissions_of(
    classes: NDArray[np.int8], rng: np.random.Generator, margin: float = 9.0, noise: float = 2.0
) -> NDArray[np.float32]:
    """Return log-probabilities (L, 17) that are peaked at the true class.

    Args:
        classes: of each base, (L,).
        rng: of the noise.
        margin: logits of the true class above the others, on average.
        noise: standard deviation of each logit.
    """
    logits = rng.standard_normal((len(classes), CLASSES), dtype=np.float32) * np.float32(noise)
    logits[np.arange(len(classes)), classes] += margin
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
