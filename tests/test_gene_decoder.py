import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from dense_viterbi import decode_densely
from random_genes import decode_genes, plain, random_case
from simulated_genes import emissions_of, simulate

from convnova.errors import InputError
from convnova.inference.genes import Decoder, DecoderSettings
from convnova.sequence import decode, encode, reverse_complement_text
from convnova.sequence import reverse_complement as reverse_complement_ids

SHORT = {"min_intron_bp": 4, "min_coding_bp": 0}
EXACT = {"min_site_probability": 0.0}
SETTINGS = {
    "short": SHORT,
    "longer introns": SHORT | {"min_intron_bp": 7, "intron_score": 2.0, "gene_score": 1.0},
    "longer genes": SHORT | {"min_coding_bp": 12},
    "longer genes with introns": {"min_coding_bp": 13, "min_intron_bp": 5, "intron_score": 3.0},
    "costs": SHORT | {"gene_score": -2.0, "intron_score": -1.0},
    "AT-AC": SHORT | {"has_at_ac_introns": True, "intron_score": 2.0},
    "partial": SHORT | {"has_partial_genes": True},
    "partial with all": {
        "has_partial_genes": True,
        "has_at_ac_introns": True,
        "min_coding_bp": 9,
        "min_intron_bp": 6,
        "intron_score": 2.0,
    },
    "ciliate code": SHORT | {"stop_codons": ("TGA",), "intron_score": 2.0},
    "code with unlike stops": SHORT | {"stop_codons": ("AGA", "AGG", "TAA"), "intron_score": 2.0},
}


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS.keys())
def settings(request):
    return DecoderSettings(**EXACT | request.param)


def total(genes):
    return sum(gene.score for gene in genes)


def test_matches_the_dense_twin(settings):
    rng = np.random.default_rng(5)
    introns = 0
    for _ in range(40):
        emissions, ids = random_case(rng, int(rng.integers(1, 140)))
        slow, fast = decode_densely(emissions, ids, settings), decode_genes(emissions, ids, settings)
        assert total(fast) == pytest.approx(slow.score, abs=1e-6)
        assert plain(fast) == slow.genes
        introns += sum(len(gene.coding_exons) - 1 for gene in fast)
    assert introns > 8


def test_chunks_change_nothing(settings):
    rng = np.random.default_rng(6)
    for _ in range(10):
        emissions, ids = random_case(rng, 150)
        whole = decode_genes(emissions, ids, settings)
        for cuts in (range(1, 150), np.sort(rng.integers(0, 151, 6))):
            assert decode_genes(emissions, ids, settings, cuts) == whole


def test_inner_stretches_change_nothing(monkeypatch):
    simulated = simulate(9_000, np.random.default_rng(0))
    emissions = emissions_of(simulated.classes, np.random.default_rng(1), margin=2)
    whole = decode_genes(emissions, simulated.ids, DecoderSettings())
    monkeypatch.setattr("convnova.inference.genes.decoder._STRETCH_BP", 1_000)
    assert decode_genes(emissions, simulated.ids, DecoderSettings()) == whole


MIRRORED = [*range(8, 16), *range(8), 16]


def test_the_other_strand_gives_the_mirrored_genes(settings):
    rng = np.random.default_rng(7)
    for _ in range(10):
        emissions, ids = random_case(rng, 150)
        length = len(ids)
        genes = decode_genes(emissions, ids, settings)
        mirrored = decode_genes(emissions[::-1, MIRRORED], reverse_complement_ids(ids), settings)
        assert total(mirrored) == pytest.approx(total(genes))
        turned = [
            ("-+"["+-".index(strand)], tuple((length - end, length - start) for start, end in exons[::-1]))
            for strand, exons in plain(genes)[::-1]
        ]
        assert plain(mirrored) == turned
        assert [(gene.phase, gene.is_partial) for gene in mirrored[::-1]] == [
            (gene.phase, gene.is_partial) for gene in genes
        ]


def test_decoded_genes_can_be_translated(settings):
    rng = np.random.default_rng(8)
    splices = {("GT", "AG"), ("GC", "AG")} | ({("AT", "AC")} if settings.has_at_ac_introns else set())
    found = 0
    for _ in range(20):
        emissions, ids = random_case(rng, 400)
        letters = decode(ids)
        genes = decode_genes(emissions, ids, settings)
        for gene, (strand, exons) in zip(genes, plain(genes), strict=True):
            sequence = letters
            if strand == "-":
                sequence = reverse_complement_text(letters)
                exons = [(len(ids) - end, len(ids) - start) for start, end in exons[::-1]]
            coding = "".join(sequence[start:end] for start, end in exons)
            introns = [(end, start) for (_, end), (start, _) in pairwise(exons)]
            for start, end in introns:
                assert end - start >= settings.min_intron_bp
                assert (sequence[start : start + 2], sequence[end - 2 : end]) in splices
            assert len(coding) >= settings.min_coding_bp
            codons = [coding[i : i + 3] for i in range(gene.phase, len(coding), 3)]
            assert not set(codons[:-1]) & set(settings.stop_codons)
            if not gene.is_partial:
                found += 1
                assert gene.phase == 0
                assert len(coding) % 3 == 0
                assert codons[0] == "ATG"
                assert codons[-1] in settings.stop_codons
    assert found > 5


GENE = "ATGGCATTCGAACCGTGCGGACTTAAGTAA"
INTRON = "GTACGCTTTTTCCCTTTTCCCTTACAG"
FLANK = "CCGCCGGCCC"


def drawn(*parts):
    """Return sequence and drawing of parts: coding in capitals, introns in small letters, outside as dots."""
    sequence = "".join(part.upper() for part, _ in parts)
    return sequence, "".join(kind * len(part) for part, kind in parts)


def perfect(sequence, drawing, strand="+"):
    """Return emissions and ids of one strand: e is exon, i intron, . intergenic; and the genes."""
    columns, exons, genes, coding = [], [], [], 0
    for position, kind in enumerate(drawing):
        before, after = drawing[position - 1 : position], drawing[position + 1 : position + 2]
        if kind == ".":
            columns.append(16)
        elif kind in "eE":
            if not exons or before != kind:
                exons.append([position, position])
            exons[-1][1] = position + 1
            columns.append(coding % 3 if coding else 6)
            coding += 1
        else:
            columns.append(3 if before != "i" else 5 if after != "i" else 4)
        if kind in "eE" and after != kind and after != "i":
            genes.append((strand, tuple(map(tuple, exons))))
            columns[-1] = 7
            exons, coding = [], 0
    emissions = np.full((len(sequence), 17), -8.0, dtype=np.float32)
    emissions[np.arange(len(sequence)), columns] = -0.01
    ids = encode(sequence)
    if strand == "-":
        length = len(ids)
        emissions, ids = emissions[::-1, MIRRORED], reverse_complement_ids(ids)
        genes = [
            (strand, tuple((length - end, length - start) for start, end in exons[::-1]))
            for _, exons in genes[::-1]
        ]
    return emissions, ids, genes


HAND_MADE = {
    "single exon": drawn((FLANK, "."), (GENE, "e"), (FLANK, ".")),
    "phase 0": drawn((FLANK, "."), (GENE[:12], "e"), (INTRON, "i"), (GENE[12:], "e"), (FLANK, ".")),
    "phase 1": drawn((FLANK, "."), (GENE[:13], "e"), (INTRON, "i"), (GENE[13:], "e"), (FLANK, ".")),
    "phase 2": drawn((FLANK, "."), (GENE[:14], "e"), (INTRON, "i"), (GENE[14:], "e"), (FLANK, ".")),
    "shortest ends": drawn(
        (GENE[:3], "e"), (INTRON, "i"), (GENE[3:27], "e"), (INTRON, "i"), (GENE[27:], "e")
    ),
    "adjacent": drawn((FLANK, "."), (GENE, "e"), (GENE, "E"), (FLANK, ".")),
    "at both edges": drawn((GENE, "e"), (FLANK, "."), (GENE[:13], "e"), (INTRON, "i"), (GENE[13:], "e")),
    "no gene": drawn((FLANK, ".")),
}


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("case", HAND_MADE.values(), ids=HAND_MADE.keys())
def test_perfect_emissions_give_the_genes_that_were_drawn(case, strand):
    emissions, ids, genes = perfect(*case, strand)
    found = decode_genes(emissions, ids, DecoderSettings(min_coding_bp=30))
    assert plain(found) == genes
    for gene in found:
        assert (gene.phase, gene.is_partial) == (0, False)
        assert gene.chromosome == "chr"
        inside = sum(exon.width for exon in gene.coding_exons)
        introns = gene.end - gene.start - inside
        assert gene.score == pytest.approx(7.99 * (inside + introns), rel=1e-5)
    for gene in decode_genes(emissions, ids, DecoderSettings(min_coding_bp=31)):
        assert sum(exon.width for exon in gene.coding_exons) > 31


SPLIT_STOPS = [
    ("T", "AACCC", 1),
    ("TA", "GCCCC", 2),
    ("TG", "ACCCC", 2),
    ("TG", "GCCCC", None),
    ("T", "GGCCC", None),
]


@pytest.mark.parametrize(("left", "right", "stop"), SPLIT_STOPS)
@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_stop_codon_may_not_arise_across_an_intron(left, right, stop, strand):
    rest = "C" * (-(len(left) + len(right)) % 3)
    case = drawn(
        (FLANK, "."), ("ATGGCC" + left, "e"), (INTRON, "i"), (right + rest + "TAA", "e"), (FLANK, ".")
    )
    emissions, ids, genes = perfect(*case, strand)
    found = plain(decode_genes(emissions, ids, DecoderSettings(min_coding_bp=0)))
    assert (found == genes) == (stop is None)


INTRONS = [
    ("GT", "AG", True),
    ("GC", "AG", True),
    ("AT", "AC", False),
    ("GT", "AC", False),
    ("AT", "AG", False),
]


@pytest.mark.parametrize(("donor", "acceptor", "is_usual"), INTRONS)
@pytest.mark.parametrize("has_at_ac_introns", [False, True])
def test_introns_have_the_bases_that_are_allowed(donor, acceptor, is_usual, has_at_ac_introns):
    intron = donor + "CCTTTTCCCTTTTCCCTTCC" + acceptor
    case = drawn((FLANK, "."), (GENE[:13], "e"), (intron, "i"), (GENE[13:], "e"), (FLANK, "."))
    emissions, ids, genes = perfect(*case)
    settings = DecoderSettings(min_coding_bp=30, has_at_ac_introns=has_at_ac_introns)
    is_allowed = is_usual or (has_at_ac_introns and (donor, acceptor) == ("AT", "AC"))
    assert (plain(decode_genes(emissions, ids, settings)) == genes) == is_allowed


@pytest.mark.parametrize(("least", "is_found"), [(27, True), (28, False)])
def test_introns_are_not_shorter_than_allowed(least, is_found):
    emissions, ids, genes = perfect(*HAND_MADE["phase 1"])
    settings = DecoderSettings(min_coding_bp=30, min_intron_bp=least)
    assert (plain(decode_genes(emissions, ids, settings)) == genes) == is_found


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    ("left", "right", "phase"), [(2, 30, 1), (3, 30, 0), (4, 30, 2), (0, 26, 0), (20, 55, 2), (20, 57, 2)]
)
def test_genes_that_an_end_cuts(left, right, phase, strand):
    case = drawn((GENE[:13], "e"), (INTRON, "i"), (GENE[13:], "e"))  # exons 0-13, 40-57
    emissions, ids, _ = perfect(*case, strand)
    kept = slice(left, right) if strand == "+" else slice(len(ids) - right, len(ids) - left)
    settings = DecoderSettings(min_coding_bp=3, has_partial_genes=True)
    genes = decode_genes(emissions[kept], ids[kept], settings)
    width = right - left
    exons = [
        (max(a, left) - left, min(b, right) - left)
        for a, b in ((0, 13), (40, 57))
        if max(a, left) < min(b, right)
    ]
    if strand == "-":
        exons = [(width - b, width - a) for a, b in exons[::-1]]
    assert plain(genes) == [(strand, tuple(exons))]
    assert genes[0].is_partial
    assert genes[0].phase == phase
    assert not decode_genes(emissions[kept], ids[kept], DecoderSettings(min_coding_bp=3))


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    ("position", "column"), [(10, 6), (23, 3), (49, 5), (66, 7)], ids=["start", "donor", "acceptor", "stop"]
)
def test_sites_that_are_unlikely_are_passed_over(position, column, strand):
    emissions, ids, genes = perfect(*HAND_MADE["phase 1"], strand)
    settings = DecoderSettings(min_coding_bp=30, min_site_probability=1e-3)
    assert plain(decode_genes(emissions, ids, settings)) == genes
    if strand == "-":
        position, column = len(ids) - 1 - position, column + 8
    emissions[position, column] = np.log(0.9e-3)
    assert plain(decode_genes(emissions, ids, settings)) != genes
    assert plain(decode_genes(emissions, ids, DecoderSettings(min_coding_bp=30, **EXACT))) == genes


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("left", [0, 15, 30])
def test_starts_say_which_atg_begins_a_gene(left, strand):
    """Codons alone cannot tell two ATG in frame apart where bases before the gene look like codons too."""
    emissions, ids, _ = perfect(*drawn(("ATGGCACTGGCACTG" + "ATGGCACTGGCACTG" + "ATGGCACTGGCATAA", "e")))
    emissions[:, 16] = -0.01
    emissions[:, [6, 7]] = -8
    emissions[:, [0, 1, 2]] = -0.01
    emissions[left, 6] = emissions[44, 7] = -0.01
    if strand == "-":
        emissions, ids = emissions[::-1, MIRRORED], reverse_complement_ids(ids)
    (gene,) = decode_genes(emissions, ids, DecoderSettings(min_coding_bp=9, gene_score=1.0))
    assert (gene.start, gene.end) == ((left, 45) if strand == "+" else (0, 45 - left))


def test_scores_trade_genes_and_introns():
    emissions, ids, _ = perfect(*HAND_MADE["phase 1"])
    (gene,) = decode_genes(emissions, ids, DecoderSettings(min_coding_bp=30, gene_score=-5, intron_score=-7))
    (free,) = decode_genes(emissions, ids, DecoderSettings(min_coding_bp=30))
    assert gene.score == pytest.approx(free.score - 12)
    assert not decode_genes(emissions, ids, DecoderSettings(min_coding_bp=30, gene_score=-free.score - 1))


def test_simulated_genes_come_back():
    simulated = simulate(60_000, np.random.default_rng(0))
    emissions = emissions_of(simulated.classes, np.random.default_rng(1))
    assert plain(decode_genes(emissions, simulated.ids, DecoderSettings())) == simulated.genes
    assert len(simulated.genes) > 15


@pytest.mark.parametrize("letters", ["", "A", "NN", "ATG", "N" * 50])
@pytest.mark.parametrize("has_partial_genes", [False, True])
def test_sequences_with_nothing_in_them(letters, has_partial_genes):
    emissions = np.full((len(letters), 17), -3.0, dtype=np.float32)
    emissions[:, 16] = 0
    settings = DecoderSettings(has_partial_genes=has_partial_genes)
    assert decode_genes(emissions, encode(letters), settings) == []


BAD_FEEDS = [
    (np.zeros((4, 13)), r"chr: emissions of shape \(4, 13\) for 4 bases; give \(4, 17\)"),
    (np.zeros((3, 17)), r"emissions of shape \(3, 17\) for 4 bases"),
    (np.full((4, 17), np.nan), r"chr, position 3: a log-probability is not finite; make them with"),
    (np.full((4, 17), -np.inf), "position 3: a log-probability is not finite"),
]


@pytest.mark.parametrize(("emissions", "message"), BAD_FEEDS)
def test_chunks_that_do_not_fit_are_refused(emissions, message):
    decoder = Decoder("chr")
    decoder.feed(np.zeros((2, 17), dtype=np.float32), encode("AC"))
    with pytest.raises(InputError, match=message):
        decoder.feed(emissions.astype(np.float32), encode("ACGT"))


BAD_SETTINGS = [
    ({"stop_codons": ("TA",)}, "stop codon 'TA' is none; write three of A, C, G, T, and not ATG"),
    ({"stop_codons": ("ATG",)}, "stop codon 'ATG' is none"),
    ({"stop_codons": ()}, "there is no stop codon; give at least one"),
    ({"min_intron_bp": 3}, "min_intron_bp is 3; give 4 or more"),
    ({"min_coding_bp": -1}, "min_coding_bp is -1; give 0 or more"),
    ({"min_site_probability": 1.0}, r"min_site_probability is 1\.0; give 0 or more, but less than 1"),
    ({"gene_score": float("nan")}, "gene_score is nan; give a number of nats"),
    ({"content_weight": 0.0}, "content_weight is 0.0; give a number above 0"),
    ({"intron_score": float("inf")}, "intron_score is inf; give a number of nats"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        DecoderSettings(**settings)
