import gzip
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from convnova.data.catalogue.intervals import build_sequences, check_assembly, cut, read_intervals
from convnova.data.catalogue.tables import Reference, references
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.sequence import decode

HEADER = "id,region,start,end,strand\n"
CHR1 = "ACGTTGCAAC" * 20
TOY = Reference("toy1", "toy", "chr1:200 chrII:60", "http://x/toy.fa.gz", "")


@pytest.fixture
def genome(tmp_path):
    return open_genome(tmp_path, f">1 first\n{CHR1}\n>II\n{'GATTACA' * 8}NNNN\n>ENST0007.3\nACGTACGTAC\n")


def open_genome(folder, text):
    (folder / "toy.fa").write_text(text)
    return Genome.open(folder / "toy.fa")


def write(folder, *lines, name="positive.csv.gz"):
    (folder / name).write_bytes(gzip.compress((HEADER + "".join(f"{line}\n" for line in lines)).encode()))
    return folder / name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("7,chr1,0,10,+", "ACGTTGCAAC"),
        ("7,1,0,10,+", "ACGTTGCAAC"),
        ("7,chr1,0,10,-", "GTTGCAACGT"),
        ("7,chr1,190,200,+", "ACGTTGCAAC"),
        ("7,chr1,1,4,", "CGT"),
        ("7,chr1,1,4,nan", "CGT"),
        ("7,chr1,1,4,.", "CGT"),
        ("7,II,54,60,+", "CANNNN"),
        ("7,ENST0007,1,4,-", "ACG"),
        ("7,ENST0007.3,2,6,+", "GTAC"),
    ],
)
def test_a_sequence_is_cut_with_its_strand(tmp_path, genome, line, expected):
    built = build_sequences(write(tmp_path, line, *["8,chr1,0,5,+"] * 200), genome, TOY)
    assert decode(built.ids[0]) == expected
    assert built.names[:2] == ["7", "8"]


def test_building_matches_bruteforce(tmp_path, genome):
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 150, 50)
    lines = [
        (i, int(start), int(start + rng.integers(1, 50)), "+-"[rng.integers(2)])
        for i, start in enumerate(starts)
    ]
    path = write(tmp_path, *(f"{i},chr1,{start},{end},{strand}" for i, start, end, strand in lines))
    complement = str.maketrans("ACGT", "TGCA")
    expected = [
        CHR1[start:end] if strand == "+" else CHR1[start:end][::-1].translate(complement)
        for _, start, end, strand in lines
    ]
    assert [decode(ids) for ids in build_sequences(path, genome, TOY).ids] == expected


GIVE = r"give toy1, whole \(http://x/toy\.fa\.gz\)"
BAD_INTERVALS = [
    ("7,chr3,0,10,+", rf"line 3: chr3 is not in toy\.fa, which has 1, II, ENST0007\.3, \.\.\.; {GIVE}"),
    (
        "7,chr1,190,201,+",
        r"line 3: end 201 is past the end of chr1 in toy\.fa \(200 bp\): "
        rf"an interval file of another assembly; {GIVE}",
    ),
    ("7,chr1,10,10,+", r"line 3: start '10', end '10', strand '\+': no interval"),
    ("7,chr1,-1,10,+", r"line 3: start '-1', end '10'"),
    ("7,chr1,1.5,10,+", r"line 3: start '1\.5'"),
    ("7,chr1,1,,+", r"line 3: start '1', end ''"),
    ("7,chr1,1,9,plus", r"line 3: start '1', end '9', strand 'plus': no interval; start is a whole number"),
]


@pytest.mark.parametrize(("line", "message"), BAD_INTERVALS)
def test_bad_intervals_are_refused_by_line(tmp_path, genome, line, message):
    with pytest.raises(InputError, match=rf"positive\.csv\.gz, {message}"):
        build_sequences(write(tmp_path, "6,chr1,0,10,+", line), genome, TOY)


BAD_FILES = [
    (b"", r"cannot be read|empty"),
    (HEADER.encode(), r"no interval in the file; fetch it again"),
    (b"chr1,0,10\nchr1,5,9\n", r"no column id, region, start, end, strand; an interval file has id, region"),
]


@pytest.mark.parametrize(("data", "message"), BAD_FILES)
def test_bad_interval_files_are_refused(tmp_path, data, message):
    (tmp_path / "negative.csv").write_bytes(data)
    with pytest.raises(InputError, match=rf"negative\.csv: .*({message})"):
        read_intervals(tmp_path / "negative.csv")


def test_another_assembly_is_told_by_the_length_of_a_chromosome(tmp_path):
    genome = open_genome(tmp_path, f">chr1\n{'ACGT' * 51}\n")
    with pytest.raises(
        InputError, match=rf"toy\.fa: chr1 has 204 bp, in toy1 it has 200: another assembly; {GIVE}"
    ):
        build_sequences(write(tmp_path, "7,chr1,0,10,+"), genome, TOY)


def test_a_genome_of_n_is_told_by_its_sequences(tmp_path):
    genome = open_genome(tmp_path, f">chr1\n{'ACGT' * 10}{'N' * 160}\n")
    lines = ["7,chr1,0,10,+"] * 50 + ["7,chr1,50,60,+"] * 2
    with pytest.raises(InputError, match=rf"2 of 52 sequences are more than half N in toy\.fa: .*; {GIVE}"):
        build_sequences(write(tmp_path, *lines), genome, TOY)


def shared_data():
    default = Path(__file__).parents[2] / "shared"
    data = Path(os.environ.get("CONVNOVA_SHARED", default)) / "data"
    if not (data / "genomic_benchmarks").exists():
        pytest.skip("needs the experiments' data folder (CONVNOVA_SHARED), which does not ship")
    return data


TASKS = ("nontata_promoters", "enhancers_cohn", "enhancers_ensembl", "ocr_ensembl", "ensembl_regulatory")


def hg38_chr22_where_known(data):
    """Return chr22 in GRCh38's coordinates, N where unknown: pieces of hg19 and how far each has moved.

    Training sequences tell the shift where they lie; all between two of one shift has moved by it.
    """
    with gzip.open(data / "genomes/human_hg19/chr22_partial.fa.gz", "rt") as file:
        hg19 = "".join(line.strip() for line in file if not line.startswith(">")).upper()
    frames = [
        pl.read_csv(data / f"genomic_benchmarks/subset_with_sequences/human_{task}.csv.gz") for task in TASKS
    ]
    columns = ("start", "end", "seq", "strand")
    rows = pl.concat([frame.filter(split="train", region_hg38="chr22").select(columns) for frame in frames])
    shifts, moved = [], []
    for start, end, sequence, _ in (
        rows.filter((pl.col("strand") != "-") & (pl.col("end") - pl.col("start") > 99))
        .sort("start")
        .iter_rows()
    ):
        shift = next((shift for shift in reversed(shifts) if hg19.startswith(sequence, start + shift)), None)
        if shift is None:
            shift = hg19.find(sequence) - start
            shifts.append(shift)
        moved.append((start, end, shift))
    known = np.full(50_818_468, b"N", dtype="S1")
    letters = np.frombuffer(hg19.encode(), dtype="S1")
    for (begin, _, shift), (_, end, next_shift) in pairwise(moved):
        if shift == next_shift:
            known[begin:end] = letters[begin + shift : end + shift]
    return known.tobytes().decode()


def test_built_sequences_are_the_published_ones(tmp_path):
    """The official test sequences of human_nontata_promoters, where this chromosome is known: all agree."""
    data = shared_data()
    benchmarks = data / "genomic_benchmarks"
    (tmp_path / "hg38.fa").write_text(f">22\n{hg38_chr22_where_known(data)}\n")
    genome = Genome.open(tmp_path / "hg38.fa")
    reference = references()["GRCh38"]
    check_assembly(genome, reference)
    task = "human_nontata_promoters"
    published = pl.read_csv(benchmarks / f"test_sequences/{task}_test.csv.gz")
    compared = Counter()
    for label, name in enumerate(("negative", "positive")):
        path = benchmarks / f"intervals/{task}/test/{name}.csv.gz"
        frame = read_intervals(path).filter(region="chr22")
        built = [decode(ids) for ids in cut(frame, genome, path, reference).ids]
        official = set(published.filter(label=label)["seq"])
        for sequence, strand in zip(built, frame["strand"], strict=True):
            if "N" not in sequence:
                compared[strand, sequence in official] += 1
    print(f"agreement by strand: {dict(compared)}")
    assert compared["+", True] + compared["-", True] >= 100
    assert compared["-", True] >= 20
    assert compared["+", False] == compared["-", False] == 0


def test_an_hg19_genome_is_refused_for_grch38_intervals(tmp_path):
    data = shared_data()
    genome = Genome.open(data / "genomes/human_hg19/chr22_partial.fa.gz", tmp_path)
    path = data / "genomic_benchmarks/intervals/human_enhancers_cohn/test/positive.csv.gz"
    with pytest.raises(
        InputError, match=r"chr22 has 51,304,566 bp, in GRCh38 it has 50,818,468: another assembly"
    ):
        build_sequences(path, genome, references()["GRCh38"])
