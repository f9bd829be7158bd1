from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from convnova.data import base_labels
from convnova.data.base_labels import (
    LABEL_SETS,
    GeneLabelSettings,
    label_genes,
    label_regions,
    labelled_transcripts,
)
from convnova.errors import InputError
from convnova.genome import Gene, Interval, Transcript

# One letter a label, in the order of their ids: upper case and digits on +, lower case and abc on -.
LETTERS = {"bend": "EDIAedia.", "coding": "CUDIAcudia.", "frame": "012DIASXabcdiasx."}
ANNOTATED, CODING = GeneLabelSettings(exons="annotated"), GeneLabelSettings()
UTR, FRAME = GeneLabelSettings("coding"), GeneLabelSettings("frame")


def transcript(exons, coding=None, strand="+", phase=0, id_="t"):
    """Return a transcript of spans; all of its exons are coding unless it is said which."""
    made = [
        tuple(Interval("chrI", *span, strand) for span in spans)
        for spans in (exons, exons if coding is None else coding)
    ]
    return Transcript(id_, Interval("chrI", exons[0][0], exons[-1][1], strand), *made, phase)


def gene(*transcripts, id_="g"):
    bodies = [each.interval for each in transcripts]
    start, end = min(body.start for body in bodies), max(body.end for body in bodies)
    return Gene(Interval("chrI", start, end, bodies[0].strand), id_, id_, transcripts)


def drawn(genes, settings=ANNOTATED, size=30):
    """Return the labels of chrI as letters."""
    return "".join(
        LETTERS[settings.label_set][id_] for id_ in label_genes(genes, {"chrI": size}, settings)["chrI"]
    )


SPLICED = [(2, 12), (18, 28)], [(6, 12), (18, 23)]

ONE_GENE = [
    # 0         1         2
    # 012345678901234567890123456789
    (ANNOTATED, transcript(*SPLICED), "..EEEEEEEEEEDIIIIAEEEEEEEEEE.."),
    (ANNOTATED, transcript(*SPLICED, "-"), "..eeeeeeeeeeaiiiideeeeeeeeee.."),
    (CODING, transcript(*SPLICED), "......EEEEEEDIIIIAEEEEE......."),
    (UTR, transcript(*SPLICED), "..UUUUCCCCCCDIIIIACCCCCUUUUU.."),
    (UTR, transcript(*SPLICED, "-"), "..uuuuccccccaiiiidcccccuuuuu.."),
    (FRAME, transcript(*SPLICED), "......S12012DIIIIA01201......."),
    (FRAME, transcript(*SPLICED, "-"), "......bacbacaiiiidbacbs......."),
    (FRAME, transcript(*SPLICED, phase=1), "......201201DIIIIA20120......."),
    (FRAME, transcript(*SPLICED, "-", phase=2), "......xbacbaaiiiidcbacb......."),
    (FRAME, transcript([(2, 4), (8, 9)]), "..S1DIIAX....................."),
    (FRAME, transcript([(2, 4), (8, 9)], strand="-"), "..xbaiids....................."),
    (FRAME, transcript([(2, 4)], phase=1), "..20.........................."),
    (FRAME, transcript([(2, 3)], phase=1), "..X..........................."),
    # an intron in the leader: background where only coding bases count
    (ANNOTATED, transcript([(2, 6), (12, 24)], [(15, 24)]), "..EEEEDIIIIAEEEEEEEEEEEE......"),
    (UTR, transcript([(2, 6), (12, 24)], [(15, 24)]), "..UUUUDIIIIAUUUCCCCCCCCC......"),
    (CODING, transcript([(2, 6), (12, 24)], [(15, 24)]), "...............EEEEEEEEE......"),
    (FRAME, transcript([(2, 6), (12, 24)], [(15, 24)]), "...............S1201201X......"),
    # one exon
    (ANNOTATED, transcript([(0, 9)]), "EEEEEEEEE....................."),
    (FRAME, transcript([(21, 30)], strand="-"), ".....................xbacbacbs"),
    # a programmed +1 frameshift: the base that is skipped belongs to the exon read before it
    (ANNOTATED, transcript([(2, 8), (9, 15)]), "..EEEEEEEEEEEEE..............."),
    (UTR, transcript([(2, 8), (9, 15)]), "..CCCCCCCCCCCCC..............."),
    (FRAME, transcript([(2, 8), (9, 15)]), "..S12012001201X..............."),
    (FRAME, transcript([(2, 7), (8, 15)]), "..S12012201201X..............."),
    (FRAME, transcript([(2, 8), (9, 15)], strand="-"), "..xbacbaacbacbs..............."),
    (FRAME, transcript([(2, 8), (9, 14)], strand="-"), "..bacbaccbacbs................"),
    # a -1 frameshift: the base that is read twice keeps its first position
    (FRAME, transcript([(2, 8), (7, 13)]), "..S120121201X................."),
    (FRAME, transcript([(2, 8), (7, 13)], strand="-"), "..xbacbcbacbs................."),
    # the shortest introns: one base is none, two are donor and acceptor
    (ANNOTATED, transcript([(2, 8), (10, 15)]), "..EEEEEEDAEEEEE..............."),
    (ANNOTATED, transcript([(2, 8), (8, 15)]), "..EEEEEEEEEEEEE..............."),
    (ANNOTATED, transcript([(2, 8), (10, 15)], strand="-"), "..eeeeeeadeeeee..............."),
    # without a strand there is no reading direction
    (ANNOTATED, transcript([(2, 8)], strand="."), ".............................."),
]


@pytest.mark.parametrize(("settings", "transcript_", "expected"), ONE_GENE)
def test_labels_of_one_gene(settings, transcript_, expected):
    assert drawn([gene(transcript_)], settings) == expected


LONG = transcript([(0, 10), (20, 30)], [(8, 10), (20, 22)], id_="long")
OTHER = transcript([(3, 13), (20, 26)], [(3, 13), (20, 22)], id_="long CDS")
SILENT = transcript([(0, 30)], [], id_="silent")


def test_the_drawings_are_true():
    text = base_labels.__doc__ + (Path(__file__).parents[1] / "docs/gene-labels.md").read_text()
    exons, coding = [(2, 18), (27, 45)], [(9, 18), (27, 36)]
    for strand in "+-":
        for settings in (ANNOTATED, CODING, UTR, FRAME):
            row = drawn([gene(transcript(exons, coding, strand))], settings, size=47)
            in_both = strand == "+"
            if in_both or settings is not CODING:
                assert text.count(f" {row}") == 1 + in_both


SEVERAL = [
    ("longest", [LONG, OTHER], ["long CDS"], "...EEEEEEEEEEDIIIIIAEEEEEE...."),
    ("first", [LONG, OTHER], ["long"], "EEEEEEEEEEDIIIIIIIIAEEEEEEEEEE"),
    ("all", [LONG, OTHER], ["long", "long CDS"], "EEEEEEEEEEDEEDIIIIIAEEEEEEEEEE"),
    ("longest", [SILENT, LONG], ["long"], "EEEEEEEEEEDIIIIIIIIAEEEEEEEEEE"),
    ("first", [SILENT, LONG], ["long"], "EEEEEEEEEEDIIIIIIIIAEEEEEEEEEE"),
    ("all", [SILENT, LONG], ["long"], "EEEEEEEEEEDIIIIIIIIAEEEEEEEEEE"),
    ("all", [SILENT], [], ".............................."),
]


@pytest.mark.parametrize(("rule", "transcripts", "chosen", "expected"), SEVERAL)
def test_which_transcripts_of_a_gene_count(rule, transcripts, chosen, expected):
    settings = GeneLabelSettings(exons="annotated", transcripts=rule)
    genes = [gene(*transcripts)]
    assert [each.id for each in labelled_transcripts(genes, settings)] == chosen
    assert drawn(genes, settings) == expected


def test_genes_without_cds_are_labelled_when_asked():
    noncoding = [gene(transcript([(2, 8), (12, 20)], []))]
    assert drawn(noncoding) == "." * 30
    settings = GeneLabelSettings(exons="annotated", label_noncoding_genes=True)
    assert drawn(noncoding, settings) == "..EEEEEEDIIAEEEEEEEE.........."
    settings = GeneLabelSettings("coding", label_noncoding_genes=True)
    assert drawn(noncoding, settings) == "..UUUUUUDIIAUUUUUUUU.........."


HOST = transcript([(0, 5), (25, 30)])
OVERLAPS = [
    # a gene in the intron of another, on either strand
    (ANNOTATED, [HOST, transcript([(10, 15)], strand="-")], "EEEEEDIIIIeeeeeIIIIIIIIIAEEEEE"),
    (ANNOTATED, [HOST, transcript([(10, 15), (19, 22)])], "EEEEEDIIIIEEEEEDIIAEEEIIAEEEEE"),
    # exon over intron, whichever gene is longer; among exons the longer gene
    (ANNOTATED, [transcript([(0, 12)]), transcript([(8, 25)], strand="-")], "EEEEEEEEeeeeeeeeeeeeeeeee....."),
    (ANNOTATED, [transcript([(0, 18)]), transcript([(8, 25)], strand="-")], "EEEEEEEEEEEEEEEEEEeeeeeee....."),
    # of genes of one length the left one, then that on +
    (ANNOTATED, [transcript([(0, 12)]), transcript([(8, 20)], strand="-")], "EEEEEEEEEEEEeeeeeeee.........."),
    (ANNOTATED, [transcript([(0, 12)]), transcript([(0, 12)], strand="-")], "EEEEEEEEEEEE.................."),
    # splice sites over the exon of a longer gene
    (
        ANNOTATED,
        [transcript([(0, 20)]), transcript([(4, 8), (14, 18)], strand="-")],
        "EEEEEEEEaEEEEdEEEEEE..........",
    ),
    # coding over the UTR of a longer gene
    (
        UTR,
        [transcript([(0, 20)], [(0, 3)]), transcript([(8, 14)], strand="-")],
        "CCCUUUUUccccccUUUUUU..........",
    ),
    # start and stop over the codons of a longer gene; of two on one base that of the longer
    (FRAME, [transcript([(0, 21)]), transcript([(6, 12)], strand="-")], "S12012x1201s01201201X........."),
    (FRAME, [transcript([(0, 12)]), transcript([(11, 26)])], "S1201201201S1201201201201X...."),
    # a splice site over the start of another gene
    (FRAME, [HOST, transcript([(5, 11)])], "S1201D1201XIIIIIIIIIIIIIA20120"),
]


@pytest.mark.parametrize(("settings", "transcripts", "expected"), OVERLAPS)
def test_what_wins_where_genes_overlap(settings, transcripts, expected):
    genes = [gene(each, id_=str(number)) for number, each in enumerate(transcripts)]
    assert drawn(genes, settings) == drawn(genes[::-1], settings) == expected


def random_gene(rng, size, number):
    """Return a gene of one to three transcripts; CDS may have frameshifts of one base."""
    transcripts = []
    strand = "+-"[rng.integers(2)]
    for index in range(rng.integers(1, 4)):
        cuts = np.sort(rng.choice(size, 2 * rng.integers(1, 4), replace=False))
        exons = [(int(a), int(b)) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
        coding = []
        for start, end in exons:
            if end - start > 6 and rng.random() < 0.3:
                middle, slip = (start + end) // 2, int(rng.integers(-1, 2))
                coding += [(start, middle), (middle + slip, end)]
            else:
                coding.append((start, end))
        coding = coding[rng.integers(len(coding)) :] if rng.random() < 0.8 else []
        transcripts.append(transcript(exons, coding, strand, int(rng.integers(3)), f"{number}.{index}"))
    return gene(*transcripts, id_=str(number))


def slow_labels(genes, size, settings):
    """Return the labels base by base: of all that claim it, the strongest."""
    label_set = LABEL_SETS[settings.label_set]
    is_coding_only = settings.label_set == "frame" or settings.exons == "coding"
    claims = [[] for _ in range(size)]
    for rank, each in enumerate(labelled_transcripts(genes, settings)):
        strand = each.interval.strand

        def claim(position, layer, label, rank=rank, strand=strand):
            claims[position].append((layer, rank, label_set.labels.index(f"{label}{strand}")))

        exons = each.coding_exons if is_coding_only else each.exons
        for left, right in pairwise(exons):
            gap = range(left.end, right.start)
            is_intron = len(gap) >= 2
            for position in gap:
                claim(position, 1, "intron") if is_intron else claim(position, 2, whole(settings))
            if is_intron:
                ends = (gap[0], gap[-1]) if strand == "+" else (gap[-1], gap[0])
                claim(ends[0], 5, "donor")
                claim(ends[1], 5, "acceptor")
        for exon in exons:
            for position in range(exon.start, exon.end):
                claim(position, 2, whole(settings))
        step = 1 if strand == "+" else -1
        count, seen, previous = -each.phase, set(), None
        for exon in each.coding_exons[::step]:
            bases = range(exon.start, exon.end)[::step]
            if previous is not None and (bases[0] - previous) * step == 2:
                claim(previous + step, 3, coding_label(settings, count))
            for position in bases:
                if position not in seen:
                    claim(position, 3, coding_label(settings, count))
                seen.add(position)
                count, previous = count + 1, position
        if settings.label_set == "frame":
            if each.phase == 0:
                first = each.coding_exons[::step][0]
                claim(range(first.start, first.end)[::step][0], 4, "start")
            if count % 3 == 0:
                claim(previous, 4, "stop")
    return [max(found)[2] if found else label_set.background for found in claims]


def whole(settings):
    return {"bend": "exon", "coding": "UTR", "frame": "codon0"}[settings.label_set]


def coding_label(settings, count):
    return {"bend": "exon", "coding": "CDS", "frame": f"codon{count % 3}"}[settings.label_set]


ALL_SETTINGS = [
    GeneLabelSettings(label_set, exons, rule, noncoding)
    for label_set, exons, noncoding in [
        ("bend", "annotated", False),
        ("bend", "annotated", True),
        ("bend", "coding", False),
        ("coding", "annotated", True),
        ("frame", "annotated", False),
    ]
    for rule in ("longest", "first", "all")
]


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=str)
def test_matches_bruteforce(settings):
    rng = np.random.default_rng(0)
    for _ in range(30):
        genes = [random_gene(rng, 80, number) for number in range(rng.integers(1, 6))]
        labels = label_genes(genes, {"chrI": 80}, settings)["chrI"]
        assert labels.dtype == np.uint8
        assert labels.tolist() == slow_labels(genes, 80, settings)


@pytest.mark.parametrize("name", LABEL_SETS)
def test_opposite_labels_are_those_of_the_other_strand(name):
    label_set = LABEL_SETS[name]
    opposite = np.array(label_set.opposite)
    assert opposite[opposite].tolist() == list(range(len(label_set.labels)))
    assert label_set.labels[label_set.background] == "intergenic"
    assert opposite[label_set.background] == label_set.background
    for label, other in zip(label_set.labels[:-1], opposite[:-1], strict=True):
        assert label_set.labels[other] == label[:-1] + ("-" if label.endswith("+") else "+")
    rng, settings = np.random.default_rng(1), GeneLabelSettings(name)
    for number in range(20):
        one = random_gene(rng, 80, number)
        labels = label_genes([one], {"chrI": 80}, settings)["chrI"]
        turned = label_genes([turn(one, 80)], {"chrI": 80}, settings)["chrI"]
        assert turned.tolist() == opposite[labels[::-1]].tolist()


def turn(one, size):
    """Return a gene as it lies on the other strand."""

    def flip(interval):
        strand = {"+": "-", "-": "+"}[interval.strand]
        return Interval("chrI", size - interval.end, size - interval.start, strand)

    def flip_all(intervals):
        return tuple(flip(interval) for interval in reversed(intervals))

    turned = [
        Transcript(t.id, flip(t.interval), flip_all(t.exons), flip_all(t.coding_exons), t.phase)
        for t in one.transcripts
    ]
    return Gene(flip(one.interval), one.id, one.name, tuple(turned))


def test_bend_has_the_ids_of_the_benchmark():
    assert LABEL_SETS["bend"].labels == (
        *("exon+", "donor+", "intron+", "acceptor+"),
        *("exon-", "donor-", "intron-", "acceptor-"),
        "intergenic",
    )


def test_every_chromosome_of_the_genome_is_labelled():
    labels = label_genes([gene(transcript([(2, 5)]))], {"chrI": 6, "chrII": 3})
    assert {name: row.tolist() for name, row in labels.items()} == {
        "chrI": [8, 8, 0, 0, 0, 8],
        "chrII": [8] * 3,
    }
    assert label_genes([], {"chrI": 2})["chrI"].tolist() == [8, 8]


def test_labels_of_regions_are_those_of_their_chromosomes():
    genes = [gene(transcript(*SPLICED))]
    sizes = {"chrII": 7, "chrI": 90}
    rows = label_genes(genes, sizes)
    regions = [
        Interval("chrI", 20, 60),
        Interval("chrII", 0, 7),
        Interval("chrI", 0, 90),
        Interval("chrI", 3, 3),
    ]
    found = label_regions(genes, sizes, regions)
    for region, labels in zip(regions, found, strict=True):
        np.testing.assert_array_equal(labels, rows[region.chromosome][region.start : region.end])
    assert found[0].base is None  # a copy, which does not keep the chromosome
    assert label_regions(genes, sizes, []) == ()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"chrI": 20}, r"an exon ends at 28 on chrI, which is 20 bp; give the genome that the annotation"),
        ({"chrV": 99}, r"an exon ends at 28 on chrI, which is not in the genome; give the genome"),
    ],
)
def test_genes_beyond_the_genome_are_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        label_genes([gene(transcript(*SPLICED))], sizes, ANNOTATED)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_set": "nine"}, r"label_set 'nine' is not known; use one of bend, coding, frame"),
        (
            {"label_set": "frame", "label_noncoding_genes": True},
            r"label_noncoding_genes needs labels for bases",
        ),
        (
            {"exons": "coding", "label_noncoding_genes": True},
            r'use label set "coding", or "bend" with exons "ann',
        ),
    ],
)
def test_settings_that_contradict_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        GeneLabelSettings(**settings)


def test_labels_of_all_sets_have_a_place_among_bends_nine():
    nine = LABEL_SETS["bend"].labels
    assert LABEL_SETS["bend"].in_bend == tuple(range(9))
    exons = {"coding": {"CDS", "UTR"}, "frame": {"codon0", "codon1", "codon2", "start", "stop"}}
    for name, exon in exons.items():
        for label, place in zip(LABEL_SETS[name].labels, LABEL_SETS[name].in_bend, strict=True):
            strand = "" if label == "intergenic" else label[-1]
            expected = "exon" if label.rstrip("+-") in exon else label.rstrip("+-")
            assert nine[place] == expected + strand
