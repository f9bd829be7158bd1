"""The store of a genome on disk: when it is reused, when it is built anew, and what a failure leaves."""

import errno
import json
import logging
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import pytest

from convnova.errors import InputError
from convnova.genome import Genome, store

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text(">chrI\nACGTACGTAC\n>chrII\nggggNNNN\n")
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_store_is_built_once_and_then_reused(fasta, caplog):
    caplog.set_level(logging.INFO)
    first, second = Genome.open(fasta), Genome.open(fasta)
    assert (first.was_cached, second.was_cached) == (False, True)
    assert first.checksum == second.checksum
    assert "built in" in caplog.messages[0]
    assert "reused" in caplog.messages[1]


def test_the_store_lies_beside_the_fasta(fasta):
    Genome.open(str(fasta))
    assert names_in(fasta.parent) == [".toy.fa.convnova.lock", "toy.fa", "toy.fa.convnova"]
    assert names_in(fasta.parent / "toy.fa.convnova") == ["bases.u8", "index.json"]


def test_a_named_cache_holds_genomes_of_the_same_name_apart(fasta, tmp_path):
    other = tmp_path / "other" / "toy.fa"
    other.parent.mkdir()
    other.write_text(">chrX\nTTTT\n")
    cache = tmp_path / "deep" / "cache"
    assert list(Genome.open(fasta, cache).chromosome_sizes) == ["chrI", "chrII"]
    assert list(Genome.open(other, cache).chromosome_sizes) == ["chrX"]
    assert Genome.open(fasta, cache).was_cached
    assert names_in(other.parent) == ["toy.fa"]


def test_a_folder_that_cannot_be_written_sends_the_store_to_the_users_cache(fasta, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(store, "_is_writable", lambda folder: folder != fasta.parent)
    (tmp_path / "xdg" / "convnova").mkdir(parents=True)
    assert not Genome.open(fasta).was_cached
    assert Genome.open(fasta).was_cached
    assert not (fasta.parent / "toy.fa.convnova").exists()
    assert any(name.startswith("toy.fa-") for name in names_in(tmp_path / "xdg" / "convnova"))


def test_nowhere_to_write_is_an_error_that_names_the_places(fasta, monkeypatch):
    monkeypatch.setattr(store, "_is_writable", lambda folder: False)
    with pytest.raises(
        InputError, match=r"toy\.fa: its store cannot be written in .* or .*; name a writable folder"
    ):
        Genome.open(fasta)


def test_a_changed_fasta_is_read_again(fasta):
    Genome.open(fasta)
    fasta.write_text(">chrI\nTTTT\n")
    changed = Genome.open(fasta)
    assert not changed.was_cached
    assert changed.chromosome_sizes == {"chrI": 4}


def test_a_fasta_of_another_time_is_read_again(fasta):
    Genome.open(fasta)
    os.utime(fasta, ns=(1, 1))
    assert not Genome.open(fasta).was_cached


def test_a_genome_opened_by_a_relative_path_is_unpickled_elsewhere(fasta, monkeypatch):
    monkeypatch.chdir(fasta.parent)
    data = pickle.dumps(Genome.open("toy.fa"))
    monkeypatch.chdir("/")
    assert pickle.loads(data).chromosome_sizes == {"chrI": 10, "chrII": 8}


def truncate_bases(folder):
    (folder / "bases.u8").write_bytes(b"\0" * 5)


def empty_bases(folder):
    (folder / "bases.u8").write_bytes(b"")


def remove_bases(folder):
    (folder / "bases.u8").unlink()


def break_index(folder):
    (folder / "index.json").write_text('{"format": 1, "sour')


def age_index(folder):
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"format": 0}))


def lose_a_name(folder):
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"names": ["chrI"]}))


DAMAGES = [truncate_bases, empty_bases, remove_bases, break_index, age_index, lose_a_name]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_older_store_is_built_anew(fasta, damage):
    checksum = Genome.open(fasta).checksum
    damage(fasta.parent / "toy.fa.convnova")
    again = Genome.open(fasta)
    assert not again.was_cached
    assert again.checksum == checksum


def test_a_genome_in_use_survives_the_rebuilding_of_its_store(fasta):
    genome = Genome.open(fasta)
    before = genome.sequence("chrI").tolist()
    fasta.write_text(">chrI\nTTTT\n")
    Genome.open(fasta)
    assert genome.sequence("chrI").tolist() == before
    with pytest.raises(InputError, match="was removed or replaced while in use; start again"):
        pickle.loads(pickle.dumps(genome))


def fail_with(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_one_error_and_leaves_nothing_half_written(fasta, monkeypatch, number):
    monkeypatch.setattr(store.os, "fsync", fail_with(number))
    message = rf"the store of toy\.fa cannot be written \({os.strerror(number)}\); .* free some space"
    with pytest.raises(InputError, match=message):
        Genome.open(fasta)
    assert names_in(fasta.parent) == [".toy.fa.convnova.lock", "toy.fa"]
    monkeypatch.undo()
    assert not Genome.open(fasta).was_cached


def hang_while_building(fasta, marker):
    """Begin to build a store and stay there, bytes written but not yet in place."""

    def hang(_):
        marker.touch()
        time.sleep(600)

    store.os.fsync = hang
    Genome.open(fasta)


def test_a_build_that_was_killed_is_not_trusted_and_is_cleared_away(fasta, tmp_path):
    marker = tmp_path / "marker"
    child = SPAWN.Process(target=hang_while_building, args=(fasta, marker))
    child.start()
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.kill()
    child.join()
    child.close()
    marker.unlink()
    assert names_in(tmp_path) == [".toy.fa.convnova.lock", ".toy.fa.convnova.partial", "toy.fa"]

    genome = Genome.open(fasta)
    assert not genome.was_cached
    assert genome.chromosome_sizes == {"chrI": 10, "chrII": 8}
    assert names_in(tmp_path) == [".toy.fa.convnova.lock", "toy.fa", "toy.fa.convnova"]


def open_at_once(fasta, barrier, answers):
    barrier.wait(timeout=60)
    genome = Genome.open(fasta)
    answers.put((genome.was_cached, genome.checksum, int(genome.sequence("chrI").sum())))


def test_processes_that_open_at_once_build_one_store(fasta):
    fasta.write_text(">chrI\n" + "ACGTTGCA\n" * 50_000)
    barrier, answers = SPAWN.Barrier(3), SPAWN.Queue()
    children = [SPAWN.Process(target=open_at_once, args=(fasta, barrier, answers)) for _ in range(3)]
    for child in children:
        child.start()
    results = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join()
        assert child.exitcode == 0
        child.close()
    answers.close()
    answers.join_thread()
    genome = Genome.open(fasta)
    assert sorted(was_cached for was_cached, _, _ in results) == [False, True, True]
    assert {(checksum, total) for _, checksum, total in results} == {
        (genome.checksum, int(genome.sequence("chrI").sum()))
    }


def test_is_writable_tells_a_folder_from_what_is_none(tmp_path):
    (tmp_path / "file").touch()
    assert store._is_writable(tmp_path / "new" / "folder")
    assert not store._is_writable(tmp_path / "file")
    assert not store._is_writable(Path("/proc/nothing"))
