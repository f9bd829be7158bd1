import shutil
import subprocess

import numpy as np
import pytest
from random_genes import decode_genes, random_case

from convnova.errors import InputError
from convnova.genome import Interval, read_gff3
from convnova.inference.genes import DecoderSettings, GeneModel, write_gff3
from convnova.inference.genes.gff3 import phases
from convnova.sequence import decode

SIZES = {"chr2": 900, "chr1": 500, "empty": 0}


def gene(chromosome, strand, *exons, score=1.0, phase=0, is_partial=False):
    intervals = tuple(Interval(chromosome, start, end, strand) for start, end in exons)
    return GeneModel(chromosome, strand, intervals, score, phase, is_partial)


PLUS = gene("chr1", "+", (10, 23), (40, 57), score=12.346)
MINUS = gene("chr2", "-", (10, 23), (40, 57), (70, 76))
CUT = gene("chr1", "+", (0, 4), phase=1, is_partial=True)


def test_the_whole_file(tmp_path):
    path = tmp_path / "new" / "genes.gff3"
    write_gff3([PLUS, CUT, MINUS], path, SIZES, source="mine")
    rows = [line.replace("\t", " ") for line in path.read_text().splitlines()]
    assert rows == [
        "##gff-version 3",
        "##sequence-region chr2 1 900",
        "##sequence-region chr1 1 500",
        "chr2 mine gene 11 76 1.00 - . ID=chr2.g1",
        "chr2 mine mRNA 11 76 1.00 - . ID=chr2.g1.t1;Parent=chr2.g1",
        "chr2 mine exon 11 23 . - . ID=chr2.g1.t1.exon1;Parent=chr2.g1.t1",
        "chr2 mine CDS 11 23 . - 1 ID=chr2.g1.t1.cds;Parent=chr2.g1.t1",
        "chr2 mine exon 41 57 . - . ID=chr2.g1.t1.exon2;Parent=chr2.g1.t1",
        "chr2 mine CDS 41 57 . - 0 ID=chr2.g1.t1.cds;Parent=chr2.g1.t1",
        "chr2 mine exon 71 76 . - . ID=chr2.g1.t1.exon3;Parent=chr2.g1.t1",
        "chr2 mine CDS 71 76 . - 0 ID=chr2.g1.t1.cds;Parent=chr2.g1.t1",
        "chr1 mine gene 1 4 1.00 + . ID=chr1.g1;partial=true",
        "chr1 mine mRNA 1 4 1.00 + . ID=chr1.g1.t1;Parent=chr1.g1;partial=true",
        "chr1 mine exon 1 4 . + . ID=chr1.g1.t1.exon1;Parent=chr1.g1.t1",
        "chr1 mine CDS 1 4 . + 1 ID=chr1.g1.t1.cds;Parent=chr1.g1.t1",
        "chr1 mine gene 11 57 12.35 + . ID=chr1.g2",
        "chr1 mine mRNA 11 57 12.35 + . ID=chr1.g2.t1;Parent=chr1.g2",
        "chr1 mine exon 11 23 . + . ID=chr1.g2.t1.exon1;Parent=chr1.g2.t1",
        "chr1 mine CDS 11 23 . + 0 ID=chr1.g2.t1.cds;Parent=chr1.g2.t1",
        "chr1 mine exon 41 57 . + . ID=chr1.g2.t1.exon2;Parent=chr1.g2.t1",
        "chr1 mine CDS 41 57 . + 2 ID=chr1.g2.t1.cds;Parent=chr1.g2.t1",
    ]


PHASES = [
    (gene("chr1", "+", (0, 12), (20, 29)), (0, 0)),
    (gene("chr1", "+", (0, 13), (20, 28)), (0, 2)),
    (gene("chr1", "+", (0, 14), (20, 24), (30, 33)), (0, 1, 0)),
    (gene("chr1", "-", (0, 14), (20, 24), (30, 33)), (2, 0, 0)),
    (gene("chr1", "-", (0, 8), (20, 33)), (2, 0)),
    (gene("chr1", "-", (0, 8), (20, 34), phase=1, is_partial=True), (2, 1)),
]


@pytest.mark.parametrize(("model", "expected"), PHASES)
def test_phases_are_bases_before_the_first_whole_codon(model, expected):
    assert phases(model) == expected


def test_what_is_written_is_read_again(tmp_path):
    odd = "chr 1;a=b,é>|%"
    genes = [gene(odd, "+", (5, 11)), PLUS, MINUS]
    write_gff3(genes, tmp_path / "genes.gff3", SIZES | {odd: 40})
    read = read_gff3(tmp_path / "genes.gff3")
    exons = [each.transcripts[0].coding_exons for each in read]
    assert exons == [each.coding_exons for each in (MINUS, PLUS, genes[0])]
    assert [each.id for each in read] == ["chr2.g1", "chr1.g1", f"{odd}.g1"]


def test_no_gene_is_a_file_with_a_header(tmp_path):
    write_gff3([], tmp_path / "genes.gff3", {"chr1": 5})
    assert (tmp_path / "genes.gff3").read_text() == "##gff-version 3\n##sequence-region chr1 1 5\n"


BAD = [
    ({"chr1": 56}, r"genes\.gff3: a gene ends at chr1:57, and chr1 is 56 bp; give the sizes"),
    ({"chrI": 500}, "a gene ends at chr1:57, and chr1 is not in the genome; give the sizes"),
]


@pytest.mark.parametrize(("sizes", "message"), BAD)
def test_genes_off_the_genome_are_refused_and_nothing_is_written(sizes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_gff3([PLUS], tmp_path / "genes.gff3", sizes)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"genes\.gff3: cannot be written \(.*\); free some space"):
        write_gff3([PLUS], tmp_path / "file" / "genes.gff3", SIZES)


@pytest.fixture
def many(tmp_path):
    """Genes of both strands as decoded, with introns, written beside their genome."""
    rng = np.random.default_rng(3)
    settings = DecoderSettings(min_coding_bp=12, min_intron_bp=4, intron_score=2.0)
    emissions, ids = random_case(rng, 20_000)
    genes = decode_genes(emissions, ids, settings)
    assert {each.strand for each in genes} == {"+", "-"}
    assert max(len(each.coding_exons) for each in genes) > 2
    write_gff3(genes, tmp_path / "genes.gff3", {"chr": len(ids)})
    (tmp_path / "genome.fa").write_text(f">chr\n{decode(ids)}\n")
    return genes


def test_gffutils_reads_every_gene(many, tmp_path):
    """An independent reader: ids are unique, parents are there, sequences and phases read as a protein."""
    gffutils = pytest.importorskip("gffutils")
    path = str(tmp_path / "genes.gff3")
    features = gffutils.create_db(path, ":memory:", merge_strategy="create_unique", keep_order=True)
    assert features.dialect["fmt"] == "gff3"
    assert features.directives == ["gff-version 3", "sequence-region chr 1 20000"]
    genome = str(tmp_path / "genome.fa")
    found = list(features.features_of_type("gene"))
    assert len(found) == len(many)
    for one in found:
        (transcript,) = features.children(one, level=1)
        assert (transcript.featuretype, transcript.start, transcript.end) == ("mRNA", one.start, one.end)
        coding = list(features.children(transcript, featuretype="CDS", order_by="start"))
        exons = list(features.children(transcript, featuretype="exon", order_by="start"))
        assert [(c.start, c.end, c.strand) for c in coding] == [(e.start, e.end, one.strand) for e in exons]
        ordered = coding if one.strand == "+" else coding[::-1]
        text, phases_due = "", []
        for piece in ordered:
            phases_due.append(str(-len(text) % 3))
            text += piece.sequence(genome)  # reverse complement on strand -
        assert [piece.frame for piece in ordered] == phases_due
        codons = [text[at : at + 3] for at in range(0, len(text), 3)]
        assert codons[0] == "ATG"
        stops = [codon in ("TAA", "TAG", "TGA") for codon in codons]
        assert stops == [False] * (len(codons) - 1) + [True]


@pytest.mark.skipif(not shutil.which("gffread"), reason="gffread is not on the PATH")
def test_gffread_translates_every_gene(many, tmp_path):
    genes = many
    command = ["gffread", "-E", "genes.gff3", "-g", "genome.fa", "-y", "all.fa"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "rror" not in done.stderr
    assert "arning" not in done.stderr
    # -V drops what has a stop codon inside, -J what lacks its start or its stop codon: nothing is dropped.
    command = ["gffread", "-V", "-J", "genes.gff3", "-g", "genome.fa", "-y", "kept.fa", "-o", "kept.gff3"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "kept.fa").read_text() == (tmp_path / "all.fa").read_text()
    proteins = (tmp_path / "kept.fa").read_text().split(">")[1:]
    assert len(proteins) == len(genes)
    for protein, model in zip(proteins, genes, strict=True):
        residues = "".join(protein.split("\n")[1:])
        assert residues.startswith("M")
        assert len(residues) + 1 == sum(exon.width for exon in model.coding_exons) / 3
