"""VCF: read to the letter, refused in one line, and written with nothing changed but INFO."""

import gzip

import pytest

from convnova.errors import InputError
from convnova.genome.variant import Variant
from convnova.genome.vcf import Field, read_header, read_records, what_is_no_sequence, write_scored

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def written(folder, text, name="in.vcf"):
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def line(position, reference="A", alternate="C", chromosome="chrI"):
    return f"{chromosome}\t{position}\t.\t{reference}\t{alternate}\t.\t.\t.\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("AT", "A"), (11, "T", "")),
        (("A", "AGG"), (11, "", "GG")),
        (("A", "C"), (10, "A", "C")),
        (("ACGT", "AGGT"), (11, "C", "G")),
        (("CAA", "CA"), (11, "A", "")),  # the left one of equal bases
        (("GTC", "GAGC"), (11, "T", "AG")),
        (("A", "A"), (10, "", "")),
    ],
)
def test_a_variant_without_the_bases_that_both_alleles_share(given, expected):
    trimmed = Variant("chrI", 10, *given).trimmed()
    assert (trimmed.start, trimmed.reference, trimmed.alternate) == expected
    assert trimmed.growth == len(given[1]) - len(given[0])


def test_variants_are_shown_as_people_count():
    assert str(Variant("chrI", 99, "A", "C")) == "chrI:100:A>C"
    assert str(Variant("chrI", 99, "", "C")) == "chrI:100:->C"


@pytest.mark.parametrize(
    ("alternate", "kind"),
    [
        ("ACGTN", ""),
        ("acg", ""),
        ("*", "allele of an overlapping deletion"),
        ("<DEL>", "symbolic allele"),
        ("A[chr2:100[", "breakend"),
        ("]chr2:100]A", "breakend"),
        ("A.", "breakend"),
        ("R", "ambiguous bases"),
    ],
)
def test_what_alleles_are_that_spell_no_bases(alternate, kind):
    assert what_is_no_sequence(alternate) == kind


@pytest.mark.parametrize("name", ["in.vcf", "in.vcf.gz"])
def test_lines_are_read_as_they_are(tmp_path, name):
    path = written(tmp_path, HEADER + line(0) + line(5, "at", "A,<DEL>") + line(3, chromosome="chrII"), name)
    assert read_header(path)[-1].startswith("#CHROM")
    found = list(read_records(path))
    assert [(one.line, one.chromosome, one.start) for one in found] == [
        (3, "chrI", -1),
        (4, "chrI", 4),
        (5, "chrII", 2),
    ]
    assert found[1].alternates == ["A", "<DEL>"]
    assert found[1].variant("A", "I") == Variant("I", 4, "AT", "A", ".")
    (none,) = read_records(written(tmp_path, HEADER + line(5, alternate=".")))
    assert none.alternates == []


BROKEN = {
    "empty": ("", r"in\.vcf: after the lines with ## comes one with the columns #CHROM POS"),
    "no header": (line(5), r"line 1: a VCF file begins with ##fileformat=VCF; give one with its header"),
    "no columns": ("##fileformat=VCFv4.2\n" + line(5), r"line 2: after the lines with ## comes one"),
    "a column too few": (
        HEADER + "chrI\t5\t.\tA\n",
        r"line 3: 4 columns, separated by tabs, and the header has 8",
    ),
    "a position in words": (HEADER + line("five"), r"line 3: POS 'five' is not a whole number"),
    "a position below 0": (HEADER + line(-5), r"line 3: POS -5 is below 0"),
    "another REF": (HEADER + line(5, "A-"), r"line 3: REF 'A-' is no sequence; write letters"),
    "an empty allele": (HEADER + line(5, "A", "C,"), r"line 3: ALT 'C,' has an empty allele"),
    "unsorted": (HEADER + line(9) + line(5), r"line 4: position 5 comes after 9 on chrI; sort the file"),
    "mixed": (
        HEADER + line(9) + line(5, chromosome="chrII") + line(10),
        r"line 5: chrI comes again after another chromosome; sort the file",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_sorted_vcf_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        list(read_records(written(tmp_path, text)))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.vcf: no such file; give the path of a VCF file"):
        list(read_records(tmp_path / "none.vcf"))


SAMPLES = (
    '##fileformat=VCFv4.2\n##INFO=<ID=DP,Number=1,Type=Integer,Description="depth">\n'
    '##INFO=<ID=x,Number=A,Type=Float,Description="before">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
    "chrI\t5\trs1\tA\tC,G\t50\tPASS\tDP=3;x=1,2\tGT\t0|1\n"
    "chrI\t7\t.\tA\t<DEL>\t.\t.\tDP=4\tGT\t./.\n"
    "chrI\t9\t.\tA\t.\t.\t.\t.\tGT\t0/0\n"
)
NAN = float("nan")


def test_fields_are_added_and_all_else_stays(tmp_path):
    source = written(tmp_path, SAMPLES)
    fields = [Field("x", 'say "it"'), Field("y", "other")]
    scores = [[[0.5, -1.25], [NAN, 2]], [[NAN], [NAN]], [[], []]]
    out = tmp_path / "out.vcf"
    write_scored(out, source, fields, scores, {"chrI": 100})
    lines = out.read_text().splitlines()
    assert lines[:4] == [
        "##fileformat=VCFv4.2",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="depth">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">',
        "##contig=<ID=chrI,length=100>",
    ]
    assert lines[4] == '##INFO=<ID=x,Number=A,Type=Float,Description="say \\"it\\"">'
    assert [one.split("\t")[7] for one in lines[7:]] == ["DP=3;x=0.5,-1.25;y=.,2", "DP=4", "."]
    for before, after in zip(SAMPLES.splitlines()[5:], lines[7:], strict=True):
        assert (
            before.split("\t")[:7] + before.split("\t")[8:] == after.split("\t")[:7] + after.split("\t")[8:]
        )


def test_other_readers_read_what_is_compressed_and_indexed(tmp_path):
    pysam = pytest.importorskip("pysam")
    out = tmp_path / "out.vcf.gz"
    scores = [[[0.5, -1.25]], [[NAN]], [[]]]
    write_scored(out, written(tmp_path, SAMPLES), [Field("score", "of a model")], scores, {"chrI": 100})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.vcf", "out.vcf.gz", "out.vcf.gz.tbi"]
    with pysam.VariantFile(str(out)) as file:
        (first,) = file.fetch("chrI", 4, 5)
        assert first.info["score"] == (0.5, -1.25)
        assert first.info["DP"] == 3
        assert first.samples["S1"].phased
        assert len(list(file.fetch("chrI"))) == 3


def test_scores_that_are_not_one_a_line_leave_no_file(tmp_path):
    source = written(tmp_path, SAMPLES)
    with pytest.raises(ValueError, match="zip"):
        write_scored(tmp_path / "out.vcf", source, [Field("x", "")], [[[1.0, 2.0]]], {})
    assert not (tmp_path / "out.vcf").exists()


def test_a_bgzip_file_cut_between_blocks_is_told(tmp_path):
    pysam = pytest.importorskip("pysam")
    path = tmp_path / "in.vcf.gz"
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(HEADER.encode())
        file.flush()
        file.write(line(5).encode())
    assert len(list(read_records(path))) == 1
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(InputError, match=r"in\.vcf\.gz: the gzip file ends early; copy or download it again"):
        list(read_records(path))
