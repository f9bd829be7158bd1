"""What the counting gene finder says of starts and stops."""

import numpy as np
import pytest
from toy_genes import make_genome, write_all

from convnova.genome import Genome, Interval
from convnova.genome.annotation_files import read_annotation
from convnova.inference.genes import content_model
from convnova.inference.genes.content_model import fit_content_model
from convnova.inference.genes.emissions import INTERGENIC, MINUS, START, STOP
from convnova.sequence import encode, reverse_complement, reverse_complement_text

LETTERS, GENES = make_genome(900)

FIRST, LAST = -9, 6
"""Columns of the weight matrix, counted from the A of ATG."""
MIRRORED = [*range(MINUS, 2 * MINUS), *range(MINUS), INTERGENIC]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_all(folder, 900)
    genome = Genome.open(folder / "g.fa")
    regions = [Interval(name, 0, size) for name, size in genome.chromosome_sizes.items()]
    return fit_content_model(genome, regions, read_annotation(folder / "g.gff3", genome), order=2)


def test_pieces_and_regions_change_nothing(model, tmp_path, monkeypatch):
    write_all(tmp_path, 900)
    genome = Genome.open(tmp_path / "g.fa")
    genes = read_annotation(tmp_path / "g.gff3", genome)
    monkeypatch.setattr(content_model, "_STRETCH_BP", 100)
    pieces = fit_content_model(genome, genome.chromosomes, genes, order=2)
    np.testing.assert_allclose(pieces.content, model.content)
    for site, weights in model.sites.items():
        np.testing.assert_allclose(pieces.sites[site], weights)


def starts_of(name):
    """Return text and starts of a chromosome as written, and as read from the other strand."""
    text = LETTERS[name]
    genes = [gene for gene in GENES if gene.chromosome == name]
    yield text, [gene.exons[0][0] for gene in genes if gene.strand == "+"]
    backward = [len(text) - gene.exons[-1][1] for gene in genes if gene.strand == "-"]
    yield reverse_complement_text(text), backward


def slow_shares(windows):
    """Return the share of each base in each column, with one more of each."""
    counts = [
        [1 + sum(window[column] == base for window in windows) for base in "ACGT"] for column in range(15)
    ]
    return np.array(counts) / (len(windows) + 4)


def test_start_matrix_matches_bruteforce(model):
    found, alike = [], []
    for name in LETTERS:
        for text, starts in starts_of(name):
            windows = {at: text[at + FIRST : at + LAST] for at in range(-FIRST, len(text) - LAST + 1)}
            found += [windows[start] for start in starts]
            alike += [window for window in windows.values() if window[-FIRST:].startswith("ATG")]
    assert len(alike) > len(found) == len(GENES)
    found, alike = slow_shares(found), slow_shares(alike)
    expected = np.log(found / alike)
    for offset, base in enumerate("ATG"):  # says nothing where it is, and costs what it is rare where not
        expected[offset - FIRST] = np.log(found[offset - FIRST])
        expected[offset - FIRST, "ACGT".index(base)] = 0
    np.testing.assert_allclose(model.sites[START], expected)


def test_starts_are_codons_with_a_look_and_stops_are_codons(model):
    text = LETTERS["chr1"]
    emissions = model.emissions(encode(text))
    for at in range(-FIRST, len(text) - LAST):
        look = sum(
            model.sites[START][column, "ACGT".index(base)]
            for column, base in enumerate(text[at + FIRST : at + LAST])
        )
        assert emissions[at, START] == pytest.approx(emissions[at, 0] + look, abs=1e-4)
    for strand in (0, MINUS):
        np.testing.assert_array_equal(emissions[:, STOP + strand], emissions[:, 2 + strand])


def test_the_other_strand_says_the_same_against_what_lies_between_genes(model):
    ids = encode(LETTERS["chr1"])
    forward, backward = model.emissions(ids), model.emissions(reverse_complement(ids))
    forward, backward = (each - each[:, INTERGENIC:] for each in (forward, backward))
    np.testing.assert_allclose(backward[::-1, MIRRORED], forward, atol=1e-4)
