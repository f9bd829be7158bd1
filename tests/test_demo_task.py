import numpy as np
import pytest

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.demo.evidence import effects_by_kind, new_stops
from convnova.demo.mutations import _is_systematic, choose_sequences
from convnova.demo.task import Site, StartCodons, annotated_starts, in_frame_stops, open_codons, start_codons
from convnova.errors import InputError
from convnova.genome import Genome, read_gff3
from convnova.inference.mutagenesis import Mutagenesis
from convnova.sequence import decode, encode

FLANK = 6
# Starts: + at 10 (gene one), - at 59 (gene two, its CDS is 30..60), + at 80 which reads CTG (gene three).
# Decoys: + at 20 and 90, - at 42 and, past the end of the window, + at 1.
GENES = [("one", "+", 11, 25), ("two", "-", 31, 60), ("three", "+", 81, 98)]


def text():
    letters = ["A"] * 120  # with C beside it an ATG would also be one on the other strand
    plus, minus, other = ("ATG", [10, 20, 90, 1]), ("CAT", [57, 40]), ("CTG", [80])
    for start, word in [(start, word) for word, starts in (plus, minus, other) for start in starts]:
        letters[start : start + 3] = word
    return "".join(letters)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text(f">chrI\n{text()}\n>chrII\n{'A' * 50}\n")
    return Genome.open(path, tmp_path / "cache")


@pytest.fixture
def genes(tmp_path, genome):
    rows = ["##gff-version 3"]
    for name, strand, start, end in GENES:
        span = f"chrI\ttest\t{{}}\t{start}\t{end}\t.\t{strand}\t.\t{{}}"
        rows += [
            span.format("gene", f"ID={name};Name={name}"),
            span.format("mRNA", f"ID=m{name};Parent={name}"),
        ]
        rows += [span.format("CDS", f"ID=c{name};Parent=m{name}")]
    path = tmp_path / "toy.gff3"
    path.write_text("\n".join(rows) + "\n")
    return read_gff3(path, genome)


def test_starts_are_the_first_coding_base_on_either_strand(genes):
    places = {(site.position, site.strand, site.name) for site in annotated_starts(genes, ["chrI"])}
    assert places == {(10, "+", "one"), (59, "-", "two"), (80, "+", "three")}
    assert annotated_starts(genes, ["chrII"]) == []


def test_every_window_has_atg_in_its_middle_and_decoys_are_other_places(genome, genes):
    made = start_codons(genome, genes, ["chrI"], FLANK, decoys_per_start=5, seed=0)
    ids, labels = made.sequences.ids.stacked(), made.sequences.labels
    assert ids.shape == (5, 2 * FLANK + 1)
    assert all(decode(row[FLANK : FLANK + 3]) == "ATG" for row in ids)
    places = [(site.position, site.strand) for site in made.sites]
    assert set(places[:2]) == {(10, "+"), (59, "-")}
    assert set(places[2:]) == {(20, "+"), (90, "+"), (42, "-")}
    assert labels.tolist() == [1, 1, 0, 0, 0]
    minus = ids[places.index((59, "-"))]
    assert decode(minus) == "TTTTTTATGTTTT"


def test_decoys_are_as_many_as_asked_and_follow_the_seed(genome, genes):
    drawn = [start_codons(genome, genes, ["chrI"], FLANK, 1, seed).sites[2:] for seed in (0, 0, 1, 2, 3)]
    assert all(len(sites) == 2 for sites in drawn)
    assert drawn[0] == drawn[1]
    assert len({tuple(sites) for sites in drawn}) > 1


def test_chromosomes_without_starts_are_refused(genome, genes):
    with pytest.raises(InputError, match="chrII: 0 annotated ATG starts and 0 other ATGs with 6 bp"):
        start_codons(genome, genes, ["chrII"], FLANK, 1, 0)


@pytest.mark.parametrize(
    ("coding", "codons"), [("ATGTAACCC", 1), ("ATGCTAACC", 3), ("ATGCCCTGA", 2), ("ATGCCTAGC", 3)]
)
def test_codons_before_a_stop_in_the_frame_of_atg(coding, codons):
    window = encode("C" * (len(coding) - 1) + coding)[None]
    assert decode(window[0, window.shape[1] // 2 :]).startswith("ATG")
    assert open_codons(window).tolist() == [codons]
    assert in_frame_stops(window).shape == (1, 3)


def test_new_stops_match_bruteforce():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, 41).astype(np.uint8)
    center = 20
    for frame in range(3):
        expected = np.zeros((41, 4), dtype=bool)
        for position in range(41):
            for base in range(4):
                mutant = ids.copy()
                mutant[position] = base
                starts = range(center + 3 + frame, 39, 3)
                before = {
                    start for start in starts if decode(ids[start : start + 3]) in ("TAA", "TAG", "TGA")
                }
                after = {
                    start for start in starts if decode(mutant[start : start + 3]) in ("TAA", "TAG", "TGA")
                }
                expected[position, base] = bool(after - before)
        np.testing.assert_array_equal(new_stops(ids, frame), expected)


def test_effects_are_counted_by_kind():
    ids = encode("AAAAAA" + "ATGTAC")[:-1]  # 11 bp, ATG begins at 5
    ids = encode("CCACC" + "ATGTAC")
    effects = np.zeros((11, 4), dtype=np.float32)
    effects[10, [0, 2]] = -2  # TAC to TAA and TAG
    effects[2, [1, 2, 3]] = -1  # A at -3
    rows = {row.kind: row for row in effects_by_kind([Mutagenesis(ids, 0.0, effects)])}
    stops = rows["a new stop codon in the frame of the ATG"]
    assert (stops.substitutions, stops.median, stops.share_lower) == (2, -2, 1)
    assert rows["position -3, from A"].median == -1
    assert rows["a base of the ATG itself"].substitutions == 9
    assert rows["any other, after the ATG"].share_lower == 0


def test_the_sequence_shown_is_chosen_by_its_rule():
    sites = [Site("chrI", 0, "+", name) for name in ("YAL001C", "ACT1", "PGK1", "", "ADH1")]
    sequences = LabelledSequences(pack(np.zeros((5, 3), dtype=np.uint8)), np.array([1, 1, 1, 0, 1]))
    test = StartCodons(sites, sequences)
    chance = np.array([0.99, 0.8, 0.9, 1.0, 0.1])
    shown, counted = choose_sequences(test, chance, most=10)
    assert test.sites[shown].name == "PGK1"  # not the systematic name, not the decoy
    assert counted == [0, 1, 2]
    assert choose_sequences(test, chance, most=2)[1] == [0, 2]


@pytest.mark.parametrize(
    ("name", "is_systematic"),
    [("YAL068C", True), ("YAL064W-B", True), ("ACT1", False), ("YPT1", False), ("", True)],
)
def test_systematic_names(name, is_systematic):
    assert _is_systematic(name) is is_systematic
