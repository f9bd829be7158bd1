"""What a genome answers: each answer is compared with the text of a small FASTA file."""

import gzip
import hashlib
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import decode, reverse_complement_text

CHROMOSOMES = {
    "chrI": "ACGTTGCAacgtNNNNacgtRYKMACGTTTGACA" * 3,
    "chrII": "GATTACA",
    "chrIII": "nnnnaaaaCCCCGGGGTTTT" * 5,
}
NAMES = list(CHROMOSOMES)
IUPAC_TO_N = str.maketrans("RYKM", "NNNN")


def fasta_text(line_bp=20):
    records = [
        f">{name} a description\n"
        + "\n".join(sequence[i : i + line_bp] for i in range(0, len(sequence), line_bp))
        + "\n"
        for name, sequence in CHROMOSOMES.items()
    ]
    return "".join(records).encode()


def bgzip(data, block_bytes=50):
    """Return data as BGZF: gzip members that carry their own size, and an empty one at the end."""
    blocks = []
    for start in [*range(0, len(data), block_bytes), len(data)]:
        block = data[start : start + block_bytes]
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(block) + deflate.flush()
        header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
        blocks.append(header + body + struct.pack("<II", zlib.crc32(block), len(block)))
    return b"".join(blocks)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_bytes(fasta_text())
    return Genome.open(path)


def text_of(name, start, end, strand="+"):
    """Return the letters of an interval straight from the text, N beyond the ends: the slow twin of fetch."""
    sequence = CHROMOSOMES[name]
    letters = "".join(sequence[i] if 0 <= i < len(sequence) else "N" for i in range(start, end))
    return reverse_complement_text(letters) if strand == "-" else letters


def test_sizes_are_in_the_order_of_the_file(genome):
    assert list(genome.chromosome_sizes.items()) == [(name, len(text)) for name, text in CHROMOSOMES.items()]
    assert genome.total_bp == sum(map(len, CHROMOSOMES.values()))
    assert [genome.index_of(name) for name in NAMES] == [0, 1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_sequence_is_the_whole_chromosome(genome, name):
    ids = genome.sequence(name)
    assert ids.dtype == np.uint8
    assert decode(ids) == CHROMOSOMES[name].upper().translate(IUPAC_TO_N)


INTERVALS = [
    ("chrI", 0, 12),
    ("chrI", 5, 40),
    ("chrII", 0, 7),
    ("chrII", -4, 3),
    ("chrII", 3, 11),
    ("chrII", -5, 20),
    ("chrII", 3, 3),
    ("chrII", 7, 12),
    ("chrII", -9, -2),
    ("chrIII", 90, 120),
]


@pytest.mark.parametrize("strand", ["+", "-", "."])
@pytest.mark.parametrize(("name", "start", "end"), INTERVALS)
def test_fetch_matches_the_text_and_is_n_beyond_the_ends(genome, name, start, end, strand):
    interval = Interval(name, start, end, strand)
    letters = text_of(name, start, end, strand)
    assert decode(genome.fetch(interval)) == letters.upper().translate(IUPAC_TO_N)
    assert genome.fetch(interval).dtype == np.uint8
    assert genome.fetch_soft_mask(interval).tolist() == [letter.islower() for letter in letters]


@pytest.mark.parametrize("width", [1, 5, 64, 102, 500])
def test_windows_match_fetch(genome, width):
    generator = np.random.default_rng(0)
    chromosomes = generator.integers(0, len(NAMES), 200)
    starts = generator.integers(-width - 3, 110, 200)
    windows = genome.windows(chromosomes, starts, width)
    intervals = [
        Interval(NAMES[c], s, s + width) for c, s in zip(chromosomes.tolist(), starts.tolist(), strict=True)
    ]
    assert windows.ids.dtype == np.uint8
    assert windows.is_soft_masked.dtype == np.bool_
    np.testing.assert_array_equal(windows.ids, [genome.fetch(interval) for interval in intervals])
    np.testing.assert_array_equal(
        windows.is_soft_masked, [genome.fetch_soft_mask(interval) for interval in intervals]
    )


def test_no_windows_is_an_empty_batch(genome):
    windows = genome.windows(np.array([], dtype=int), np.array([], dtype=int), 8)
    assert windows.ids.shape == windows.is_soft_masked.shape == (0, 8)


def test_what_is_fetched_can_be_edited_without_harm(genome):
    interval = Interval("chrII", 0, 7)
    genome.fetch(interval)[:] = 0
    genome.sequence("chrII")[:] = 0
    genome.windows(np.array([1]), np.array([0]), 7).ids[:] = 0
    assert decode(genome.fetch(interval)) == "GATTACA"


@pytest.mark.parametrize(
    ("file_name", "data"),
    [
        ("other_lines.fa", fasta_text(line_bp=7)),
        ("one_line.fa", fasta_text(line_bp=1000)),
        ("crlf.fa", fasta_text().replace(b"\n", b"\r\n")),
        ("blank_lines.fa", fasta_text().replace(b">", b"\n>")),
        ("no_last_line_end.fa", fasta_text().rstrip()),
        ("plain_gzip.fa.gz", gzip.compress(fasta_text(), mtime=0)),
        ("bgzip.fa.gz", bgzip(fasta_text())),
        ("gzip_without_its_suffix.fa", gzip.compress(fasta_text(), mtime=0)),
    ],
)
def test_the_form_of_the_file_changes_nothing(genome, tmp_path, file_name, data):
    path = tmp_path / file_name
    path.write_bytes(data)
    other = Genome.open(path)
    assert other.chromosome_sizes == genome.chromosome_sizes
    assert other.checksum == genome.checksum


def test_the_checksum_of_a_chromosome_is_that_of_its_ids_in_pieces_too(genome, monkeypatch):
    for piece_bp in (2**24, 3):
        monkeypatch.setattr("convnova.genome.genome._DIGEST_BP", piece_bp)
        for name in genome.chromosome_sizes:
            digest = hashlib.sha256(genome.sequence(name).tobytes()).hexdigest()
            assert genome.chromosome_checksum(name) == f"sha256:{digest}"


@pytest.mark.parametrize(("old", "new"), [(b"GATTACA", b"GATTACC"), (b"GATTACA", b"GATTACa")])
def test_the_checksum_tells_a_base_and_its_soft_masking(genome, tmp_path, old, new):
    path = tmp_path / "other.fa"
    path.write_bytes(fasta_text().replace(old, new))
    assert Genome.open(path).checksum != genome.checksum
    assert genome.checksum.startswith("sha256:")


def test_a_pickled_genome_is_small_and_answers_the_same(genome):
    data = pickle.dumps(genome)
    assert len(data) < 1000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.sequence("chrI"), genome.sequence("chrI"))
    assert (again.checksum, again.path) == (genome.checksum, genome.path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("II", r"chromosome 'II' is not in toy\.fa, which has chrI, chrII, chrIII; did you mean 'chrII'\?"),
        ("chr3", r"did you mean 'chrIII'\?"),
        ("3", r"did you mean 'chrIII'\?"),
        ("chrX", r"which has chrI, chrII, chrIII; use one of these names"),
    ],
)
def test_an_unknown_chromosome_is_named_with_those_there_are(genome, asked, message):
    for ask in (genome.sequence, genome.index_of, lambda name: genome.fetch(Interval(name, 0, 1))):
        with pytest.raises(InputError, match=message):
            ask(asked)


def test_only_the_first_chromosomes_are_listed(tmp_path):
    path = tmp_path / "many.fa"
    path.write_text("".join(f">scaffold{i}\nACGT\n" for i in range(40)))
    with pytest.raises(InputError, match=r"scaffold3, scaffold4, \.\.\. \(40 in all\); use one"):
        Genome.open(path).sequence("x")


@pytest.mark.parametrize("number", [-1, 3])
def test_windows_refuse_a_chromosome_number_that_is_not_there(genome, number):
    with pytest.raises(InputError, match=r"toy\.fa has 3 chromosomes, numbered from 0; windows were asked"):
        genome.windows(np.array([0, number]), np.array([0, 0]), 4)


def test_the_real_yeast_genome_has_its_known_sizes(tmp_path):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    fasta = shared / "data/genomes/yeast/saccharomyces_cerevisiae_R64.fa.gz"
    if not fasta.exists():
        pytest.skip("the yeast genome is not here; set CONVNOVA_SHARED to the folder that has data/genomes")
    genome = Genome.open(fasta, cache=tmp_path)
    assert (len(genome.chromosome_sizes), genome.total_bp) == (16, 12_071_326)
    assert genome.chromosome_sizes["chrI"] == 230_218
    # Telomeres of chromosome I: TG1-3 repeats, as C1-3A on the left end.
    assert decode(genome.fetch(Interval("chrI", 0, 10))) == "CCACACCACA"


@pytest.mark.parametrize(
    ("own", "names", "expected"),
    [
        (["chrI", "chrII"], ["chrI", "chrII"], ["chrI", "chrII"]),
        (["chrI", "chrII"], ["chr1", "2"], ["chrI", "chrII"]),
        (["1", "2"], ["chr1", "chr2", "chr3"], ["1", "2", None]),
        (["chr1", "chrX"], ["1", "X"], ["chr1", "chrX"]),
        (["I", "II", "chrM"], ["chr1", "chr2", "chrM"], ["I", "II", "chrM"]),
        (["chr1", "chr10"], ["chr1", "chrX"], ["chr1", None]),  # X is not 10 beside a 1
        (["chr1", "chr10"], ["chr10", "chrX"], ["chr10", None]),
        (["chr1", "chr2"], ["1", "chr1"], [None, "chr1"]),  # two names would become one
        (["chrI"], ["1", "chr1"], [None, None]),
        (["chrI"], ["chrUn"], [None]),
    ],
)
def test_own_names_of_chromosomes(tmp_path, own, names, expected):
    path = tmp_path / "x.fa"
    path.write_text("".join(f">{name}\nACGT\n" for name in own))
    assert list(Genome.open(path).own_names(names).values()) == expected


def test_a_window_by_number_is_what_fetch_gives(genome):
    for index, name in enumerate(genome.chromosome_sizes):
        for start, end in ((0, 3), (-2, 2), (1, 400)):
            assert np.array_equal(genome.window(index, start, end), genome.fetch(Interval(name, start, end)))
