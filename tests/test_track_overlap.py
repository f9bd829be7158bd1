"""No window of a held-out part shows bases of another part, unless it is said."""

import numpy as np
import pytest
from test_track_coordinates import write
from tiny_tracks import tiny, write_bed, write_genome

from convnova.data.splits import SPLITS
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.overlap import shared_windows
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError

HEADER = "chr,start,end,a"


@pytest.mark.parametrize("window_bp", [1, 7, 50])
@pytest.mark.parametrize("seed", range(5))
def test_shared_windows_match_bruteforce(window_bp, seed):
    rng = np.random.default_rng(seed)
    chromosomes, starts, splits = (rng.integers(*ends, 60) for ends in ((0, 3), (-9, 900), (0, 3)))
    expected = {}
    for first, second in ((0, 1), (0, 2), (1, 2)):
        rows = [
            any(
                chromosomes[row] == chromosomes[other] and abs(starts[row] - starts[other]) < window_bp
                for other in np.flatnonzero(splits == first)
            )
            for row in np.flatnonzero(splits == second)
        ]
        if any(rows):
            expected[SPLITS[first], SPLITS[second]] = sum(rows)
    assert shared_windows(chromosomes, starts, splits, window_bp) == expected


@pytest.fixture
def one_chromosome(tmp_path):
    """Return a data set on one chromosome of 2,000 bp, split 1,800 to 100 to 100, in windows of 31 bp."""
    (tmp_path / "toy.fa").write_text(f">chr1\n{'ACGT' * 500}\n")
    path = write_bed(tmp_path / "a.bed", "chr1 0 20", "chr1 1840 1860", "chr1 1940 1960")
    held_out = {"validation_chromosomes": [], "test_chromosomes": []}
    build_tracks(tiny(tmp_path, path, negatives="all", window_bp=31, **held_out))
    return tmp_path / "data"


@pytest.mark.parametrize("window_bp", [1, 31, 40])
def test_windows_of_the_parts_of_a_chromosome_do_not_overlap(one_chromosome, window_bp):
    data = TrackData.open(one_chromosome, window_bp=window_bp)
    rows = data.intervals()
    for first, second in (("train", "validation"), ("validation", "test")):
        last = rows.filter(rows["split"] == first)["start"].max()
        assert rows.filter(rows["split"] == second)["start"].min() - last >= window_bp
    assert len(data.part("train")[0][0]) == window_bp


def test_longer_windows_that_reach_into_another_part_are_refused(one_chromosome):
    message = (
        r"data: in windows of 61 bp, 3 of validation overlap some of train, and it was built for 31 bp; "
        r"build it again with window_bp 61, or lower it"
    )
    with pytest.raises(InputError, match=message) as caught:
        TrackData.open(one_chromosome, window_bp=61)
    assert "\n" not in str(caught.value)


def test_longer_windows_are_read_where_parts_share_no_chromosome(tmp_path):
    write_genome(tmp_path)
    build_tracks(tiny(tmp_path, write_bed(tmp_path / "a.bed", "chrI 0 20", "chrII 0 20", "chrIII 0 20")))
    assert len(TrackData.open(tmp_path / "data", window_bp=900).part("test")[0][0]) == 900


def tables(folder, train, validation, test):
    write_genome(folder)
    rows = {"train": train, "val": validation, "test": test}
    return write(folder, {name: [f"{row},1" for row in made] for name, made in rows.items()}, HEADER)


LEAKS = {
    "the same": (["chrI,100,120"], ["chrII,100,120"], ["chrI,100,120", "chrI,500,520"], 20, "train", 1),
    "windows": (["chrI,100,120"], ["chrII,100,120"], ["chrI,139,159"], 40, "train", 1),
    "validation": (
        ["chrI,100,120"],
        ["chrIII,100,120"],
        ["chrIII,90,110", "chrIII,99,119"],
        20,
        "validation",
        2,
    ),
}


@pytest.mark.parametrize(
    ("train", "validation", "test", "window_bp", "name", "count"), LEAKS.values(), ids=LEAKS
)
def test_a_table_of_test_that_overlaps_another_is_refused(
    tmp_path, capsys, train, validation, test, window_bp, name, count
):
    settings = tables(tmp_path, train, validation, test) | {"window_bp": window_bp}
    message = (
        rf"{count} of {len(test)} windows of test \({window_bp} bp\) overlap some of {name}; split by chromo"
    )
    with pytest.raises(InputError, match=message) as caught:
        build_tracks(TrackSettings(**settings))
    assert "\n" not in str(caught.value)
    assert not settings["output"].exists()
    facts = build_tracks(TrackSettings(**settings, on_leakage="state"))
    assert facts.rows["test"] == len(test)
    said = f"look: {count} of {len(test)} windows of test ({window_bp} bp) overlap some of {name}"
    assert said in capsys.readouterr().out
    assert said in facts.notes


def test_windows_of_train_in_validation_are_stated(tmp_path, capsys):
    settings = tables(tmp_path, ["chrI,100,120"], ["chrI,100,120", "chrI,160,180"], ["chrII,0,20"])
    build_tracks(TrackSettings(**settings, window_bp=40))
    said = capsys.readouterr().out
    assert "look: 1 of 2 windows of validation (40 bp) overlap some of train\n" in said


def test_tables_that_are_split_by_chromosome_say_nothing(tmp_path, capsys):
    settings = tables(tmp_path, ["chrI,100,120"], ["chrII,100,120"], ["chrIII,100,120"])
    build_tracks(TrackSettings(**settings, window_bp=400))
    assert "look" not in capsys.readouterr().out
