"""Genes to proteins, by hand and against Biopython."""

import numpy as np
import pytest

from convnova.genome import Genome, Interval
from convnova.inference.genes import GeneModel
from convnova.inference.genes.proteins import translate, write_proteins
from convnova.sequence import decode, encode

#            0         1         2         3
LETTERS = "CCATGGCTGTAAGGACCTGATTTTCACCATCCC"


def gene(strand, *exons, phase=0):
    return GeneModel("chr1", strand, tuple(Interval("chr1", *span, strand) for span in exons), 1.0, phase)


@pytest.mark.parametrize(
    ("one", "protein"),
    [
        (gene("+", (2, 8), (14, 20)), "MAT"),  # ATG GCT | ACC TGA
        (gene("+", (2, 7), (16, 20)), "MA"),  # ATG GC | C TGA
        (gene("-", (21, 30)), "MVK"),  # ATG GTG AAA
        (gene("-", (21, 25), (27, 30)), "ME"),  # ATG | GAA A
        (gene("+", (0, 8), phase=2), "MA"),
    ],
)
def test_a_gene_is_read_in_its_direction_from_its_first_whole_codon(tmp_path, one, protein):
    assert LETTERS[21:30] == "TTTCACCAT"
    (tmp_path / "g.fa").write_text(f">chr1\n{LETTERS}\n")
    genome = Genome.open(tmp_path / "g.fa")
    write_proteins([one], tmp_path / "p.faa", genome)
    assert (tmp_path / "p.faa").read_text() == f">chr1.g1.t1\n{protein}\n"


def test_unknown_bases_are_x_and_only_the_last_stop_is_dropped():
    assert translate(encode("ATGNNNTAAGGGTAG")) == "MX*G"
    assert translate(encode("ATGGG")) == "M"
    assert translate(encode("")) == ""


def test_matches_biopython():
    bio = pytest.importorskip("Bio.Seq")
    ids = np.random.default_rng(0).integers(0, 4, 30_000).astype(np.uint8)
    assert translate(ids) == str(bio.Seq(decode(ids)).translate()).removesuffix("*")
