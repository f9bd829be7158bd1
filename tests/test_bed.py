import gzip

import pytest

from convnova.errors import InputError
from convnova.genome import Genome, Interval, read_bed, read_split_bed


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text(f">chrI\n{'ACGT' * 50}\n>chrII\n{'ACGT' * 25}\n")
    return Genome.open(path)


def write(tmp_path, text):
    path = tmp_path / "file.bed"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chrI\t0\t200", Interval("chrI", 0, 200)),
        ("chrI 0 200", Interval("chrI", 0, 200)),
        ("chrI\t5\t9\tpeak 1", Interval("chrI", 5, 9, ".", "peak 1")),
        ("chrI\t5\t9\tpeak\t0.5", Interval("chrI", 5, 9, ".", "peak")),
        ("chrII\t5\t9\tpeak\t1000\t-", Interval("chrII", 5, 9, "-", "peak")),
        ("chrII\t5\t9\tpeak\t1000\t+\t5\t9\t0", Interval("chrII", 5, 9, "+", "peak")),
    ],
)
def test_each_form_of_bed_line_is_read(tmp_path, genome, line, expected):
    assert read_bed(write(tmp_path, line + "\n"), genome) == [expected]
    assert read_bed(write(tmp_path, line), genome) == [expected]


def test_comments_headers_and_blank_lines_are_passed_over(tmp_path):
    text = "# made by hand\nbrowser position chrI\ntrack name=x\n\n  \nchrI\t1\t2\r\ntrack2\t3\t4\n"
    assert read_bed(write(tmp_path, text)) == [Interval("chrI", 1, 2), Interval("track2", 3, 4)]


def test_gzip_and_a_byte_order_mark_change_nothing(tmp_path):
    path = tmp_path / "file.bed.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfchrI\t1\t2\n"))
    assert read_bed(path) == [Interval("chrI", 1, 2)]


BAD_LINES = [
    ("chrI\t5", r"too few columns \(2\); write chromosome, start, end, separated by tabs"),
    ("chrI:5-9", r"too few columns \(1\)"),
    ("chrI\t5.0\t9", r"start '5\.0' is not a whole number; write digits only"),
    ("chrI\t5\t1_0", r"end '1_0' is not a whole number"),
    ("chrI\t\t9", r"start '' is not a whole number"),
    ("chrI\t-1\t9", r"start -1 is before the first base, which is 0 in BED; use 0 or more"),
    ("chrI\t9\t5", r"start 9 is not before end 5; BED starts at 0 and ends past the last base"),
    ("chrI\t9\t9", r"start 9 is not before end 9"),
    ("chrI\t5\t9\tx\t0\tplus", r"strand 'plus' is not allowed; use one of \+ - \."),
    ("chrI\t5\t201", r"end 201 is past the end of chrI \(200 bp\); shorten the interval, or give the genome"),
    ("chrII\t500\t900", r"end 900 is past the end of chrII \(100 bp\)"),
    ("chr2\t5\t9", r"chromosome 'chr2' is not in toy\.fa, which has chrI, chrII; did you mean 'chrII'\?"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_lines_are_refused_by_number(tmp_path, genome, line, message):
    path = write(tmp_path, f"# a comment\nchrI\t0\t10\n{line}\nchrI\tx\ty\n")
    with pytest.raises(InputError, match=rf"file\.bed, line 3: .*{message}") as caught:
        read_bed(path, genome)
    assert "\n" not in str(caught.value)


BAD_FILES = [
    (b"", r": no interval in the file; write one a line: chromosome, start, end"),
    (b"# only words\n\n", r": no interval in the file"),
    (bytes(range(256)), r", line 2: binary data, or text that is not UTF-8; give a BED file, plain or gzip"),
    (gzip.compress(b"chrI\t1\t2\n" * 99, mtime=0)[:-9], r": the gzip file ends early"),
    (b"\x1f\x8bnonsense that is no gzip", r": cannot be read \(.*\); copy or download it again"),
]


@pytest.mark.parametrize(("data", "message"), BAD_FILES)
def test_bad_files_are_refused(tmp_path, data, message):
    path = tmp_path / "file.bed"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"file\.bed{message}"):
        read_bed(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.bed: no such file; give the path of a BED file"):
        read_bed(tmp_path / "nowhere.bed")


def test_split_bed_gathers_the_intervals_of_each_split(tmp_path, genome):
    words = ["train", "valid", "validation", "val", "dev", "test"]
    path = write(tmp_path, "".join(f"chrI\t{i}\t{i + 10}\t{word}\n" for i, word in enumerate(words)))
    splits = read_split_bed(path, genome)
    starts = {split: [interval.start for interval in intervals] for split, intervals in splits.items()}
    assert starts == {"train": [0], "validation": [1, 2, 3, 4], "test": [5]}


def test_split_bed_names_every_split_even_an_empty_one(tmp_path, genome):
    splits = read_split_bed(write(tmp_path, "chrI\t0\t10\ttrain\n"), genome)
    assert [(split, len(intervals)) for split, intervals in splits.items()] == [
        ("train", 1),
        ("validation", 0),
        ("test", 0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chrI\t0\t10", r"too few columns \(3\); write chromosome, start, end, split, separated by tabs"),
        (
            "chrI\t0\t10\tholdout",
            r"'holdout' \(column 4\) is no split; write one of train, valid, validation, val",
        ),
        ("chrI\t0\t10\tTrain", r"'Train' \(column 4\) is no split"),
        ("chrI\t0\t1000\ttrain", r"end 1000 is past the end of chrI \(200 bp\)"),
    ],
)
def test_bad_split_lines_are_refused_by_number(tmp_path, genome, line, message):
    path = write(tmp_path, f"chrI\t0\t10\ttest\n{line}\n")
    with pytest.raises(InputError, match=rf"file\.bed, line 2: {message}"):
        read_split_bed(path, genome)
