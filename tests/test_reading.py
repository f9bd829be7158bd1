"""Every form of file gives the same sequences and labels."""

import gzip
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from convnova.data.reading import ReadSettings, read_sequences
from convnova.sequence import decode

SEQUENCES = ["ACGTACGTAC", "TTTTGGGGN", "ccaattgg"]
READ = ["ACGTACGTAC", "TTTTGGGGN", "CCAATTGG"]
LABELS = ["1", "0", "1"]


def read(source, **settings):
    return read_sequences(source, ReadSettings(**settings))


def letters(table):
    return [decode(ids) for ids in table.ids]


def labels(table):
    return [list(row) for row in table.labels.rows()]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows(separator, header, order):
    cells = [order(pair) for pair in zip(SEQUENCES, LABELS, strict=True)]
    return "\n".join(separator.join(row) for row in ([header] if header else []) + cells) + "\n"


def forward(pair):
    return pair


def backward(pair):
    return pair[::-1]


def fasta(separator="|"):
    return "".join(f">s{i}{separator}{label}\n{s[:4]}\n{s[4:]}\n" for i, (s, label) in enumerate(pairs()))


def pairs():
    return list(zip(SEQUENCES, LABELS, strict=True))


FORMS = {
    "csv": ("a.csv", rows(",", ("sequence", "label"), forward)),
    "csv.gz": ("a.csv.gz", rows(",", ("seq", "y"), forward)),
    "label first": ("a.csv", rows(",", ("Target", "DNA sequence"), backward)),
    "unknown names": ("a.csv", rows(",", ("utr", "is bound"), forward)),
    "tsv": ("a.tsv", rows("\t", ("Sequence", "class"), forward)),
    "semicolons": ("a.csv", rows(";", ("sequence", "label"), forward)),
    "windows": ("a.csv", "\ufeff" + rows(",", ("sequence", "label"), forward).replace("\n", "\r\n")),
    "blank lines": ("a.csv", rows(",", ("sequence", "label"), forward).replace("\n", "\n\n")),
    "blank lines first": ("a.tsv", "\n\n" + rows("\t", ("sequence", "label"), forward)),
    "carriage returns": ("a.csv", rows(",", ("sequence", "label"), forward).replace("\n", "\r")),
    "index column": ("a.csv", rows(",", ("", "s", "l"), lambda pair: ("7", *pair))),
    "spaces around": ("a.csv", rows(" , ", ("sequence", "label"), forward)),
    "no header": ("a.csv", rows(",", None, forward)),
    "no header, label first": ("a.tsv", rows("\t", None, backward)),
    "fasta": ("a.fa", fasta()),
    "fasta.gz": ("a.fna.gz", fasta()),
    "fasta named text": ("a.txt", fasta()),
}


@pytest.mark.parametrize(("name", "text"), FORMS.values(), ids=FORMS.keys())
def test_every_form_of_file_gives_the_same(tmp_path, name, text):
    table = read(write(tmp_path / name, text))
    assert letters(table) == READ
    assert labels(table) == [[label] for label in LABELS]


def test_parquet_keeps_its_types_and_joins_lists(tmp_path):
    path = tmp_path / "a.parquet"
    words = [["liver", "heart"], [], ["heart"]]
    pl.DataFrame({"seq": SEQUENCES, "label": words, "id": [7, 8, 9]}).write_parquet(path)
    table = read(path)
    assert letters(table) == READ
    assert labels(table) == [["liver;heart"], [""], ["heart"]]
    assert table.names == ["7", "8", "9"]
    assert table.place(1) == f"{path}, row 2 (8)"


CLASS_FILES = {
    "pos.fa.gz": ">a\nACGTACGTAC\n>a\nCCAATTGG\n",
    "neg.txt": "TTTTGGGGN\n",
}


@pytest.fixture
def class_files(tmp_path):
    return {name.split(".")[0]: write(tmp_path / "of" / name, text) for name, text in CLASS_FILES.items()}


def test_a_file_for_each_class(class_files):
    spelled = ",".join(f"{name}={path}" for name, path in class_files.items())
    for source in (class_files, spelled):
        table = read(source)
        assert letters(table) == [READ[0], READ[2], READ[1]]
        assert labels(table) == [["pos"], ["pos"], ["neg"]]
    assert table.place(1) == f"{class_files['pos']}, record 2 (a)"


def test_a_folder_with_a_file_for_each_class(class_files):
    table = read(class_files["pos"].parent)
    assert letters(table) == [READ[1], READ[0], READ[2]]  # sorted by name
    assert labels(table) == [["neg"], ["pos"], ["pos"]]


def test_a_folder_for_each_class_as_in_genomic_benchmarks(tmp_path):
    for label, name, text in [
        ("positive", "2", "ACGT\nAC\n"),
        ("positive", "10", "TTT"),
        ("negative", "0", "GG\n"),
    ]:
        write(tmp_path / "train" / label / f"{name}.txt", text)
    table = read(str(tmp_path / "train"))
    assert list(zip(letters(table), table.labels.to_series(), table.names, strict=True)) == [
        ("GG", "negative", "negative/0"),
        ("TTT", "positive", "positive/10"),
        ("ACGTAC", "positive", "positive/2"),
    ]
    assert table.place(2) == str(tmp_path / "train" / "positive" / "2.txt")


@pytest.mark.parametrize(
    ("name", "text"), [("1.txt.gz", "ACGT\nAC\n"), ("1.fa.gz", ">x\nACGT\nAC\n"), ("1.fa", ">x\nACGTAC\n")]
)
def test_a_file_for_each_sequence_may_be_gzip(tmp_path, name, text):
    write(tmp_path / "train" / "positive" / name, text)
    write(tmp_path / "train" / "negative" / "2.txt", "GG")
    table = read(tmp_path / "train")
    assert letters(table) == ["GG", "ACGTAC"]
    assert table.names == ["negative/2", "positive/1"]


def test_several_files_are_read_as_one(tmp_path):
    a = write(tmp_path / "a.csv", "id,seq,label\nx,AC,0\n")
    b = write(tmp_path / "b.csv", "id,seq,label\ny,ACG,1\nz,T,0\n")
    for source in ([a, b], f"{a},{b}", f"{a}, {b}"):
        table = read(source)
        assert (letters(table), table.names) == (["AC", "ACG", "T"], ["x", "y", "z"])
        assert [table.place(i) for i in range(3)] == [
            f"{a}, line 2 (x)",
            f"{b}, line 2 (y)",
            f"{b}, line 3 (z)",
        ]
        assert table.notes == ("column 'seq' holds the sequences", "column 'label' holds the labels")
        assert letters(table.take(np.array([False, True, True]))) == ["ACG", "T"]
        assert table.take(np.array([2, 0])).place(0) == f"{b}, line 3 (z)"


def test_the_nucleotide_transformers_headers_and_plain_ones(tmp_path):
    labelled = read(write(tmp_path / "a.fa", ">chr1|12|1\nAC\n>no label\nGG\n"))
    assert labels(labelled) == [["1"], [None]]
    assert labelled.names == ["chr1|12", "no label"]
    plain = read(write(tmp_path / "b.fa", "> seq 1\nAC\n> seq 1\nGG\n"))
    assert plain.labels is None
    assert plain.names == ["seq 1", "seq 1"]
    assert plain.place(1) == f"{tmp_path / 'b.fa'}, record 2 (seq 1)"


def test_one_sequence_a_line(tmp_path):
    table = read(write(tmp_path / "a.txt", "ACGTACGT\n\nTTT\n"))
    assert (letters(table), table.labels) == (["ACGTACGT", "TTT"], None)
    assert table.place(1) == f"{tmp_path / 'a.txt'}, line 3"
    assert letters(read(write(tmp_path / "c.txt", "ACGT\nTT\n"))) == ["ACGT", "TT"]
    short = write(tmp_path / "b.txt", "ACG\nTTT\n")
    assert letters(read(short, format="lines")) == ["ACG", "TTT"]


def test_columns_are_taken_as_given(tmp_path):
    path = write(tmp_path / "a.csv", "label,seq,other,y1,y2,who\n0,AC,GT,0.5,1.5,me\n")
    table = read(path, sequence_column="other", label_columns=("y2", "y1"), name_column="who")
    assert (letters(table), labels(table), table.names) == (["GT"], [["1.5", "0.5"]], ["me"])
    assert read(path, sequence_column="seq", read_labels=False).labels is None


def test_columns_of_a_file_without_header_are_numbers(tmp_path):
    # The form of the UCI splice junctions, where cells are padded.
    path = write(tmp_path / "splice.data", "EI,   X-DONOR-1,     ACGTACGTDN\nN,Y,   CCGTACGTAA\n")
    table = read(path, sequence_column="3", label_columns=("1",), name_column="2")
    assert (letters(table), labels(table)) == (["ACGTACGTNN", "CCGTACGTAA"], [["EI"], ["N"]])
    assert table.names == ["X-DONOR-1", "Y"]
    assert table.place(0) == f"{path}, line 1 (X-DONOR-1)"


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("seq,label_a,label_b,id", ["label_a", "label_b"]),
        ("seq,activity", ["activity"]),
        ("seq,score,label,x", ["label"]),
        ("seq,id", None),
        ("seq,p,q", ["p", "q"]),
    ],
)
def test_label_columns_are_found(tmp_path, header, columns):
    cells = ["ACGTACGT"] + ["1"] * header.count(",")
    table = read(write(tmp_path / "a.csv", f"{header}\n{','.join(cells)}\n"))
    assert (table.labels.columns if table.labels is not None else None) == columns


def test_what_was_changed_is_counted_and_stated(tmp_path):
    table = read(write(tmp_path / "a.csv", "seq,label\nACGUNRryk,0\nUUACGTACGT,1\nRACGT,0\n"))
    assert letters(table) == ["ACGTNNNNN", "TTACGTACGT", "NACGT"]
    assert "3 U read as T" in table.notes
    assert "IUPAC ambiguity codes (R 3, Y 1, K 1) in 2 sequences became N" in table.notes


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("keep-start", ["ACGT", "TT"]), ("keep-center", ["CGTA", "TT"]), ("keep-end", ["TACG", "TT"])],
)
def test_long_sequences_are_cropped_by_the_rule(tmp_path, rule, expected):
    path = write(tmp_path / "a.csv", "seq,label\nACGTACG,0\nTT,1\n")
    table = read(path, max_length_bp=4, too_long=rule)
    assert letters(table) == expected
    assert table.notes[-1] == f"1 sequence was cropped to 4 bp ({rule})"
    assert letters(read(path, max_length_bp=7)) == ["ACGTACG", "TT"]


def test_a_split_column_is_kept(tmp_path):
    path = write(tmp_path / "a.csv", "seq,label,split\nAC,0,train\nGT,1,dev\nTT,1,Test\n")
    assert read(path).splits == ["train", "validation", "test"]
    other = write(tmp_path / "b.csv", "seq,label,subset\nAC,0,north\nGT,1,south\n")
    assert read(other).splits is None


def test_matches_reading_one_by_one(tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGTNacgtn"), rng.integers(1, 40))) for _ in range(300)]
    path = write(
        tmp_path / "a.csv.gz", "sequence,label\n" + "".join(f"{t},{i % 2}\n" for i, t in enumerate(texts))
    )
    assert letters(read(path)) == [text.upper() for text in texts]


@pytest.fixture
def real_data():
    folder = Path(os.environ.get("CONVNOVA_DATA", Path(__file__).parents[2] / "shared/data"))
    if not folder.is_dir():
        pytest.skip("the public data sets are not here; set CONVNOVA_DATA to their folder")
    return folder


def test_real_files_are_read(real_data: Path):
    table = read(real_data / "nt_yeast_histone_test/H3/test.fna.gz")
    assert len(table) == 1497
    assert set(table.labels.to_series()) == {"0", "1"}
    uci = read(
        real_data / "splice/uci/splice.data.gz", sequence_column="3", label_columns=("1",), name_column="2"
    )
    assert (len(uci), uci.ids.stacked().shape) == (3190, (3190, 60))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("sequence,A549,HepG2\nACGTACGT,0,1\nACGTACGA,1,1\n", ["A549", "HepG2"]),
        ("sequence,A549,gc\nACGTACGT,0,0.5\nACGTACGA,1,0.2\n", None),
        ("id,sequence,A549,HepG2\na,ACGTACGT,0,1\nb,ACGTACGA,1,1\n", ["A549", "HepG2"]),
    ],
)
def test_columns_of_0_and_1_alone_are_the_labels(tmp_path, rows, expected):
    table = read(write(tmp_path / "t.csv", rows))
    assert (None if table.labels is None else table.labels.columns) == expected
