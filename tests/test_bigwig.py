"""bigWig files that are filled side by side, read back by pybigtools."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from convnova.errors import InputError
from convnova.genome.bigwig import bigwig_files

pybigtools = pytest.importorskip("pybigtools")

SIZES = {"chr2": 1000, "chr10": 300, "chr1": 70, "empty": 50}
SPANS = {"chr2": [(0, 400), (400, 401), (401, 1000)], "chr10": [(0, 300)], "chr1": [(10, 50)]}


def random_values(seed):
    """Return the values of each chromosome: runs of one value, gaps of 0, and single bases."""
    rng = np.random.default_rng(seed)
    return {
        name: np.repeat(rng.integers(0, 4, size) / 4, rng.integers(1, 9, size))[:size]
        for name, size in SIZES.items()
    }


def fill(paths, values):
    with bigwig_files(paths, SIZES) as files:
        for name, spans in SPANS.items():
            for start, end in spans:
                for file, one in zip(files, values, strict=True):
                    file.add(name, start, one[name][start:end])


def add_all(paths, stretches, error=None):
    with bigwig_files(paths, SIZES) as files:
        for stretch in stretches:
            files[0].add(*stretch)
        if error is not None:
            raise error


def read(path, name):
    """Return the values of a chromosome, 0 where the file has none."""
    with pybigtools.open(str(path)) as file:
        return np.nan_to_num(np.asarray(file.values(name, 0, SIZES[name])))


def runs(path, name):
    with pybigtools.open(str(path)) as file:
        return [tuple(record) for record in file.records(name)]


def test_several_files_come_back_as_they_were_filled(tmp_path):
    paths = [tmp_path / f"{number}.bw" for number in range(5)]
    values = [random_values(number) for number in range(5)]
    fill(paths, values)
    assert sorted(tmp_path.iterdir()) == paths
    for path, one in zip(paths, values, strict=True):
        with pybigtools.open(str(path)) as file:
            assert file.chroms() == {name: SIZES[name] for name in SPANS}
        for name, spans in SPANS.items():
            expected = np.zeros(SIZES[name])
            expected[spans[0][0] : spans[-1][1]] = one[name][spans[0][0] : spans[-1][1]]
            np.testing.assert_array_equal(read(path, name), expected)


def test_neighbours_with_one_value_are_a_run_and_zeros_are_left_out(tmp_path):
    with bigwig_files([tmp_path / "a.bw"], {"chr1": 20}) as (file,):
        file.add("chr1", 2, np.array([0.5, 0.5, 0, 0, 0.25, 0.5, 0]))
        file.add("chr1", 9, np.array([]))
        file.add("chr1", 12, np.zeros(4))
        file.add("chr1", 16, np.array([1.0]))
    assert runs(tmp_path / "a.bw", "chr1") == [(2, 4, 0.5), (6, 7, 0.25), (7, 8, 0.5), (16, 17, 1.0)]


def test_a_file_without_a_value_is_a_file_all_the_same(tmp_path):
    with bigwig_files([tmp_path / "a.bw", tmp_path / "b.bw"], SIZES) as (first, second):
        first.add("chr2", 0, np.ones(3))
        second.add("chr2", 0, np.zeros(3))
    assert runs(tmp_path / "a.bw", "chr2") == [(0, 3, 1.0)]
    assert runs(tmp_path / "b.bw", "chr2") == [(0, 1, 0.0)]


def test_more_tiles_than_wait_in_the_queue(tmp_path):
    values = np.arange(1, 1001) / 1000
    with bigwig_files([tmp_path / "a.bw"], {"chr1": 1000}) as (file,):
        for start in range(0, 1000, 10):
            file.add("chr1", start, values[start : start + 10])
    with pybigtools.open(str(tmp_path / "a.bw")) as file:
        np.testing.assert_allclose(file.values("chr1", 0, 1000), values, rtol=1e-6)


def test_an_error_leaves_no_file_and_no_thread(tmp_path):
    before = threading.active_count()
    (tmp_path / "b.bw").write_text("what was there")
    with pytest.raises(KeyboardInterrupt):
        add_all([tmp_path / "a.bw", tmp_path / "b.bw"], [("chr2", 0, np.ones(9))], KeyboardInterrupt())
    assert [path.name for path in tmp_path.iterdir()] == ["b.bw"]
    assert (tmp_path / "b.bw").read_text() == "what was there"
    assert threading.active_count() == before


BAD = {
    "past the end": [("chr1", 60, np.ones(20))],
    "not in order": [("chr2", 500, np.ones(3)), ("chr2", 0, np.ones(3))],
    "an unknown chromosome": [("chrQ", 0, np.ones(3))],
}


@pytest.mark.parametrize("stretches", BAD.values(), ids=BAD.keys())
def test_what_no_bigwig_can_hold_is_an_error_in_one_line(tmp_path, stretches):
    with pytest.raises(InputError, match=r"/a\.bw: the bigWig could not be written \(.*\)") as caught:
        add_all([tmp_path / "a.bw"], stretches)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line(tmp_path):
    (tmp_path / "a.bw.incomplete.bw").symlink_to("/dev/full")
    with pytest.raises(InputError, match="is the disk full"):
        fill([tmp_path / "a.bw"], [random_values(0)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises((OSError, InputError)), bigwig_files([tmp_path / "no/a.bw"], SIZES):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pybigtools_says_the_pip_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pybigtools", None)
    with (
        pytest.raises(InputError, match=r"pybigtools is needed for bigWig; .*'convnova\[tracks\]'"),
        bigwig_files([tmp_path / "a.bw"], SIZES),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
