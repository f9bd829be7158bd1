import gzip
import logging
import os
from pathlib import Path

import pytest

from convnova.errors import InputError
from convnova.genome import (
    Gene,
    Genome,
    Interval,
    Transcript,
    read_annotation,
    read_gff3,
    read_gtf,
    read_old_gff,
)
from convnova.genome.annotation_files import annotation_format
from convnova.genome.files import read_lines
from convnova.genome.names import match_names, similar_name

T1 = 'gene_id "g1"; transcript_id "t1"; gene_name "ACT1";'


def line(type_, start, end, attributes=T1, strand="+", phase=".", chromosome="chrI"):
    return f"{chromosome}\ttest\t{type_}\t{start}\t{end}\t.\t{strand}\t{phase}\t{attributes}"


def write(tmp_path, *lines, name="file.gtf", end="\n"):
    path = tmp_path / name
    path.write_bytes((end.join(lines) + end).encode())
    return path


def spans(intervals):
    return [(interval.start, interval.end) for interval in intervals]


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text("".join(f">chr{name}\n{'ACGT' * 50}\n" for name in ("I", "II")))
    return Genome.open(path, tmp_path / "cache")


SPLICED = [
    line("gene", 1, 90, 'gene_id "g1"; gene_name "ACT1";'),
    line("transcript", 1, 90),
    line("exon", 1, 30),
    line("CDS", 11, 30, phase=1),
    line("exon", 41, 90),
    line("CDS", 41, 60, phase=0),
    line("start_codon", 11, 13),
    line("stop_codon", 61, 63),
]


def gencode(type_, start, end, transcript="", strand="+", phase=".", kind="protein_coding", gene="7"):
    """Return a line with the attributes, and in the order, that GENCODE writes."""
    attributes = f'gene_id "ENSG0000000000{gene}.5"; '
    if transcript:
        attributes += f'transcript_id "ENST0000000000{transcript}"; '
    attributes += f'gene_type "{kind}"; gene_name "GENE{gene}"; '
    if transcript:
        attributes += f'transcript_type "{kind}"; transcript_name "GENE{gene}-20{transcript[0]}"; '
    if type_ not in ("gene", "transcript"):
        attributes += 'exon_number 1; exon_id "ENSE00000000001.1"; '
    attributes += 'level 2; tag "basic"; tag "CCDS"; havana_gene "OTTHUMG00000000001.2";'
    return f"chrI\tHAVANA\t{type_}\t{start}\t{end}\t.\t{strand}\t{phase}\t{attributes}"


def test_gencode(tmp_path, genome):
    """Comments, versions, UTRs, a selenocysteine, a stop codon over a splice site, a lncRNA, strand -."""
    on_plus = dict(transcript="1.2")
    path = write(
        tmp_path,
        "##description: evidence-based annotation of the human genome (GRCh38), version 44 (Ensembl 110)",
        "##provider: GENCODE",
        "##format: gtf",
        gencode("gene", 1, 90),
        gencode("transcript", 1, 90, **on_plus),
        gencode("exon", 1, 30, **on_plus),
        gencode("CDS", 11, 30, **on_plus, phase=0),
        gencode("start_codon", 11, 13, **on_plus, phase=0),
        gencode("exon", 41, 60, **on_plus),
        gencode("CDS", 41, 58, **on_plus, phase=1),
        gencode("stop_codon", 59, 60, **on_plus, phase=0),
        gencode("exon", 71, 90, **on_plus),
        gencode("stop_codon", 71, 71, **on_plus, phase=1),
        gencode("Selenocysteine", 44, 46, **on_plus),
        gencode("UTR", 1, 10, **on_plus),
        gencode("UTR", 72, 90, **on_plus),
        gencode("transcript", 21, 60, transcript="2.1", kind="retained_intron"),
        gencode("exon", 21, 60, transcript="2.1", kind="retained_intron"),
        gencode("gene", 101, 160, gene="8", strand="-"),
        gencode("transcript", 101, 160, transcript="3.1", gene="8", strand="-"),
        gencode("exon", 141, 160, transcript="3.1", gene="8", strand="-"),
        gencode("CDS", 141, 155, transcript="3.1", gene="8", strand="-", phase=0),
        gencode("exon", 101, 120, transcript="3.1", gene="8", strand="-"),
        gencode("CDS", 112, 120, transcript="3.1", gene="8", strand="-", phase=0),
        gencode("stop_codon", 109, 111, transcript="3.1", gene="8", strand="-", phase=0),
        gencode("gene", 171, 190, gene="9", kind="lncRNA"),
        gencode("transcript", 171, 190, transcript="4.1", gene="9", kind="lncRNA"),
        gencode("exon", 171, 190, transcript="4.1", gene="9", kind="lncRNA"),
    )
    first, second, third = read_annotation(path, genome)
    assert [(gene.id, gene.name) for gene in (first, second, third)] == [
        (f"ENSG0000000000{number}.5", f"GENE{number}") for number in (7, 8, 9)
    ]
    coding, retained = first.transcripts
    assert coding.id == "ENST00000000001.2"
    assert spans(coding.exons) == [(0, 30), (40, 60), (70, 90)]
    assert spans(coding.coding_exons) == [(10, 30), (40, 60), (70, 71)]
    assert (spans(retained.exons), spans(retained.coding_exons)) == ([(20, 60)], [])
    assert spans(second.transcripts[0].exons) == [(100, 120), (140, 160)]
    assert spans(second.transcripts[0].coding_exons) == [(108, 120), (140, 155)]
    assert second.interval.strand == "-"
    assert spans(third.transcripts[0].coding_exons) == []


def test_a_transcript_on_two_chromosomes_is_two_and_the_genes_need_no_line(tmp_path):
    copies = [line("CDS", 1, 30, chromosome=name) for name in ("chrX", "chrY")]
    genes = read_gtf(write(tmp_path, *copies))
    assert [(gene.interval.chromosome, gene.transcripts[0].id) for gene in genes] == [
        ("chrX", "t1"),
        ("chrY", "t1"),
    ]


def test_a_transcript_on_two_strands_is_left_out_with_its_gene(tmp_path, caplog):
    others = [line("CDS", 1, 30, f'gene_id "g{n}"; transcript_id "t{n}"') for n in range(2, 32)]
    spliced = [line("CDS", 1, 30), line("CDS", 41, 60, strand="-")]
    genes = read_gtf(write(tmp_path, *spliced, *others))
    assert [gene.id for gene in genes] == [f"g{n}" for n in range(2, 32)]
    assert "left out are 1 of 31 transcripts" in caplog.text


def test_augustus_writes_bare_ids_on_the_lines_of_genes_and_transcripts(tmp_path):
    ids = 'transcript_id "g1.t1"; gene_id "g1";'
    lines = [line("gene", 1, 90, "g1"), line("transcript", 1, 90, "g1.t1"), line("CDS", 11, 40, ids)]
    (gene,) = read_annotation(write(tmp_path, *lines))
    assert (gene.id, spans([gene.interval]), [t.id for t in gene.transcripts]) == ("g1", [(0, 90)], ["g1.t1"])
    assert spans(gene.transcripts[0].coding_exons) == [(10, 40)]


def test_the_stop_codon_outside_the_cds_is_put_back(tmp_path):
    exons = (Interval("chrI", 0, 30, "+"), Interval("chrI", 40, 90, "+"))
    coding = (Interval("chrI", 10, 30, "+"), Interval("chrI", 40, 63, "+"))
    body = Interval("chrI", 0, 90, "+")
    expected = [Gene(body, "g1", "ACT1", (Transcript("t1", body, exons, coding, phase=1),))]
    assert read_gtf(write(tmp_path, *SPLICED)) == expected
    assert read_gtf(write(tmp_path, *SPLICED[2:])) == expected  # no lines for gene and transcript
    assert read_gtf(write(tmp_path, *reversed(SPLICED))) == expected


@pytest.mark.parametrize(
    ("strand", "stops", "coding"),
    [
        ("+", [(61, 63)], [(10, 30), (40, 63)]),
        ("-", [(8, 10)], [(7, 30), (40, 60)]),
        ("+", [(58, 60)], [(10, 30), (40, 60)]),  # it is in the CDS already, as JGI and AUGUSTUS have it
        ("+", [(61, 61), (81, 82)], [(10, 30), (40, 61), (80, 82)]),  # an intron parts it
        ("+", [(81, 83)], [(10, 30), (40, 60), (80, 83)]),
        ("+", [], [(10, 30), (40, 60)]),
    ],
)
def test_stop_codons_of_every_kind(tmp_path, strand, stops, coding):
    rows = [line("CDS", 11, 30, strand=strand), line("CDS", 41, 60, strand=strand)]
    rows += [line("stop_codon", *stop, strand=strand) for stop in stops]
    transcript = read_gtf(write(tmp_path, *rows))[0].transcripts[0]
    assert spans(transcript.coding_exons) == spans(transcript.exons) == coding


def test_transcripts_are_tied_by_ids_in_any_place_and_writing(tmp_path):
    rows = [
        line("exon", 1, 30, 'ref_gene_id "no"; gene_id "g1"; gene_version "2"; transcript_id "t1"'),
        line("exon", 1, 60, "transcript_id t2; gene_id g1; gene ACT1"),
        line("exon", 70, 90, "transcript_id t3; gene_id g2; gene ACT2"),
        line("exon", 41, 60, 'gene_id "g1"; transcript_id "t1";'),
        line("gene", 1, 90, 'gene_id "g3"; transcript_id "";', strand="?"),  # NCBI's gene lines
    ]
    one, two, three = read_gtf(write(tmp_path, *rows))
    assert [(t.id, spans(t.exons)) for t in one.transcripts] == [
        ("t1", [(0, 30), (40, 60)]),
        ("t2", [(0, 60)]),
    ]
    assert (one.interval, one.name) == (Interval("chrI", 0, 60, "+"), "g1")
    assert (two.name, two.transcripts[0].coding_exons) == ("ACT2", ())
    assert (three.interval.strand, three.transcripts) == (".", ())


def test_a_gene_id_on_two_chromosomes_is_two_genes(tmp_path):
    rows = [line("exon", 1, 9, f'gene_id "g"; transcript_id "t{name}"', chromosome=name) for name in "XY"]
    genes = read_gtf(write(tmp_path, *rows))
    assert [(gene.id, gene.interval.chromosome) for gene in genes] == [("g", "X"), ("g", "Y")]


JGI = [
    line("exon", 1, 30, 'name "e_gw1.1"; transcriptId 7', "-"),
    line("CDS", 1, 30, 'name "e_gw1.1"; proteinId 5; exonNumber 2', "-", 2),
    line("exon", 41, 90, 'name "e_gw1.1"; transcriptId 7', "-"),
    line("CDS", 41, 80, 'name "e_gw1.1"; proteinId 5; exonNumber 1', "-", 1),
    line("start_codon", 78, 80, 'name "e_gw1.1"', "-"),
    line("stop_codon", 1, 3, 'name "e_gw1.1"', "-", 0),
]


def test_old_gff_is_tied_by_name(tmp_path):
    (gene,) = read_old_gff(write(tmp_path, *JGI))
    assert (gene.id, gene.name, gene.interval) == ("e_gw1.1", "e_gw1.1", Interval("chrI", 0, 90, "-"))
    (transcript,) = gene.transcripts
    assert (transcript.id, transcript.phase) == ("7", 1)
    assert spans(transcript.exons) == [(0, 30), (40, 90)]
    assert spans(transcript.coding_exons) == [(0, 30), (40, 80)]


GFF3 = [line("gene", 1, 90, "ID=g1;Name=ACT1"), line("CDS", 1, 90, "Parent=g1")]


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        (GFF3, "GFF3"),
        (SPLICED, "GTF"),
        (["#!genome-build x", line("gene", 1, 9, "."), *SPLICED], "GTF"),
        (JGI, "old GFF"),
        (["", "##gff-version 3", *GFF3], "GFF3"),
        (["LOCUS       x   9 bp  DNA"], "GenBank"),
    ],
)
def test_the_format_is_found_by_its_content(tmp_path, lines, form):
    assert annotation_format(write(tmp_path, *lines, name="file")) == form


def test_read_annotation_says_what_it_read(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert read_annotation(write(tmp_path, *SPLICED, name="x.gff3")) == read_gtf(tmp_path / "x.gff3")
    assert "x.gff3: GTF, 1 genes, 1 transcripts, 1 of them coding" in caplog.text


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind_read_the_same(tmp_path, end, compress):
    path = write(tmp_path, *SPLICED, end=end)
    path.write_bytes(compress(path.read_bytes()))
    assert [text for _, text in read_lines(path, "a file")] == SPLICED
    assert read_annotation(path)[0].name == "ACT1"


def test_mixed_line_ends_read_the_same(tmp_path):
    path = tmp_path / "mixed.gtf"
    path.write_bytes(b"a\r\nb\nc\rd\r\n\r\ne")
    assert list(read_lines(path, "a file")) == list(enumerate(["a", "b", "c", "d", "", "e"], start=1))


@pytest.mark.parametrize(
    ("names", "known", "expected"),
    [
        (["chrI"], ["chrI", "chrII"], ["chrI"]),
        (["1", "X", "MT"], ["chr1", "chrX", "chrM"], ["chr1", "chrX", "chrM"]),
        (["chr1", "chrM"], ["1", "MT"], ["1", "MT"]),
        (["Chr1", "chr_2"], ["1", "2"], ["1", "2"]),
        (["I", "X", "Mito"], ["chr1", "chr10", "chrM"], ["chr1", "chr10", "chrM"]),
        (["chr10", "9"], ["chrIX", "chrX"], ["chrX", "chrIX"]),
        (["1", "chr1"], ["chrI"], None),  # two for one
        (["X", "10"], ["chr10", "chr2"], None),  # X is no Roman ten here
        (["1", "scaffold_3"], ["chr1"], None),
    ],
)
def test_names_match_by_one_rule_for_all(names, known, expected):
    assert match_names(names, known) == (expected and dict(zip(names, expected, strict=True)))


@pytest.mark.parametrize(
    ("name", "expected"), [("1", "chr1"), ("X", "chrX"), ("IX", "chr9"), ("MT", "chrM"), ("scaffold_3", None)]
)
def test_the_name_that_is_offered_is_the_likeliest(name, expected):
    assert similar_name(name, ["chr1", "chr9", "chr10", "chrX", "chrM"]) == expected


def test_chromosomes_are_called_as_in_the_genome_and_it_is_said(tmp_path, genome, caplog):
    caplog.set_level(logging.INFO)
    text = "\n".join(SPLICED)
    path = write(tmp_path, text.replace("chrI\t", "1\t"), text.replace("chrI\t", "2\t").replace('"g', '"h'))
    first, second = read_annotation(path, genome)
    assert first.interval == Interval("chrI", 0, 90, "+")
    assert second.transcripts[0].exons[0].chromosome == "chrII"
    assert "chromosomes are called as in toy.fa: 1 -> chrI, 2 -> chrII" in caplog.text


NO_GENE_ID = 'transcript_id "t1";'
BAD = [
    (
        [line("exon", 1, 9, NO_GENE_ID)],
        r', line 1: no gene_id in column 9 of the exon; GTF ties lines by gene_id "g1"',
    ),
    (
        [SPLICED[0], line("CDS", 1, 9, 'gene_id "g1"')],
        r", line 2: no transcript_id in column 9 of the CDS; .* add it",
    ),
    (
        [line("exon", 1, 9, 'gene_name "x"')],
        r", line 1: no name in column 9 of the exon; old GFF .*, GTF by gene_id",
    ),
    ([*SPLICED, line("exon", 100, 300)], r", line 9: end 300 is past the end of chrI \(200 bp\); shorten"),
    (
        [*SPLICED, line("exon", 1, 9, chromosome="3")],
        r", line 9: chromosome '3' is not in toy\.fa, which has chrI, chrII; use one of these names",
    ),
    (  # chrII is there too, so that 2 is no other name of it
        [
            line("exon", 1, 9, f'gene_id "{name}"; transcript_id "t"', chromosome=name)
            for name in ("chrII", "2")
        ],
        r", line 2: chromosome '2' is not in toy\.fa, which has chrI, chrII; did you mean 'chrII'\?",
    ),
    (
        [line("exon", 1, 9), line("exon", 20, 29, strand="-")],
        r", line 2: the exon is on chrI strand -, but transcript 't1' is on chrI strand \+ by line 1",
    ),
    (
        [line("exon", 20, 40), line("exon", 1, 20)],
        r", line 1: the exon overlaps the one of line 2 in transcript 't1'; .* correct or remove one",
    ),
    (
        [line("CDS", 1, 20), line("CDS", 18, 40)],
        r", line 2: the CDS overlaps the one of line 1 in transcript 't1' by more than a frameshift",
    ),
    (
        [line("exon", 1, 20), line("exon", 31, 40), line("CDS", 11, 20), line("CDS", 29, 38)],
        r", line 4: the CDS chrI:29-38 is not inside an exon of transcript 't1'; complete its exons",
    ),
    (
        [line("exon", 1, 20), line("CDS", 31, 40)],
        r", line 2: the CDS chrI:31-40 is not inside an exon",
    ),
    ([line("stop_codon", 1, 3)], r", line 1: transcript 't1' has a stop codon but no CDS and no exon; add"),
    ([line("repeat", 1, 3)], r": no gene in the file; give GTF that has lines of type exon or CDS"),
    (
        [line("exon", 1, 9).replace("\t+", "")],
        r", line 1: this is no annotation; .* this line has 8\) or GenBank",
    ),
    ([">chr1", "ACGT"], r", line 1: this is no annotation; give GFF3, GTF, old GFF .*; this line has 1\)"),
    ([line("exon", 1, 9, ".")], r": no line has attributes in column 9; give GFF3, GTF, old GFF or GenBank"),
    ([], r": the file is empty; give GFF3, GTF, old GFF or GenBank with genes"),
    (["# nothing"], r": the file is empty"),
    (
        [SPLICED[0], "chrI\tx"],
        r", line 2: GTF has 9 columns, separated by tabs; this line has 2, so correct it",
    ),
]


@pytest.mark.parametrize(("lines", "message"), BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, genome, lines, message):
    with pytest.raises(InputError, match=rf"file\.gtf{message}") as caught:
        read_annotation(write(tmp_path, *lines), genome)
    assert "\n" not in str(caught.value)


def test_files_of_another_format_are_named(tmp_path):
    with pytest.raises(
        InputError, match=r"line 1: attribute .* is not of the form key=value; GTF is another format"
    ):
        read_gff3(write(tmp_path, *SPLICED))
    with pytest.raises(InputError, match=r"line 1: no gene_id .*; add it, or give the file as GFF3"):
        read_gtf(write(tmp_path, *GFF3))
    with pytest.raises(InputError, match=r"nowhere\.gtf: no such file; give the path of an annotation"):
        read_annotation(tmp_path / "nowhere.gtf")


REAL = {  # genes, transcripts, coding ones, introns between exons
    "yeast/saccharomyces_cerevisiae_R64.gff3.gz": (6399, 5989, 5989, 327),
    "zymoseptoria/FrozenGeneCatalog20080910.gff.gz": (10952, 10952, 10952, 17661),
    "one_percent/at1pct.gff3.gz": (380, 500, 459, 2134),
    "one_percent/dm1pct.gff3.gz": (108, 235, 235, 1233),
    "ecoli/GCF_000005845.2_ASM584v2_genomic.gff.gz": (4639, 4522, 4315, 19),
}


@pytest.mark.parametrize(("name", "expected"), REAL.items())
def test_real_annotations_read(name, expected):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    path = shared / "data/genomes" / name
    if not path.exists():
        pytest.skip("the annotation is not here; set CONVNOVA_SHARED to the folder that has data/genomes")
    genes = read_annotation(path)
    transcripts = [transcript for gene in genes for transcript in gene.transcripts]
    n_coding = sum(bool(transcript.coding_exons) for transcript in transcripts)
    assert (len(genes), len(transcripts), n_coding, sum(len(t.introns) for t in transcripts)) == expected
