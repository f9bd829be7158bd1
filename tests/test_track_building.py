import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pybigtools
import pytest
from tiny_tracks import SIZES, random_peaks, tiny, write_bed, write_genome

from convnova.data.tracks import build
from convnova.data.tracks.build import build_tracks, choose_bins, labels_of
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.grid import BinGrid
from convnova.data.tracks.peaks import positive_bins, read_peaks
from convnova.data.tracks.settings import TrackSettings
from convnova.data.tracks.usable import NOT_USED, usable_bins
from convnova.errors import InputError
from convnova.genome import Genome, Interval


@pytest.fixture
def genome(tmp_path):
    return Genome.open(write_genome(tmp_path))


@pytest.fixture
def beds(tmp_path):
    """Return a folder of three tracks."""
    (folder := tmp_path / "beds").mkdir()
    write_bed(folder / "a.bed", "chrI 100 120", "chrII 200 220", "chrIII 300 320")
    write_bed(folder / "b.narrowPeak", "chrI 115 140", "chrIII 310 340", "chrI 900 920")
    write_bed(folder / "c.bed", "chrI 105 106", "chrII 7 30", "chrIII 0 10")
    return folder


def covered(genome, peaks, overlap, share, bin_bp):
    """Return the positive bins, base by base."""
    positive, number = [], 0
    for name, size in genome.chromosome_sizes.items():
        is_peak = np.zeros(size, dtype=bool)
        for chromosome, start, end in peaks:
            if chromosome == name:
                first, last = ((start + end) // 2,) * 2 if overlap == "summit" else (start, end - 1)
                is_peak[first : last + 1] = True
        for start in range(0, size - bin_bp + 1, bin_bp):
            bases = is_peak[start : start + bin_bp].sum()
            if bases > (share * bin_bp if overlap == "share" else 0):
                positive.append(number)
            number += 1
    return positive


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("overlap", "share"), [("share", 0.5), ("share", 0.0), ("any", 0.5), ("summit", 0.5)]
)
@pytest.mark.parametrize("bin_bp", [1, 7, 10, 64])
def test_positive_bins_match_bruteforce(tmp_path, genome, overlap, share, bin_bp, seed):
    peaks = random_peaks(genome, 60, seed)
    path = write_bed(tmp_path / "x.bed", *(f"{name} {start} {end}" for name, start, end in peaks))
    settings = tiny(tmp_path, path, overlap=overlap, overlap_share=share, bin_bp=bin_bp)
    found = positive_bins(read_peaks(path, genome, settings), BinGrid.of(genome, bin_bp), settings)
    assert found.tolist() == covered(genome, peaks, overlap, share, bin_bp)


@pytest.mark.parametrize(
    ("rows", "overlap", "positive"),
    [
        (["chrI 10 16"], "share", [1]),  # 6 of 10 bp
        (["chrI 10 15"], "share", []),  # half is not more than half
        (["chrI 10 13", "chrI 12 16"], "share", [1]),  # overlapping peaks count once: 6 bp
        (["chrI 10 14", "chrI 10 14"], "share", []),
        (["chrI 10 13", "chrI 16 19"], "share", [1]),
        (["chrI 10 15"], "any", [1]),
        (["chrI 19 21"], "any", [1, 2]),
        (["chrI 19 21"], "summit", [2]),
        (["chrI 10 40 x 0 . 0 0 0 25"], "summit", [3]),  # column 10 of narrowPeak
        (["chrI 10 40 x 0 . 0 0 0 -1"], "summit", [2]),  # none called
        (["chrI 10 40 x 0 . 10 40 0 1 30 0"], "summit", [2]),  # BED12 has another column 10
        (["chrI 1000 1010"], "share", [100]),
        (["chrII 0 10"], "share", [101]),
        (["chrI 1001 1010", "chrII 0 1"], "any", [100, 101]),  # nothing runs over into the next chromosome
    ],
)
def test_the_overlap_rule(tmp_path, genome, rows, overlap, positive):
    path = write_bed(tmp_path / "x.bed", *rows)
    settings = tiny(tmp_path, path, overlap=overlap)
    peaks = read_peaks(path, genome, settings)
    assert positive_bins(peaks, BinGrid.of(genome, 10), settings).tolist() == positive


def test_lines_that_are_not_plain_are_read_alike(tmp_path, genome):
    plain = write_bed(tmp_path / "x.bed", "chrI 10 40 x 0 . 0 0 0 25", "chrII 5 9 y 0 . 0 0 0 1")
    text = (
        "track name=x\nbrowser position\n\nchrI 10 40 x 0 . 0 0 0 25\n# y\nchrII\t5\t9\ty\t0\t.\t0\t0\t0\t1\n"
    )
    (tmp_path / "y.bed").write_text(text)
    one, other = (read_peaks(path, genome, tiny(tmp_path, path)) for path in (plain, tmp_path / "y.bed"))
    for name in ("chromosome", "start", "end", "summit"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


@pytest.mark.parametrize("rows", [["chrI 10 40", "chrII 5 9"], []])
def test_a_line_that_names_the_columns_is_passed_over(tmp_path, genome, rows):
    path = write_bed(tmp_path / "x.bed", "chrom start end", *rows)
    peaks = read_peaks(path, genome, tiny(tmp_path, path))
    assert [column.tolist() for column in peaks[:3]] == ([[0, 1], [10, 5], [40, 9]] if rows else [[], [], []])


@pytest.mark.parametrize("content", ["\ufeffchrI\t10\t40\nchrII\t5\t9\n", "chrI\t10\t40\r\nchrII\t5\t9\r\n"])
def test_marks_of_spreadsheets_change_nothing(tmp_path, genome, content):
    (tmp_path / "x.bed").write_bytes(content.encode())
    peaks = read_peaks(tmp_path / "x.bed", genome, tiny(tmp_path, "x"))
    assert [column.tolist() for column in peaks[:3]] == [[0, 1], [10, 5], [40, 9]]


def test_labels_match_a_lookup_of_each_bin():
    rng = np.random.default_rng(0)
    hits = [np.sort(rng.choice(100, size, replace=False)) for size in (0, 1, 30, 100)]
    for bins in (np.arange(100), np.array([3]), np.sort(rng.choice(100, 40, replace=False))):
        expected = [[one in of_track for of_track in hits] for one in bins]
        assert labels_of(hits, bins).tolist() == expected


@pytest.mark.parametrize("window_bp", [1, 10, 30, 31, 200])
def test_share_of_n_matches_the_windows(tmp_path, window_bp):
    genome = Genome.open(write_genome(tmp_path, n=("chrII", 200, 260)))
    grid = BinGrid.of(genome, 10)
    settings = tiny(tmp_path, "x", window_bp=window_bp, max_n_share=0.3)
    split = usable_bins(grid, genome, settings).split
    names = list(genome.chromosome_sizes)
    for bin_, (chromosome, start) in enumerate(
        zip(grid.chromosomes(np.arange(len(grid))), grid.starts(np.arange(len(grid))), strict=True)
    ):
        window = Interval(names[chromosome], int(start), int(start) + 10).resize(window_bp)
        assert (split[bin_] != NOT_USED) == ((genome.fetch(window) == 4).mean() <= 0.3)


def test_bins_are_split_by_chromosome_and_excluded_regions_are_left_out(tmp_path, genome):
    excluded = write_bed(tmp_path / "black.bed", "chrI 95 101", "chrII 0 600")
    usable = usable_bins(BinGrid.of(genome, 10), genome, tiny(tmp_path, "x", excluded=excluded))
    is_left_out = np.flatnonzero(usable.split == NOT_USED)
    assert is_left_out.tolist() == [9, 10, *range(101, 161)]
    assert set(usable.split[161:]) == {2}
    assert usable.notes[0] == "validation: chrII; test: chrIII"
    assert "62 of 211 bins touch a region of" in usable.notes[1]


def test_excluded_regions_follow_the_names_of_the_genome(tmp_path, genome):
    rows = ["chr1 95 101", "chrEBV 5 900", "chrEBV 7 9", "chr2 0 600"]
    excluded = write_bed(tmp_path / "black.bed", *rows)
    settings = tiny(tmp_path, "x", excluded=excluded, unknown_chromosomes="leave-out")
    usable = usable_bins(BinGrid.of(genome, 10), genome, settings)
    assert np.flatnonzero(usable.split == NOT_USED).tolist() == [9, 10, *range(101, 161)]
    assert usable.notes[1:3] == (
        "black.bed: chromosomes are called otherwise in the genome: chr1 is chrI, chr2 is chrII",
        "black.bed: left out, as the genome does not have them: chrEBV (2 regions)",
    )


def test_a_window_stays_out_of_another_split_of_its_chromosome(tmp_path):
    (tmp_path / "toy.fa").write_text(f">chr1\n{'ACGT' * 500}\n")
    genome = Genome.open(tmp_path / "toy.fa")
    settings = tiny(tmp_path, "x", window_bp=51, validation_chromosomes=[], test_chromosomes=[])
    split = usable_bins(BinGrid.of(genome, 10), genome, settings).split
    side = np.full(2000, -1)
    for place, (first, last) in enumerate([(0, 1800), (1800, 1900), (1900, 2000)]):
        side[first:last] = place
    for bin_ in range(200):
        window = Interval("chr1", 10 * bin_, 10 * bin_ + 10).resize(51)
        sides = set(side[max(window.start, 0) : window.end])
        assert split[bin_] == (sides.pop() if len(sides) == 1 else NOT_USED)


@pytest.mark.parametrize(
    ("negatives", "counts"),
    [("none", [3, 0, 1]), ("all", [6, 3, 3]), (0.0, [3, 0, 1]), (1.0, [6, 0, 2]), (9, [6, 0, 3])],
)
def test_negatives_are_drawn_in_each_split(negatives, counts):
    has_peak = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1], dtype=bool)
    split = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, NOT_USED], dtype=np.int8)
    settings = TrackSettings(["x"], "y", negatives=negatives, seed=3)
    chosen = choose_bins(has_peak, split, settings)
    assert [len(bins) for bins in chosen.values()] == counts
    for place, bins in enumerate(chosen.values()):
        assert (split[bins] == place).all()
        assert (np.diff(bins) > 0).all()
    assert all(
        np.array_equal(a, b)
        for a, b in zip(chosen.values(), choose_bins(has_peak, split, settings).values(), strict=True)
    )


def test_a_data_set_of_peaks_says_what_was_found(tmp_path, genome, beds, capsys):
    facts = build_tracks(tiny(tmp_path, beds))
    assert facts.names == ["a", "b", "c"]
    assert facts.rows == {"train": 6, "validation": 4, "test": 5}
    assert facts.totals["train"] == [2, 4, 0]
    said = capsys.readouterr().out
    assert "validation: chrII; test: chrIII" in said
    assert "a bin of 10 bp is positive where more than 0.5 of it is in peaks" in said
    assert "train: 6 bins; positive in a track: 0 to 4, median 2; none in 1 track: c" in said
    saved = json.loads((tmp_path / "data/tracks.json").read_text())
    assert saved["genome"]["checksum"] == genome.checksum
    assert saved["settings"]["bin_bp"] == 10


def test_blocks_change_nothing(tmp_path, genome, beds, monkeypatch):
    build_tracks(tiny(tmp_path, beds, negatives="all"))
    monkeypatch.setattr(build, "_BLOCK_LABELS", 21)
    build_tracks(tiny(tmp_path, beds, negatives="all", output=tmp_path / "other"))
    for name in ("targets.npy", "intervals.parquet"):
        one, other = (tmp_path / folder / name for folder in ("data", "other"))
        read = np.load if name.endswith("npy") else pl.read_parquet
        assert (
            (read(one) == read(other)).to_numpy().all()
            if name.endswith("parquet")
            else (read(one) == read(other)).all()
        )


def test_tracks_are_named_and_grouped_by_a_table(tmp_path, genome, beds):
    (tmp_path / "t.tsv").write_text(
        "name\tfile\tgroup\nfirst\tbeds/a.bed\tTF\n# no\nsecond\tbeds/b.narrowPeak\n"
    )
    facts = build_tracks(tiny(tmp_path, tmp_path / "t.tsv"))
    assert (facts.names, facts.groups) == (["first", "second"], ["TF", ""])


def test_tracks_with_few_peaks_or_no_positive_bin_are_listed_and_left_out(tmp_path, genome, beds, capsys):
    write_bed(beds / "empty.bed")
    write_bed(beds / "short.bed", "chrI 5 6", "chrI 15 16", "chrI 25 26")
    facts = build_tracks(tiny(tmp_path, beds, min_peaks=3))
    assert facts.names == ["a", "b", "c"]
    assert facts.tracks_left_out == {"empty": "fewer than 3 peaks", "short": "no positive bin"}
    said = capsys.readouterr().out
    assert "1 track left out, with fewer than 3 peaks: empty" in said
    assert "1 track left out, with no positive bin: short" in said


def test_other_names_of_chromosomes_are_said(tmp_path, genome, capsys):
    path = write_bed(tmp_path / "x.bed", "chr1 100 120", "chr2 100 120", "chr3 100 120")
    same = write_bed(tmp_path / "y.bed", "chrI 100 120", "chrII 100 120", "chrIII 100 120")
    build_tracks(tiny(tmp_path, path))
    assert (
        "called otherwise in the genome: chr1 is chrI, chr2 is chrII, chr3 is chrIII\n"
        in capsys.readouterr().out
    )
    build_tracks(tiny(tmp_path, same, output=tmp_path / "other"))
    one, other = (pl.read_parquet(tmp_path / name / "intervals.parquet") for name in ("data", "other"))
    assert one.equals(other)


def test_unknown_chromosomes_can_be_left_out(tmp_path, genome, capsys):
    path = write_bed(tmp_path / "x.bed", "chrI 100 120", "chrEBV 5 900", "chrEBV 7 9", "chrIII 100 120")
    facts = build_tracks(tiny(tmp_path, path, unknown_chromosomes="leave-out"))
    assert facts.rows == {"train": 2, "validation": 0, "test": 2}
    assert "left out, as the genome does not have them: chrEBV (2 peaks)" in capsys.readouterr().out


def test_unknown_chromosomes_of_signals_can_be_left_out(tmp_path, genome, capsys):
    path = write_bigwig(
        tmp_path / "s.bw", [("chrEBV", 0, 10, 1.0), ("chrI", 0, 10, 1.0)], SIZES | {"chrEBV": 99}
    )
    build_tracks(tiny(tmp_path, path, unknown_chromosomes="leave-out"))
    assert "left out, as the genome does not have them: chrEBV (1 file)" in capsys.readouterr().out


def write_bigwig(path, values, sizes=SIZES):
    writer = pybigtools.open(str(path), "w")
    writer.write(sizes, iter(values))
    return path


VALUES = [("chrI", 0, 15, 2.0), ("chrI", 20, 100, 1.0), ("chrI", 300, 303, 10.0), ("chrIII", 0, 500, 0.5)]


@pytest.mark.parametrize("log1p", [False, True])
def test_signals_are_means_over_bins(tmp_path, genome, log1p):
    files = [
        write_bigwig(tmp_path / "s.bw", VALUES),
        write_bigwig(tmp_path / "t.bigWig", [("chrII", 5, 7, 3.0)]),
    ]
    settings = tiny(tmp_path, list(map(str, files)), log1p=log1p)
    excluded = write_bed(tmp_path / "black.bed", "chrI 41 42")  # so that bins do not all lie side by side
    facts = build_tracks(replace(settings, excluded=excluded))
    assert (facts.kind, facts.names) == ("signal", ["s", "t"])
    data, row = TrackData.open(tmp_path / "data"), 0
    of_base = {(0, name): np.zeros(size) for name, size in SIZES.items()}
    for name, start, end, value in VALUES:
        of_base[0, name][start:end] = value
    for split in ("train", "validation", "test"):
        part = data.part(split)
        for index, (name, start, end) in enumerate(
            data.intervals()[row : row + len(part)].select("chromosome", "start", "end").iter_rows()
        ):
            mean = of_base[0, name][start:end].mean()
            assert part[index][1][0] == np.float16(np.log1p(mean) if log1p else mean)
        assert part.label_totals == pytest.approx(part.labels.sum(axis=0), rel=1e-3)
        row += len(part)
    assert data.part("validation").labels[0, 1] == np.float16(np.log1p(0.6) if log1p else 0.6)
    assert facts.rows["train"] == 100


def test_a_folder_is_whole_or_not_there(tmp_path, genome, beds, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "labels_of", broken)
    with pytest.raises(KeyboardInterrupt):
        build_tracks(tiny(tmp_path, beds))
    assert not list(tmp_path.glob("*data*"))
    assert not list(tmp_path.glob(".data*"))


def test_real_yeast_factors_become_tracks(tmp_path, capsys):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    peaks, fasta = shared / "tracks/yeast_chexmix", next(iter(shared.glob("genomes/yeast/*.fa.gz")), None)
    if not peaks.exists() or fasta is None:
        pytest.skip("the yeast factors are not here; set CONVNOVA_SHARED to the folder that has data/tracks")
    settings = TrackSettings([str(peaks)], tmp_path / "data", fasta, overlap="any", min_peaks=100)
    facts = build_tracks(replace(settings, cache=tmp_path))
    assert (len(facts.names), facts.rows["train"]) == (257, 18_436)
    assert "chr7 is chrVII" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"the longest of 182,698 peaks has 1 bp, .*; set overlap to any or"):
        build_tracks(replace(settings, overlap="share", output=tmp_path / "other", cache=tmp_path))
