import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from convnova.errors import InputError
from convnova.genome import Genome, Interval, genbank_sequences, read_annotation, read_genbank
from convnova.sequence import decode

pytest.importorskip("Bio")

BASES = "acgtn" * 40


def record(*features, name="chrI", version="", bases=BASES):
    """Return a GenBank record of features (key, location, qualifiers)."""
    lines = [f"LOCUS       {name}   {len(bases)} bp  DNA"]
    if version:
        lines += [f"ACCESSION   {version.split('.')[0]}", f"VERSION     {version}"]
    lines += ["FEATURES             Location/Qualifiers", f"     source          1..{len(bases)}"]
    for key, location, *qualifiers in features:
        lines.append(f"     {key:<16}{location}")
        lines += [f'                     /{text.replace("=", "=" + chr(34), 1)}"' for text in qualifiers]
    lines.append("ORIGIN")
    for start in range(0, len(bases), 60):
        row = bases[start : start + 60]
        lines.append(f"{start + 1:>9} " + " ".join(row[i : i + 10] for i in range(0, len(row), 10)))
    return "\n".join([*lines, "//", ""])


def write(tmp_path, *records):
    path = tmp_path / "file.gb"
    path.write_text("".join(records))
    return path


def spans(intervals):
    return [(interval.start, interval.end) for interval in intervals]


def test_join_and_complement_are_read_in_genomic_order(tmp_path):
    text = record(("CDS", "complement(join(11..30,41..60))", "gene=g2.t1"))
    (gene,) = read_annotation(write(tmp_path, text))
    assert (gene.id, gene.name, gene.interval) == ("g2.t1", "g2.t1", Interval("chrI", 10, 60, "-"))
    (transcript,) = gene.transcripts
    assert spans(transcript.coding_exons) == spans(transcript.exons) == [(10, 30), (40, 60)]
    assert (transcript.id, transcript.phase) == ("g2.t1", 0)


def test_partial_ends_keep_their_places_and_codon_start_is_the_phase(tmp_path):
    text = record(("CDS", "join(<1..30,41..>60)", "gene=g", "codon_start=3", "protein_id=p1"))
    (transcript,) = read_genbank(write(tmp_path, text))[0].transcripts
    assert (spans(transcript.coding_exons), transcript.phase, transcript.id) == ([(0, 30), (40, 60)], 2, "p1")


@pytest.mark.parametrize(
    "location",
    ["join(181..200,1..60)", "complement(join(181..200,1..60))"],
)
def test_what_goes_on_beyond_the_end_of_a_circle_is_left_out(tmp_path, caplog, location):
    text = record(("CDS", location, "gene=o"), ("CDS", "join(61..90,100..120)", "gene=g"))
    assert [gene.id for gene in read_genbank(write(tmp_path, text))] == ["g"]
    assert "record chrI, CDS o: left out, since it goes on beyond the end of a circle" in caplog.text


def test_a_cds_goes_with_the_mrna_that_has_its_introns(tmp_path):
    features = [
        ("gene", "1..150", "gene=ACT1", "locus_tag=Y1"),
        ("mRNA", "join(1..30,41..100)", "gene=ACT1", "locus_tag=Y1", "transcript_id=m1"),
        ("mRNA", "join(1..30,51..150)", "gene=ACT1", "locus_tag=Y1", "transcript_id=m2"),
        ("mRNA", "join(1..30,51..140)", "gene=ACT1", "locus_tag=Y1", "transcript_id=m3"),
        ("CDS", "join(11..30,51..80)", "gene=ACT1", "locus_tag=Y1", "protein_id=p2"),
        ("CDS", "join(11..30,61..80)", "gene=ACT1", "locus_tag=Y1", "protein_id=p4"),
        ("CDS", "join(11..30,41..80)", "gene=ACT1", "locus_tag=Y1", "protein_id=p1"),
    ]
    (gene,) = read_genbank(write(tmp_path, record(*features)))
    assert (gene.id, gene.name, spans([gene.interval])) == ("Y1", "ACT1", [(0, 150)])
    assert [(t.id, spans(t.exons), spans(t.coding_exons)) for t in gene.transcripts] == [
        ("m1", [(0, 30), (40, 100)], [(10, 30), (40, 80)]),
        ("m2", [(0, 30), (50, 150)], [(10, 30), (50, 80)]),
        ("m3", [(0, 30), (50, 140)], []),
        ("p4", [(10, 30), (60, 80)], [(10, 30), (60, 80)]),
    ]


def test_genes_of_one_name_and_genes_without_a_name_stay_apart(tmp_path):
    features = [
        ("gene", "1..30", "gene=trnL"),
        ("tRNA", "1..30", "gene=trnL"),
        ("gene", "101..130", "gene=trnL"),
        ("tRNA", "101..130", "gene=trnL"),
        ("CDS", "41..60"),
        ("CDS", "71..90"),
        ("repeat_region", "1..200"),
    ]
    genes = read_genbank(write(tmp_path, record(*features)))
    assert [(gene.id, spans([gene.interval]), len(gene.transcripts)) for gene in genes] == [
        ("trnL", [(0, 30)], 1),
        ("trnL", [(100, 130)], 1),
        ("chrI:41-60", [(40, 60)], 1),
        ("chrI:71-90", [(70, 90)], 1),
    ]


def test_records_are_chromosomes_and_give_a_genome(tmp_path):
    cds = ("CDS", "1..9", "gene=g")
    text = record(cds, name="A") + record(cds, name="B", version="NC_1.2", bases="acgt" * 9)
    path = write(tmp_path, text)
    sequences = dict(genbank_sequences(path))
    assert list(sequences) == ["A", "NC_1.2"]
    assert decode(sequences["A"]) == BASES.upper()
    assert sequences["A"].dtype == np.uint8
    fasta = tmp_path / "made.fa"
    fasta.write_text("".join(f">{name}\n{decode(ids)}\n" for name, ids in sequences.items()))
    genes = read_genbank(path, Genome.open(fasta))
    assert [gene.interval.chromosome for gene in genes] == ["A", "NC_1.2"]


def test_gzip_and_crlf_change_nothing(tmp_path):
    path = write(tmp_path, record(("CDS", "join(11..30,41..60)", "gene=g")))
    genes = read_annotation(path)
    path.write_bytes(gzip.compress(path.read_bytes().replace(b"\n", b"\r\n")))
    assert read_annotation(path) == genes


BAD = [
    (record(), r"file\.gb: no gene in the file; give GenBank records with features gene, mRNA or CDS"),
    (
        record(("CDS", "join(1..9,J00194.1:20..30)", "gene=g")),
        r"file\.gb, record chrI, CDS g: a part of it is on record J00194\.1; remove the feature",
    ),
    (
        record(("CDS", "1..9", "gene=g", "codon_start=4")),
        r"file\.gb, record chrI, CDS g: codon_start '4' is not 1, 2 or 3",
    ),
    (
        record(("CDS", "join(1..9,complement(20..30))", "gene=g")),
        r"file\.gb, record chrI, CDS g: the CDS is on chrI strand -, but transcript 'g' is on chrI strand \+",
    ),
    (
        record(("CDS", "150..200", "gene=g")),
        r"record chrI, CDS g: end 200 is past the end of chrI \(100 bp\)",
    ),
    ("LOCUS       x\n", r"file\.gb: "),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, text, message):
    fasta = tmp_path / "toy.fa"
    fasta.write_text(f">chrI\n{'ACGT' * 25}\n")
    with pytest.raises(InputError, match=message) as caught:
        read_annotation(write(tmp_path, text), Genome.open(fasta))
    assert "\n" not in str(caught.value)


def test_a_record_without_sequence_is_refused(tmp_path):
    text = record(("CDS", "1..9", "gene=g"))
    path = write(tmp_path, text[: text.index("ORIGIN")] + "ORIGIN\n//\n")
    assert len(read_genbank(path)) == 1
    with pytest.raises(InputError, match=r"record chrI: it has no sequence \(ORIGIN\); download it"):
        list(genbank_sequences(path))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no GenBank record in the file; a record begins with a line LOCUS"):
        read_genbank(write(tmp_path, ">chrI\nACGT\n"))


def test_a_missing_biopython_says_the_pip_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio", None)
    with pytest.raises(
        InputError, match=r"GenBank needs Biopython; install it with: pip install 'convnova\[genb"
    ):
        read_annotation(write(tmp_path, record()))


def test_real_records_read():
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    path = shared / "data/genes/fly_chr2L_test.gb.gz"
    if not path.exists():
        pytest.skip("the records are not here; set CONVNOVA_SHARED to the folder that has data/genes")
    genes, sequences = read_annotation(path), dict(genbank_sequences(path))
    assert len(genes) == len(sequences) == 100
    for gene in genes:
        (transcript,) = gene.transcripts
        width = sum(exon.width for exon in transcript.coding_exons)
        assert width % 3 == 0
        assert transcript.interval.end <= len(sequences[gene.interval.chromosome])
