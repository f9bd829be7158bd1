import gzip
import os
from pathlib import Path

import pytest

from convnova.errors import InputError
from convnova.genome import Gene, Genome, Interval, Transcript, read_gff3


def gff3(*rows):
    """Return GFF3 text of rows (type, start, end, strand, attributes) on chrI."""
    lines = [
        f"chrI\ttest\t{type_}\t{start}\t{end}\t.\t{strand}\t.\t{more}"
        for type_, start, end, strand, more in rows
    ]
    return "##gff-version 3\n" + "\n".join(lines) + "\n"


def write(tmp_path, text):
    path = tmp_path / "file.gff3"
    path.write_text(text)
    return path


def read(tmp_path, *rows):
    return read_gff3(write(tmp_path, gff3(*rows)))


def spans(intervals):
    return [(interval.start, interval.end) for interval in intervals]


SPLICED = [
    ("gene", 11, 100, "-", "ID=g1;Name=ACT1"),
    ("mRNA", 11, 100, "-", "ID=t1;Parent=g1"),
    ("exon", 11, 100, "-", "ID=e1;Parent=t1"),
    ("CDS", 71, 90, "-", "ID=c1;Parent=t1"),
    ("CDS", 21, 50, "-", "ID=c1;Parent=t1"),
]


def test_coordinates_become_0_based_half_open_in_genomic_order(tmp_path):
    (gene,) = read(tmp_path, *SPLICED)
    exons = (Interval("chrI", 20, 50, "-"), Interval("chrI", 70, 90, "-"))
    body = Interval("chrI", 10, 100, "-")
    assert gene == Gene(body, "g1", "ACT1", (Transcript("t1", body, (body,), exons),))
    assert gene.transcripts[0].introns == ()
    assert gene.transcripts[0].coding_introns == (Interval("chrI", 50, 70, "-"),)


def test_genes_without_any_id_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"line 2: the gene has no ID, nor has any other; add one, as in ID="
    ):
        read(tmp_path, ("gene", 1, 9, "+", "Name=g"), ("CDS", 1, 9, "+", "Parent=g"))


def test_a_transcript_without_an_id_is_passed_over(tmp_path, caplog):
    assert read(tmp_path, *SPLICED, ("tRNA", 1, 9, "+", "Name=tRNA")) == read(tmp_path, *SPLICED)
    assert "line 7: the transcript has no ID; 1 lines are left out" in caplog.text


def test_the_second_line_of_a_trans_spliced_gene_is_passed_over(tmp_path, caplog):
    others = [("gene", n, n + 1, "+", f"ID=o{n}") for n in range(200, 240)]
    genes = read(tmp_path, *SPLICED, *others, ("gene", 151, 190, "+", "ID=g1;Name=ACT1"))
    assert genes == read(tmp_path, *SPLICED, *others)
    assert "line 47: ID 'g1' is taken by line 2; 1 lines are left out" in caplog.text


def test_children_may_come_before_their_parents(tmp_path):
    assert read(tmp_path, *reversed(SPLICED)) == read(tmp_path, *SPLICED)


@pytest.mark.parametrize(
    ("segments", "introns"),
    [
        ([(1, 30)], []),
        ([(1, 30), (41, 60), (71, 90)], [(30, 40), (60, 70)]),
        ([(1, 30), (32, 60)], [(30, 31)]),  # programmed +1 frameshift: one base is skipped
        ([(1, 30), (30, 60)], []),  # programmed -1 frameshift: one base is read twice
        ([(1, 30), (31, 60)], []),
    ],
)
def test_introns_are_the_gaps_between_coding_exons(tmp_path, segments, introns):
    rows = [("CDS", start, end, "+", "ID=c;Parent=t") for start, end in segments]
    (gene,) = read(tmp_path, ("gene", 1, 90, "+", "ID=g"), ("mRNA", 1, 90, "+", "ID=t;Parent=g"), *rows)
    assert spans(gene.transcripts[0].coding_introns) == spans(gene.transcripts[0].introns) == introns


def test_a_gene_without_transcript_lines_is_its_own_transcript(tmp_path):
    rows = [("gene", 1, 90, "+", "ID=gene-b1;Name=thrL"), ("CDS", 1, 90, "+", "ID=cds-1;Parent=gene-b1")]
    (gene,) = read(tmp_path, *rows)
    coding = (Interval("chrI", 0, 90, "+"),)
    assert gene.transcripts == (Transcript("gene-b1", gene.interval, coding, coding),)


def test_transcripts_of_a_gene_share_exons_with_several_parents(tmp_path):
    rows = [
        ("ncRNA_gene", 1, 90, "?", "ID=n"),
        ("lnc_RNA", 1, 90, "?", "ID=n1;Parent=n"),
        ("gene", 1, 90, "+", "ID=g"),
        ("mRNA", 1, 90, "+", "ID=t1;Parent=g"),
        ("transcript", 1, 60, "+", "ID=t2;Parent=g"),
        ("miRNA", 5, 20, "+", "ID=m;Parent=t2"),
        ("CDS", 1, 30, "+", "Parent=t1,t2"),
        ("tRNA", 95, 99, "+", "ID=without_a_gene"),
    ]
    noncoding, coding = read(tmp_path, *rows)
    assert (noncoding.interval.strand, noncoding.transcripts[0].coding_exons) == (".", ())
    assert [(t.id, spans(t.coding_exons)) for t in coding.transcripts] == [
        ("t1", [(0, 30)]),
        ("t2", [(0, 30)]),
    ]


def test_transcripts_of_a_file_without_genes_are_tied_by_geneid(tmp_path):
    rows = [
        ("mRNA", 1, 90, "+", "ID=t1;geneID=g"),
        ("CDS", 1, 30, "+", "Parent=t1"),
        ("mRNA", 1, 60, "+", "ID=t2;geneID=g"),
        ("CDS", 1, 60, "+", "Parent=t2"),
        ("transcript", 91, 96, "-", "ID=t3;Name=three"),
        ("exon", 91, 96, "-", "Parent=t3"),
    ]
    first, second = read(tmp_path, *rows)
    assert (first.id, first.interval.end, [one.id for one in first.transcripts]) == ("g", 90, ["t1", "t2"])
    assert (second.id, second.name, spans(second.transcripts[0].exons)) == ("t3", "three", [(90, 96)])


def test_a_few_transcripts_on_two_strands_are_left_out_and_logged(tmp_path, caplog):
    rows = []
    for number in range(30):
        strand = "-" if number == 7 else "+"
        rows.append(("gene", 1, 90, "+", f"ID=g{number}"))
        rows.append(("mRNA", 1, 90, "+", f"ID=t{number};Parent=g{number}"))
        rows.append(("CDS", 1, 30, strand, f"Parent=t{number}"))
    genes = read(tmp_path, *rows)
    assert [gene.id for gene in genes] == [f"g{number}" for number in range(30) if number != 7]
    assert "transcript 't7' is on chrI strand +" in caplog.text
    assert "left out are 1 of 30 transcripts" in caplog.text
    message = r"line 4: the CDS is on chrI strand -.* \(1 of 2 transcripts are like this\)"
    with pytest.raises(InputError, match=message):
        read(tmp_path, *rows[21:27])


def test_exons_hold_the_coding_exons_and_give_the_introns(tmp_path):
    rows = [
        ("gene", 1, 90, "-", "ID=g"),
        ("mRNA", 1, 90, "-", "ID=t;Parent=g"),
        ("exon", 61, 90, "-", "Parent=t"),
        ("exon", 1, 20, "-", "Parent=t"),
        ("exon", 31, 50, "-", "Parent=t"),
        ("CDS", 36, 50, "-", "Parent=t"),
        ("CDS", 61, 70, "-", "Parent=t"),
    ]
    transcript = read(tmp_path, *rows)[0].transcripts[0]
    assert spans(transcript.exons) == [(0, 20), (30, 50), (60, 90)]
    assert spans(transcript.coding_exons) == [(35, 50), (60, 70)]
    assert spans(transcript.introns) == [(20, 30), (50, 60)]
    assert spans(transcript.coding_introns) == [(50, 60)]


@pytest.mark.parametrize(("start", "end"), [(71, 87), (71, 90)])
def test_a_stop_codon_line_outside_the_cds_is_put_back(tmp_path, start, end):
    rows = [
        ("gene", 11, 100, "+", "ID=g"),
        ("mRNA", 11, 100, "+", "ID=t;Parent=g"),
        ("CDS", start, end, "+", "ID=c;Parent=t"),
        ("stop_codon", 88, 90, "+", "Parent=t"),
    ]
    assert spans(read(tmp_path, *rows)[0].transcripts[0].coding_exons) == [(70, 90)]


@pytest.mark.parametrize(("strand", "phase"), [("+", 1), ("-", 2)])
def test_the_phase_is_that_of_the_first_coding_exon_in_reading_direction(tmp_path, strand, phase):
    text = gff3(("gene", 1, 90, strand, "ID=g"))
    for start, end, number in [(61, 90, 2), (1, 30, 1)]:
        text += f"chrI\t.\tCDS\t{start}\t{end}\t.\t{strand}\t{number}\tID=c;Parent=g\n"
    assert read_gff3(write(tmp_path, text))[0].transcripts[0].phase == phase


def test_proteins_of_one_gene_are_transcripts_by_their_ids(tmp_path):
    rows = [
        ("gene", 1, 90, "+", "ID=g"),
        ("CDS", 1, 30, "+", "ID=long;Parent=g"),
        ("CDS", 41, 90, "+", "ID=long;Parent=g"),
        ("CDS", 61, 90, "+", "ID=short;Parent=g"),
    ]
    transcripts = read(tmp_path, *rows)[0].transcripts
    assert [(t.id, spans(t.coding_exons)) for t in transcripts] == [
        ("long", [(0, 30), (40, 90)]),
        ("short", [(60, 90)]),
    ]


def test_a_few_cds_whose_parents_were_cut_off_are_left_out_and_counted(tmp_path, caplog):
    lost = ("CDS", 95, 99, "+", "Parent=beyond")
    assert read(tmp_path, *SPLICED, lost) == read(tmp_path, *SPLICED)
    assert "line 7: Parent 'beyond' of the CDS is no gene or transcript" in caplog.text
    assert "1 of 3 CDS lines are left out for this reason" in caplog.text


LOST = [
    ("ID=t", "the transcript has no Parent", "add the ID of its gene, or remove all gene lines"),
    ("ID=t;Parent=g9", "Parent 'g9' of the transcript is no gene of the file", "add its line or remove"),
]


def test_transcripts_whose_genes_were_cut_away_are_tied_by_their_parent(tmp_path):
    rows = [
        ("mRNA", 1, 90, "+", "ID=t1;Parent=g1;Name=one"),
        ("CDS", 1, 30, "+", "Parent=t1"),
        ("mRNA", 11, 60, "+", "ID=t2;Parent=g1;Name=two"),
        ("CDS", 11, 40, "+", "Parent=t2"),
        ("miRNA", 71, 90, "+", "ID=m;Parent=t1"),
        ("mRNA", 101, 190, "-", "ID=t3;Parent=g2"),
        ("CDS", 101, 130, "-", "Parent=t3"),
    ]
    first, second = read(tmp_path, *rows)
    assert (first.id, first.name, first.interval) == ("g1", "g1", Interval("chrI", 0, 90, "+"))
    assert [(one.id, spans(one.coding_exons)) for one in first.transcripts] == [
        ("t1", [(0, 30)]),
        ("t2", [(10, 40)]),
    ]
    assert (second.id, [one.id for one in second.transcripts]) == ("g2", ["t3"])


@pytest.mark.parametrize(("attributes", "fault", "advice"), LOST, ids=["no parent", "no such parent"])
def test_coding_transcripts_that_are_of_no_gene_are_told(tmp_path, caplog, attributes, fault, advice):
    lost = [("mRNA", 111, 140, "+", attributes), ("CDS", 111, 140, "+", "Parent=t")]
    with pytest.raises(InputError, match=rf"line 3: {fault}; {advice}"):
        read(tmp_path, SPLICED[0], *lost)
    assert read(tmp_path, *SPLICED, *lost) == read(tmp_path, *SPLICED)
    assert f"line 7: {fault}; 1 of 2 transcript lines are left out for this reason" in caplog.text


def test_attributes_are_percent_decoded_after_they_are_parted(tmp_path):
    rows = [
        ("gene", 1, 9, "+", "ID=g%2C1; Name=a%3Bb%20c"),
        ("mRNA", 1, 9, "+", "ID=t;Parent=g%2C1"),
    ]
    (gene,) = read(tmp_path, *rows)
    assert (gene.id, gene.name, gene.transcripts[0].id) == ("g,1", "a;b c", "t")


def test_gzip_comments_and_a_fasta_section_change_nothing(tmp_path):
    path = tmp_path / "file.gff3.gz"
    path.write_bytes(gzip.compress(("# x\n\n" + gff3(*SPLICED) + "###\n##FASTA\n>chrI\nACGT\n").encode()))
    assert read_gff3(path) == read(tmp_path, *SPLICED)


GENE = "chrI\t.\tgene\t1\t9\t.\t+\t.\tID=g"
BAD_LINES = [
    ("chrI\t.\tgene\t1\t9", r"GFF3 has 9 columns, separated by tabs; this line has 5"),
    (GENE.replace("\t", " "), r".*; this line has 1"),
    (GENE.replace("\t1\t", "\tone\t"), r"start 'one' is not a whole number"),
    (GENE.replace("\t9\t", "\t\t"), r"end '' is not a whole number"),
    (GENE.replace("\t1\t", "\t0\t"), r"start 0, end 9; GFF3 counts from 1"),
    (GENE.replace("\t1\t", "\t10\t"), r"start 10, end 9; .* its start is not after its end"),
    (GENE.replace("+", "*"), r".*strand '\*' is not allowed; use one of \+ - \."),
    (
        GENE.replace("ID=g", 'gene_id "g"'),
        r"attribute 'gene_id \"g\"' \(column 9\) is not of the form key=value; GTF",
    ),
    (
        GENE.replace("ID=g", "ID=g0"),
        r"ID 'g0' is taken by line 2 \(1 ids are taken twice\); give each its own",
    ),
    (GENE.replace("+\t.", "+\t3"), r"phase '3' \(column 8\) is not allowed; use one of \. 0 1 2"),
    (
        "chrI\t.\tCDS\t1\t9\t.\t+\t0\tID=c",
        r"the CDS has no Parent, nor has any other; add the ID of its transcript or gene, as in Parent=gene1",
    ),
    (
        "chrI\t.\tCDS\t1\t9\t.\t+\t0\tParent=t9",
        r"Parent 't9' of the CDS is no gene or transcript of the file",
    ),
    (GENE.replace("\t9\t", "\t300\t"), r"end 300 is past the end of chrI \(200 bp\); shorten"),
    (
        GENE.replace("chrI", "chr1"),
        r"chromosome 'chr1' is not in toy\.fa, which has chrI; did you mean 'chrI'\?",
    ),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_lines_are_refused_by_number(tmp_path, line, message):
    fasta = tmp_path / "toy.fa"
    fasta.write_text(f">chrI\n{'ACGT' * 50}\n")
    path = write(tmp_path, f"##gff-version 3\n{GENE}0\n{line}\n")
    with pytest.raises(InputError, match=rf"file\.gff3, line 3: {message}") as caught:
        read_gff3(path, Genome.open(fasta))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "##gff-version 3\n", gff3(("repeat_region", 1, 9, "+", "ID=r"))])
def test_a_file_without_genes_is_refused(tmp_path, text):
    with pytest.raises(
        InputError, match=r"file\.gff3: no gene in the file; give GFF3 that has lines of type gene"
    ):
        read_gff3(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.gff3: no such file; give the path of a GFF3 file"):
        read_gff3(tmp_path / "nowhere.gff3")


def test_the_real_yeast_annotation_fits_its_genome(tmp_path):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    yeast = shared / "data/genomes/yeast/saccharomyces_cerevisiae_R64"
    if not yeast.with_suffix(".gff3.gz").exists():
        pytest.skip(
            "the yeast annotation is not here; set CONVNOVA_SHARED to the folder that has data/genomes"
        )
    genes = read_gff3(yeast.with_suffix(".gff3.gz"), Genome.open(yeast.with_suffix(".fa.gz"), cache=tmp_path))
    transcripts = [transcript for gene in genes for transcript in gene.transcripts]
    gaps = [intron.width for transcript in transcripts for intron in transcript.coding_introns]
    assert (len(genes), len(transcripts)) == (6399, 5989)
    assert (gaps.count(1), sum(width > 1 for width in gaps)) == (47, 280)  # frameshifts, introns
    act1 = next(gene for gene in genes if gene.name == "ACT1")
    assert [intron.width for intron in act1.transcripts[0].coding_introns] == [309]
