import json
import os
from pathlib import Path

import polars as pl
import pytest

from convnova.errors import InputError
from convnova.inference.tables import write_table
from convnova.writing import make_folder, whole_file, write_json

needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
FRAME = pl.DataFrame({"name": ["a"] * 5000, "score": [0.25] * 5000})


def stop_after(text, path):
    path.write_text(text)
    raise KeyboardInterrupt


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    with pytest.raises(KeyboardInterrupt), whole_file(path) as staging:
        stop_after("half of", staging)
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


@needs_full_disk
def test_the_error_of_a_full_disk_names_the_file(tmp_path):
    (tmp_path / "a.json.incomplete").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*a\.json") as caught:
        write_json(tmp_path / "a.json", {"much": "text"})
    assert caught.value.filename == str(tmp_path / "a.json")


def test_a_file_appears_at_once(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as staging:
        staging.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.txt", []

    def note(number):
        synced.append((os.fstat(number).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    with whole_file(path) as staging:
        staging.write_text("all")
    assert synced == [(3, False)]
    assert path.read_text() == "all"


@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".csv", pl.read_csv),
        (".tsv", lambda path: pl.read_csv(path, separator="\t")),
        (".parquet", pl.read_parquet),
    ],
)
def test_tables_come_back_as_they_were_written(tmp_path, suffix, read):
    path = tmp_path / "made/here" / f"a{suffix}"
    write_table(FRAME, path)
    assert read(path).equals(FRAME)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@needs_full_disk
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_full_disk_is_one_line(tmp_path, suffix):
    (tmp_path / f"a{suffix}.incomplete").symlink_to("/dev/full")
    message = (
        rf"a{suffix}: cannot be written \(.*No space left.*\); free some space, or choose another place$"
    )
    with pytest.raises(InputError, match=message):
        write_table(FRAME, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.gz"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(
        InputError, match=rf"{name}: the name must end with one of \.csv, \.tsv, \.parquet, \.bed"
    ):
        write_table(FRAME, tmp_path / name)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"b: cannot be used for output \(no permission to write\); choose"):
        make_folder(tmp_path / "a/b")
