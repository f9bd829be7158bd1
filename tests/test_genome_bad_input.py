"""Every FASTA that is no genome ends in one InputError of one line, and leaves no store."""

import gzip
import os

import pytest

from convnova.errors import InputError
from convnova.genome import Genome

GZIP = gzip.compress(b">a\n" + bytes(65 + 6 * (i * i % 7 == 1) for i in range(5000)) + b"\n")

BAD_FASTA = [
    ("empty.fa", b"", r"empty\.fa: the file has no FASTA record; a record is a line '>name'"),
    ("blank.fa", b"\n  \n", r"blank\.fa: the file has no FASTA record"),
    ("empty.fa.gz", gzip.compress(b""), r"empty\.fa\.gz: the file has no FASTA record"),
    ("hollow.fa", b">a\nACGT\n>b\n>c\nA\n", r"hollow\.fa, record 'b': it has no sequence; remove the record"),
    ("last.fa", b">a\nACGT\n>b\n", r"last\.fa, record 'b': it has no sequence"),
    (
        "nameless.fa",
        b">a\nAC\n> \nAC\n",
        r"nameless\.fa, record 2: the header has no name; write one after '>'",
    ),
    (
        "twice.fa",
        b">a x\nAC\n>a y\nAC\n",
        r"twice\.fa, record 2: a second record is named 'a'; names .* must differ",
    ),
    (
        "cut.fa.gz",
        GZIP[: len(GZIP) // 2],
        r"cut\.fa\.gz: the gzip file ends early; copy or download it again",
    ),
    ("cut_end.fa.gz", GZIP[:-4], r"cut_end\.fa\.gz: the gzip file ends early"),
    (
        "broken.fa.gz",
        GZIP[:12] + b"\xff" * 8 + GZIP[20:],
        r"broken\.fa\.gz: cannot be read \(.*\); copy or download",
    ),
    ("not.fa.gz", b">a\nACGT\n" * 9, r"not\.fa\.gz: cannot be read \(Not a gzipped file"),
    (
        "words.txt",
        b"hello\nworld\n",
        r"words\.txt, line 1: a header '>name' was expected here; give a FASTA file",
    ),
    ("reads.fq", b"@r1\nACGT\n+\n!!!!\n", r"reads\.fq, line 1: a header '>name' was expected here"),
    (
        "picture.png",
        bytes(range(256)),
        r"picture\.png: binary data, or text that is not UTF-8; give a FASTA file",
    ),
    (
        "letter.fa",
        b">a\nACGT\n>b\nACGT\nACXT\n",
        r"letter\.fa, record 'b', position 7: 'X' is not a nucleotide",
    ),
    (
        "gap.fa",
        b">a\nAC-GT\n",
        r"gap\.fa, record 'a', position 3: '-' is not a nucleotide; allowed are ACGTU",
    ),
    ("space.fa", b">a\nAC GT\n", r"space\.fa, record 'a', position 3: ' ' is not a nucleotide"),
    ("zero.fa", b">a\nAC\0GT\n", r"zero\.fa, record 'a', position 3: '\\x00' is not a nucleotide"),
    ("protein.fa", b">a\nMKVLE*\n", r"protein\.fa, record 'a', position 4: 'L' is not a nucleotide"),
    ("accent.fa", ">a\nACGé\n".encode(), r"accent\.fa: .* must be ASCII .*; give a FASTA file"),
    (
        "unknown.fa",
        b">a\nNNNN\n>b\nnnRY\n",
        r"unknown\.fa: every base is N, so there is nothing to learn from",
    ),
]


@pytest.mark.parametrize(("file_name", "data", "message"), BAD_FASTA, ids=[row[0] for row in BAD_FASTA])
def test_bad_fasta_is_one_error_of_one_line_and_leaves_no_store(tmp_path, file_name, data, message):
    path = tmp_path / file_name
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        Genome.open(path)
    assert "\n" not in str(caught.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(
        [f".{file_name}.convnova.lock", file_name]
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere\.fa: no such file; give the path of a FASTA file, plain or gzip"
    ):
        Genome.open(tmp_path / "nowhere.fa")
    assert not any(tmp_path.iterdir())


def test_a_folder_is_no_fasta(tmp_path):
    folder = tmp_path / "genomes"
    folder.mkdir()
    with pytest.raises(InputError, match=r"genomes: this is a folder; give the path of a FASTA file in it"):
        Genome.open(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "secret.fa"
    path.write_text(">a\nACGT\n")
    path.chmod(0)
    with pytest.raises(InputError, match=r"secret\.fa: no permission to read it"):
        Genome.open(path)


def test_a_fasta_that_turned_bad_is_refused_although_it_has_an_older_store(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text(">a\nACGT\n")
    Genome.open(path)
    path.write_text(">a\nACGT-\n")
    with pytest.raises(InputError, match="position 5"):
        Genome.open(path)
    path.write_text(">a\nACGTACGT\n")
    assert Genome.open(path).chromosome_sizes == {"a": 8}
