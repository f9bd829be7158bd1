"""What is wrong with a file of sequences is one line: the file, the place in it, what to do."""

import gzip

import polars as pl
import pytest

from convnova.data.reading import ReadSettings, read_sequences
from convnova.errors import InputError

HEADER = "sequence,label\n"

BAD_FILES = {
    "empty sequence": ("a.csv", HEADER + "AC,0\n,1\n", r"a\.csv, line 3: the sequence is empty; remove it"),
    "only spaces": ("a.csv", HEADER + "  ,1\n", r"line 2: the sequence is empty"),
    "protein": (
        "a.csv",
        HEADER + "AC,0\nMKLV,1\n",
        r"line 3, position 3: 'L' is not .*; this reads like a protein",
    ),
    "digits": (
        "a.csv",
        HEADER + "AC1GT,0\n",
        r"line 2, position 3: '1' is not .*; write the sequence without dig",
    ),
    "spaces": (
        "a.csv",
        HEADER + "AC GT,0\n",
        r"line 2, position 3: ' ' is not .*; write the sequence without whi",
    ),
    "other letter": (
        "a.csv",
        HEADER + "ACéT,0\n",
        r"line 2, position 3: 'é' is not .*; remove or correct it",
    ),
    "blank lines": ("a.csv", HEADER + "\n\nAC,0\nA!,1\n", r"line 5, position 2: '!'"),
    "protein FASTA": ("a.fa", ">x\nACGT\n>y\nMEEPQ\n", r"a\.fa, record 2, position 2: 'E' is not"),
    "protein line": ("a.txt", "ACGTACGT\nMEEPQ\n", r"a\.txt, line 2, position 2: 'E' is not"),
    "empty FASTA record": ("a.fa", ">x\n>y\nAC\n", r"a\.fa, record 1: the sequence is empty"),
    "no file text": ("a.csv", "", r"a\.csv: the file is empty; give one with sequences"),
    "header only": (
        "a.csv",
        HEADER,
        r"a\.csv: no row in the file; write one sequence a line below the header",
    ),
    "no sequences": (
        "a.csv",
        "x,y\n1,2\n",
        r"no column holds sequences, among 'x', 'y'; name it in sequence_column",
    ),
    "two sequences": (
        "a.csv",
        "seq,dna\nA,C\n",
        r"columns 'seq', 'dna' could all hold the sequences; name it in",
    ),
    "two labels": (
        "a.csv",
        "seq,label,y\nA,0,1\n",
        r"columns 'label', 'y' could all hold the labels; name it in label",
    ),
    "no header": ("a.csv", "1,ACGTACGT,x\n", r"3 columns and no header; add one, as in 'sequence,label'"),
    "more cells": (
        "a.csv",
        HEADER + "A,0\nA,0,1\n",
        r"line 3: 3 columns, where the first line has 2; separate",
    ),
    "more cells, blank lines first": ("a.csv", "\n\n" + HEADER + "A,0\nA,0,1\n", r"line 5: 3 columns, where"),
    "quote in a cell": (
        "a.tsv",
        'sequence\tlabel\nACGT\t0\nAC"GT\t1\nAC\t1\n',
        r'a\.tsv, line 3: a " that neither opens nor closes a cell; remove it, or quote the whole cell',
    ),
    "quote that stays open": ("a.tsv", 'seq\tlabel\n\nAC\tpos\nAC\t"neg\n', r'a\.tsv, line 4: a " that'),
    "quote before the end": (
        "a.csv",
        'name,seq,label\n"a,b",AC,1\n"a" b,AC,0\n',
        r'a\.csv, line 3: a " that',
    ),
    "quote in the header": ("a.csv", '\nname,"seq,label\na,AC,1\n', r'a\.csv, line 2: a " that'),
    "split word": (
        "a.csv",
        "seq,split\nA,test\nC,rest\n",
        r"line 3: 'rest' \(column 'split'\) is no split; write",
    ),
    "blank lines first": ("a.csv", "\n\n" + HEADER + "A!,1\n", r"line 4, position 2: '!'"),
    "two of a name": (
        "a.csv",
        "seq,label,label\nA,0,1\n",
        r"two columns are named 'label'; rename or remove one",
    ),
    "columns by spaces": (
        "a.csv",
        "seq label\nA 0\n",
        r"among 'seq label'; separate columns by tabs or commas",
    ),
    "fastq": ("a.fq", "@x\nACGT\n+\nIIII\n", r"a\.fq: this looks like FASTQ or SAM; convert it to FASTA"),
    "intervals": (
        "a.csv",
        "chr,start,end\nI,1,2\n",
        r"intervals \(chr, start, end\) and no sequences; give the FASTA",
    ),
    "bed": ("a.bed", "chrI\t1\t2\n", r"a\.bed: intervals .*; give the FASTA that they lie on as genome"),
}


@pytest.mark.parametrize(("name", "text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_sequences(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


BAD_BYTES = {
    "gzip cut": (
        gzip.compress(b"sequence,label\nA,1\n" * 99, mtime=0)[:-9],
        r"the gzip file ends early; copy or download",
    ),
    "excel": (b"PK\x03\x04rest", r"an archive or an Excel workbook; save the sheet as CSV"),
    "latin": ("sequence,café\nA,1\n".encode("latin-1"), r"binary data, or text that is not UTF-8"),
    "parquet cut": (b"PAR1 and no more", r"not a Parquet file that can be read \(.*\); write it again"),
}


@pytest.mark.parametrize(("data", "message"), BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_damaged_files_are_refused(tmp_path, data, message):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.csv: {message}") as caught:
        read_sequences(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


BAD_SETTINGS = {
    "column": (
        {"sequence_column": "sequenc"},
        r"no column 'sequenc' \(sequence_column\), only .*; did you mean 'seq",
    ),
    "label": (
        {"label_columns": ("target",)},
        r"no column 'target' \(label_columns\), only 'sequence', 'label'; use",
    ),
    "name": ({"name_column": "id"}, r"there is no column 'id' \(name_column\)"),
    "long": (
        {"max_length_bp": 3},
        r"line 3: the sequence has 5 bp, at most 3 are allowed \(1 of 2 .* longer\); raise",
    ),
    "codes": (
        {"ambiguous": "refuse"},
        r"line 3: IUPAC ambiguity codes \(R 1\); replace them, or set ambiguous to as",
    ),
    "folder": ({"format": "folder"}, r"a\.csv: format is folder, but this is a file; give the folder"),
    "wrong form": ({"format": "fasta"}, r"a\.csv, line 1: a header '>name' was expected here"),
}


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS.keys())
def test_settings_that_do_not_fit_the_file(tmp_path, settings, message):
    (tmp_path / "a.csv").write_text(HEADER + "AC,0\nACGTR,1\n")
    with pytest.raises(InputError, match=message):
        read_sequences(tmp_path / "a.csv", ReadSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length_bp": 0}, "max_length_bp must be at least 1, got 0"),
        ({"too_long": "keep-end"}, "too_long is 'keep-end', but no max_length_bp is given; give it in bp"),
        ({"label_columns": "y"}, "label_columns must be a list of names, got the text 'y'"),
    ],
)
def test_settings_are_checked_when_they_are_made(settings, message):
    with pytest.raises(InputError, match=message):
        ReadSettings(**settings)


def test_missing_files_and_sources_that_are_none(tmp_path):
    for source, message in [
        ("nowhere.csv", r"nowhere\.csv: no such file; give the path of a file of sequences"),
        ("a=nowhere.csv,b=there.csv", r"nowhere\.csv: no such file"),
        ("a=x.csv,there.csv", r"some files have a class and some have none; give each one, or none"),
        ("a=x.csv,b=", r"'b=' is no file; write class=file,class=file or file,file"),
        (tmp_path, r"the folder is empty; put a folder or a file for each class there"),
    ]:
        with pytest.raises(InputError, match=message):
            read_sequences(source)


def test_folders_that_are_not_one_part(tmp_path):
    (tmp_path / "train/pos").mkdir(parents=True)
    with pytest.raises(InputError, match=r"it holds train; give one of these"):
        read_sequences(tmp_path)
    with pytest.raises(
        InputError, match=r"pos: no file in it; put one file for each sequence of the class there"
    ):
        read_sequences(tmp_path / "train")
    (tmp_path / "test").mkdir()
    for name in ("a.fa", "a.txt"):
        (tmp_path / "test" / name).write_text(">x\nAC\n")
    with pytest.raises(
        InputError, match=r"two of its files have the name of one class; give each class one file"
    ):
        read_sequences(tmp_path / "test")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "1.fa",
            b">x\nAC\n>y\nGT\n",
            r"1\.fa: 2 FASTA records in a file of a class folder; write one a file",
        ),
        ("1.txt.gz", gzip.compress(b"ACGT" * 99, mtime=0)[:-9], r"1\.txt\.gz: the gzip file ends early"),
    ],
)
def test_a_file_for_each_sequence_holds_one(tmp_path, name, data, message):
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_sequences(tmp_path)


def test_files_read_together_have_the_same_label_columns(tmp_path):
    (tmp_path / "a.csv").write_text("seq,label\nA,0\n")
    (tmp_path / "b.csv").write_text("seq,id\nA,0\n")
    with pytest.raises(
        InputError, match=r"b\.csv: its labels are none, those of .*a\.csv are label; files that are"
    ):
        read_sequences([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_a_parquet_column_of_another_type(tmp_path):
    pl.DataFrame({"seq": [[1, 2]], "label": [0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column holds sequences, among 'label'"):
        read_sequences(tmp_path / "a.parquet")
