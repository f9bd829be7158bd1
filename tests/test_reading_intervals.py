"""Intervals and a genome give the sequences on their strand."""

import gzip

import numpy as np
import pytest

from convnova.data.reading import ReadSettings, read_sequences
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import decode

GENOME = {"chrI": "AACCGGTTNN" * 20, "chrII": "ACGT" * 25}


@pytest.fixture
def settings(tmp_path):
    fasta = tmp_path / "toy.fa"
    fasta.write_text("".join(f">{name}\n{bases}\n" for name, bases in GENOME.items()))

    def make(**more):
        return ReadSettings(genome=fasta, cache=tmp_path / "cache", **more)

    return make


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def letters(table):
    return [decode(ids) for ids in table.ids]


ROWS = [("chrI", 2, 8, "+", "CCGGTT"), ("chrI", 0, 3, "-", "GTT"), ("chrII", 1, 3, "+", "CG")]
FORMS = {
    "bed": ("a.bed", "{0}\t{1}\t{2}\tx\t0\t{3}\n", "# made by hand\ntrack name=x\n"),
    "bed.gz": ("a.bed.gz", "{0}\t{1}\t{2}\tx\t0\t{3}\n", ""),
    "narrowPeak": ("a.narrowPeak", "{0}\t{1}\t{2}\tx\t0\t{3}\t5.0\t-1\t-1\t10\n", ""),
    "genomic benchmarks": ("a.csv.gz", "7,{0},{1},{2},{3}\n", "id,region,start,end,strand\n"),
    "tsv": ("a.tsv", "{3}\t{0}\t{1}\t{2}\n", "strand\t#chrom\tchromStart\tchromEnd\n"),
}


@pytest.mark.parametrize(("name", "row", "header"), FORMS.values(), ids=FORMS.keys())
def test_every_form_of_interval_is_cut_on_its_strand(tmp_path, settings, name, row, header):
    table = read_sequences(
        write(tmp_path, name, header + "".join(row.format(*each) for each in ROWS)), settings()
    )
    assert letters(table) == [each[4] for each in ROWS]
    assert [tuple(each) for each in table.intervals.rows()] == [each[:4] for each in ROWS]
    assert table.place(2).startswith(f"{tmp_path / name}, line {3 + header.count(chr(10))}")
    assert "cut from toy.fa, 0-based and half-open" in table.notes


def test_intervals_of_one_width_match_fetching_one_by_one(tmp_path, settings):
    genome = Genome.open(settings().genome, settings().cache)
    rng = np.random.default_rng(0)
    intervals = [
        Interval(str(name), int(start), int(start) + 9, str(strand))
        for name, start, strand in zip(
            rng.choice(list(GENOME), 50), rng.integers(0, 91, 50), rng.choice(["+", "-"], 50), strict=True
        )
    ]
    text = "".join(f"{i.chromosome}\t{i.start}\t{i.end}\tx\t0\t{i.strand}\n" for i in intervals)
    table = read_sequences(write(tmp_path, "a.bed", text), settings())
    assert letters(table) == [decode(genome.fetch(interval)) for interval in intervals]


@pytest.mark.parametrize(
    ("names", "given", "labels"),
    [
        ("abab", (), ["a", "b", "a", "b"]),
        ("abcd", (), None),
        ("abcd", ("score",), ["0", "1", "2", "3"]),
        ("abcd", ("7",), ["0.0", "0.5", "1.0", "1.5"]),
    ],
)
def test_labels_of_a_bed_file(tmp_path, settings, names, given, labels):
    text = "".join(f"chrI\t{i}\t{i + 5}\t{name}\t{i}\t+\t{i / 2}\n" for i, name in enumerate(names))
    table = read_sequences(write(tmp_path, "a.bed", text), settings(label_columns=given))
    assert (None if table.labels is None else table.labels.to_series().to_list()) == labels
    assert table.names == (None if labels == list(names) else list(names))


def test_unstranded_intervals_are_read_forward_when_told(tmp_path, settings):
    for text in ("chrI\t2\t8\tx\t0\t.\n", "chrI\t2\t8\n"):
        table = read_sequences(write(tmp_path, "a.bed", text), settings(unstranded="forward"))
        assert letters(table) == ["CCGGTT"]
        assert "1 interval without strand is read as +" in table.notes


def test_a_file_of_intervals_for_each_class(tmp_path, settings):
    for name in ("positive", "negative"):
        (tmp_path / "train").mkdir(exist_ok=True)
        write(tmp_path / "train", f"{name}.csv.gz", "id,region,start,end,strand\n1,chrI,0,4,+\n")
    table = read_sequences(tmp_path / "train", settings())
    assert table.labels.to_series().to_list() == ["negative", "positive"]


def test_a_sequence_column_wins_without_a_genome(tmp_path, settings):
    path = write(tmp_path, "a.csv", "region,start,end,strand,seq,label\nchrI,2,8,+,ACGT,1\n")
    assert letters(read_sequences(path)) == ["ACGT"]
    assert letters(read_sequences(path, settings(sequence_column="seq"))) == ["ACGT"]


def test_the_genome_must_agree_with_a_sequence_column(tmp_path, settings):
    header = "region,start,end,strand,seq,label\nchrI,2,8,+,CCGGTT,1\n"
    table = read_sequences(write(tmp_path, "a.csv", header + "chrI,0,4,-,GGTN,1\n"), settings())
    assert letters(table) == ["CCGGTT", "GGTT"]
    assert "they agree with column 'seq'" in table.notes
    for other in ("GGTA", "GGT"):
        path = write(tmp_path, "a.csv", header + f"chrI,0,4,-,{other},1\n")
        message = (
            r"a\.csv, line 3: the genome has another sequence there than column 'seq' \(1 of 2 differ\); give"
        )
        with pytest.raises(InputError, match=message):
            read_sequences(path, settings())


BAD_LINES = [
    (
        "chrI\t2\t8\tx\t0\t.",
        r"the strand is '\.', so the sequence could be either; give \+ or -, or set unstranded",
    ),
    ("chrI\t2\t8\tx\t0\tplus", r"strand 'plus' is not allowed; use one of \+ - \."),
    ("chrI\t2.0\t8\tx\t0\t+", r"start '2\.0' is not a whole number; write digits only"),
    ("chrI\t2\tend\tx\t0\t+", r"end 'end' is not a whole number"),
    ("chrI\t-1\t8\tx\t0\t+", r"start -1 is before the first base of chrI, which is 0"),
    ("chrI\t8\t8\tx\t0\t+", r"start 8 is not before end 8; start is 0-based, end one past the last base"),
    (
        "chrI\t9\t201\tx\t0\t+",
        r"end 201 is past the end of chrI \(200 bp\); shorten .* genome that it was made for",
    ),
    (
        "chr2\t2\t8\tx\t0\t+",
        r"chromosome 'chr2' is not in toy\.fa, which has chrI, chrII; did you mean 'chrII'\?",
    ),
    ("chrI\t2", r"too few columns \(2\), 6 are needed; write chromosome, start, end, name, score, strand"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_intervals_are_refused_by_their_line(tmp_path, settings, line, message):
    path = write(tmp_path, "a.bed", f"# comment\nchrI\t0\t10\tx\t0\t+\n{line}\n")
    with pytest.raises(InputError, match=rf"a\.bed, line 3: {message}") as caught:
        read_sequences(path, settings())
    assert "\n" not in str(caught.value)


def test_no_strand_column_and_no_interval(tmp_path, settings):
    with pytest.raises(
        InputError, match=r"a\.bed, line 1: there is no strand column, so the sequence could be"
    ):
        read_sequences(write(tmp_path, "a.bed", "chrI\t0\t10\n"), settings())
    with pytest.raises(InputError, match=r"b\.bed: no interval in the file; write one a line"):
        read_sequences(write(tmp_path, "b.bed", "# nothing\n"), settings())
