import os
from pathlib import Path

import pytest

from convnova.data.base_labels import GeneLabelSettings
from convnova.data.gene_checks import CodingChecks, coding_checks, splice_sites
from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval, Transcript, read_annotation
from convnova.sequence import reverse_complement_text


def make(tmp_path, pieces):
    """Return a genome that is these pieces end to end, and one gene for each that has exons in upper case."""
    genes, text = [], ""
    for number, (piece, strand, phase) in enumerate(pieces):
        if strand == "-":
            piece = reverse_complement_text(piece)
        start = len(text)
        edges = [at for at in range(len(piece) + 1) if is_exon(piece, at - 1) != is_exon(piece, at)]
        exons = tuple(
            Interval("chrI", start + a, start + b, strand)
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        )
        body = Interval("chrI", exons[0].start, exons[-1].end, strand)
        genes.append(Gene(body, f"g{number}", "", (Transcript(f"t{number}", body, exons, exons, phase),)))
        text += piece
    path = tmp_path / "toy.fa"
    path.write_text(f">chrI\n{text}\n")
    return Genome.open(path, tmp_path / "cache"), genes


def is_exon(piece, at):
    return 0 <= at < len(piece) and piece[at].isupper()


SPLICED = [
    ("aaATGgtccagTAAcc", "+", 0),
    ("aaATGgtccagTAAcc", "-", 0),
    ("ATGgcccagTAA", "-", 0),
    ("ATGatccacTAA", "+", 0),
    ("ATGctccagTAA", "-", 0),
    ("ATGgtccanTAA", "+", 0),
    ("ATGgTAA", "+", 0),  # a frameshift, no intron
]


def test_introns_are_counted_by_their_ends_on_either_strand(tmp_path):
    genome, genes = make(tmp_path, SPLICED)
    sites = splice_sites(genes, genome)
    assert sites.counts == {"GT-AG": 2, "GC-AG": 1, "AT-AC": 1, "other": 1}
    assert (sites.total, sites.n_unknown, sites.known_share) == (5, 1, 0.8)
    assert [(str(intron), intron.strand, intron.name) for intron in sites.examples] == [
        ("chrI:60-65", "-", "CT-AG")
    ]
    assert str(sites) == (
        "5 introns: 2 GT-AG, 1 GC-AG, 1 AT-AC, 1 other (80.0% with known splice sites; 1 more with N there)"
    )


def test_introns_of_several_transcripts_count_once_and_only_where_they_are_labelled(tmp_path):
    genome, (gene, *_) = make(tmp_path, SPLICED[:1])
    (one,) = gene.transcripts
    twice = [Gene(gene.interval, "g", "", (one, one))]
    assert splice_sites(twice, genome, GeneLabelSettings(transcripts="all")).total == 1
    noncoding = Transcript("n", one.interval, one.exons, ())
    assert splice_sites([Gene(gene.interval, "g", "", (noncoding,))], genome).total == 0
    half = Transcript("h", one.interval, one.exons, one.exons[:1])
    genes = [Gene(gene.interval, "g", "", (half,))]
    assert [splice_sites(genes, genome, GeneLabelSettings(name)).total for name in ("coding", "frame")] == [
        1,
        0,
    ]
    assert splice_sites([], genome).known_share == 1


@pytest.mark.parametrize(("n_known", "n_other", "is_refused"), [(4, 6, True), (5, 5, False), (1, 8, False)])
def test_an_annotation_whose_introns_do_not_splice_is_refused(tmp_path, n_known, n_other, is_refused):
    pieces = [("ATGgtccagTAA", "+", 0)] * n_known + [("ATGctccagTAA", "-", 0)] * n_other
    genome, genes = make(tmp_path, pieces)
    if not is_refused:
        assert splice_sites(genes, genome).counts["other"] == n_other
        return
    message = (
        r"^only 40\.0% of the 10 introns have splice sites GT-AG, GC-AG, AT-AC on .*toy\.fa "
        r"\(chrI:52-57 on - has CT-AG\); the annotation is of another assembly, so give the genome"
    )
    with pytest.raises(InputError, match=message) as caught:
        splice_sites(genes, genome)
    assert "\n" not in str(caught.value)


CODING = [  # sequence, phase, faults: no multiple of three, no start, no stop, stop inside
    ("aaATGCCCTAAcc", 0, (0, 0, 0, 0)),
    ("aaATgtcaagGCCCTAAcc", 0, (0, 0, 0, 0)),
    ("aaATGCCCTAcc", 0, (1, 0, 1, 0)),
    ("aaCTGCCCTAGcc", 0, (0, 1, 0, 0)),
    ("aaATGCCCTTGcc", 0, (0, 0, 1, 0)),
    ("aaATGTGACCCTGAcc", 0, (0, 0, 0, 1)),
    ("aaGATGCCCTAAcc", 1, (0, 1, 0, 0)),
    ("aaATGNAACCCTAAcc", 0, (0, 0, 0, 0)),
    ("aaATcc", 0, (1, 1, 1, 0)),
]


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(("piece", "phase", "faults"), CODING)
def test_what_does_not_read_as_a_protein_is_counted(tmp_path, piece, phase, faults, strand):
    genome, genes = make(tmp_path, [(piece, strand, phase)])
    assert coding_checks(genes, genome) == CodingChecks(1, *faults)


def test_faults_add_up_and_are_told_in_one_line(tmp_path):
    genome, genes = make(tmp_path, [(piece, "+", phase) for piece, phase, _ in CODING])
    found = coding_checks(genes, genome)
    assert found == CodingChecks(
        9, *(sum(column) for column in zip(*(row[2] for row in CODING), strict=True))
    )
    assert str(found) == (
        "9 coding transcripts: 2 no multiple of three, 3 without ATG, 3 without stop codon, "
        "1 with a stop codon inside"
    )
    assert str(coding_checks([], genome)) == str(CodingChecks(0, 0, 0, 0, 0))


WHOLE, NO_STOP, NO_START = "ATGCCCTAA", "ATGCCCCCC", "CCCCCCTAA"
NEITHER, CUT, UNKNOWN = "CCCCCCCCC", "CCCCC", "NCCCCCCCC"


@pytest.mark.parametrize(
    ("pieces", "is_refused"),
    [
        ([WHOLE] * 4 + [NEITHER] * 6, True),
        ([WHOLE] * 5 + [NEITHER] * 5, False),
        ([NO_STOP] * 3 + [NO_START] * 2 + [NEITHER] * 5, False),
        ([NEITHER] * 9 + [CUT] * 9 + [UNKNOWN] * 9, False),  # of which only 9 can be judged
        ([NEITHER] * 10 + [CUT] * 90, True),
    ],
)
def test_an_annotation_whose_genes_have_no_ends_is_refused(tmp_path, pieces, is_refused):
    genome, genes = make(tmp_path, [(f"a{piece}a", "+-"[n % 2], 0) for n, piece in enumerate(pieces)])
    if not is_refused:
        assert coding_checks(genes, genome).n_transcripts == len(pieces)
        return
    message = (
        r"^only \d+\.0% of the 10 transcripts of whole codons begin with ATG or end with a stop codon on"
    )
    with pytest.raises(InputError, match=message) as caught:
        coding_checks(genes, genome)
    assert "\n" not in str(caught.value)


def test_the_real_annotation_splices(tmp_path):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    folder = shared / "data/genomes/zymoseptoria"
    if not folder.exists():
        pytest.skip("the genome is not here; set CONVNOVA_SHARED to the folder that has data/genomes")
    genome = Genome.open(folder / "zymoseptoria_tritici_IPO323.fa.gz", cache=tmp_path)
    genes = read_annotation(folder / "FrozenGeneCatalog20080910.gff.gz", genome)
    sites = splice_sites(genes, genome, GeneLabelSettings())
    assert sites.counts == {"GT-AG": 17272, "GC-AG": 34, "AT-AC": 2, "other": 50}
    assert coding_checks(genes, genome) == CodingChecks(10952, 45, 1013, 1290, 1)
