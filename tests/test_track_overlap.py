"""No window of a held-out part shows bases of another part, unless it is said."""

import numpy as np
import pytest
from tiny_tracks import tiny, write_bed, write_genome

from convnova.data.splits import SPLITS
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.overlap import shared_windows
from convnova.errors import InputError


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
