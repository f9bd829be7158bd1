"""Sequences full of codons and splice sites, and emissions for them."""

import numpy as np

from convnova.inference.genes import Decoder
from convnova.sequence import encode

WORDS = [
    "ATG",
    "TAA",
    "TAG",
    "TGA",
    "CAT",
    "TTA",
    "CTA",
    "TCA",
    "GT",
    "AG",
    "CT",
    "AC",
    "GC",
    "T",
    "TA",
    "TG",
]


def random_case(rng, length):
    """Return emissions and ids: half of the bases are of words that matter, and a few are N."""
    words = []
    while sum(map(len, words)) < length:
        words.append(str(rng.choice(WORDS)) if rng.random() < 0.5 else str(rng.choice(list("ACGT"))))
        if rng.random() < 0.01:
            words.append("N")
    ids = encode("".join(words)[:length])
    logits = rng.normal(scale=rng.choice([0.3, 1, 3]), size=(length, 17))
    logits[:, 16] += rng.choice([-1.0, 0.0, 1.0])
    return np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32), ids


def decode_genes(emissions, ids, settings, chunks=()):
    """Return the genes of a sequence that is fed in chunks, cut at the given places."""
    decoder = Decoder("chr", settings)
    for part, part_ids in zip(np.split(emissions, chunks), np.split(ids, chunks), strict=True):
        decoder.feed(part, part_ids)
    return decoder.finish()


def plain(genes):
    return [(gene.strand, tuple((exon.start, exon.end) for exon in gene.coding_exons)) for gene in genes]
