import json

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score
from tiny_track_task import run_settings
from tiny_tracks import one_hot_agct, write_bed, write_deepsea, write_mat

from convnova.data.packed import pack
from convnova.data.tracks import deepsea
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.names import deepsea_groups, read_names
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError
from convnova.inference.predict import predict
from convnova.inference.predict_genome import predict_genome
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.saved_tracks import load_track_model
from convnova.sequence import decode, encode, reverse_complement
from convnova.training.track_task import finetune_tracks


def settings(folder, **changes):
    return TrackSettings([str(folder)], folder / "data", **changes)


@pytest.mark.parametrize("block", [1, 4, 2**13])
def test_published_files_become_the_first_half_of_each(tmp_path, monkeypatch, capsys, block):
    monkeypatch.setattr(deepsea, "_BLOCK", block)
    made = write_deepsea(tmp_path)
    facts = build_tracks(settings(tmp_path))
    data = TrackData.open(tmp_path / "data")
    assert facts.rows == {"train": 6, "validation": 6, "test": 6}
    for split, (ids, labels) in made.items():
        part = data.part(split)
        assert np.array_equal(np.stack(list(part.ids)), ids)
        assert np.array_equal(part.labels, labels)
    said = capsys.readouterr().out
    assert "train: 12 sequences in train.mat, both strands of each, stored once" in said
    assert "tracks are called by their number; names takes a list of them" in said
    assert facts.names == ["1", "2", "3", "4", "5"]


def test_the_channels_are_a_g_c_t(tmp_path):
    x = np.zeros((2, 4, 5), dtype=np.uint8)
    for position, channel in enumerate((0, 1, 2, 3)):
        x[0, channel, position] = 1
    x[1] = one_hot_agct(reverse_complement(encode("AGCTN"))[None])[0]
    write_mat(tmp_path / "test.mat", {"testxdata": x, "testdata": np.ones((2, 1), np.uint8)}, is_hdf5=False)
    build_tracks(settings(tmp_path))
    assert np.array_equal(TrackData.open(tmp_path / "data").part("test")[0][0], encode("AGCTN"))


def test_files_of_one_strand_are_stored_whole(tmp_path, capsys):
    ids = np.random.default_rng(0).integers(0, 4, (10, 8)).astype(np.uint8)
    labels = np.eye(10, 3, dtype=np.uint8)
    write_mat(tmp_path / "valid.mat", {"validxdata": one_hot_agct(ids), "validdata": labels}, is_hdf5=True)
    build_tracks(settings(tmp_path))
    part = TrackData.open(tmp_path / "data").part("validation")
    assert np.array_equal(np.stack(list(part.ids)), ids)
    assert np.array_equal(part.labels, labels)
    assert "10 sequences in valid.mat, halves are not strands of each other" in capsys.readouterr().out


@pytest.mark.parametrize(("window_bp", "first"), [(20, 0), (10, 5), (7, 7)])
def test_stored_sequences_are_cut_around_their_centre(tmp_path, window_bp, first):
    ids = write_deepsea(tmp_path)["test"][0]
    build_tracks(settings(tmp_path))
    part = TrackData.open(tmp_path / "data", window_bp=window_bp).part("test")
    assert np.array_equal(np.stack(list(part.ids)), ids[:, first : first + window_bp])
    with pytest.raises(InputError, match="sequences are stored, 20 bp each, so window_bp cannot be 21"):
        TrackData.open(tmp_path / "data", window_bp=21)


def test_groups_are_ranges_of_columns():
    groups = deepsea_groups([str(number) for number in range(1, 920)])
    assert [groups.count(name) for name in ("DHS", "TF", "histone")] == [125, 690, 104]
    assert (groups[124], groups[125], groups[814], groups[815]) == ("DHS", "TF", "TF", "histone")
    assert deepsea_groups(["a", "b"]) == ["", ""]


def test_names_in_another_order_than_the_columns_are_refused():
    names = ["K562|CTCF|None"] * 690 + ["K562|DNase|None"] * 125 + ["K562|H3K4me3|None"] * 104
    with pytest.raises(InputError, match=r"name 1 is 'K562\|CTCF\|None', and column 1 is of group DHS"):
        deepsea_groups(names)
    assert deepsea_groups(names[690:815] + names[:690] + names[815:])[0] == "DHS"


@pytest.mark.parametrize(
    "text",
    ["a|x\nb|x\nb|x\n", "a|x\r\nb|x\r\nb|x\r\n", "number\tname\n1\ta|x\n2\tb|x\n3\tb|x\n", "a|x\nb|x\n\nb|x"],
)
def test_a_list_of_names(tmp_path, text):
    (tmp_path / "predictor.names").write_bytes(text.encode())
    assert read_names(tmp_path / "predictor.names", 3) == ["a|x", "b|x", "b|x #2"]


BAD_FILES = [
    (
        {"trainxdata": (4, 4, 6), "labels": (4, 2)},
        r"it holds labels, trainxdata; DeepSEA's files hold trainxdata and traindata or validxdata and",
    ),
    ({"testxdata": (4, 6, 4), "testdata": (4, 2)}, r"arrays of shapes .*; DeepSEA's are \("),
    ({"testxdata": (4, 4, 6), "testdata": (3, 2)}, r"arrays of shapes .*; DeepSEA's are \("),
]


@pytest.mark.parametrize("is_hdf5", [True, False])
@pytest.mark.parametrize(("shapes", "message"), BAD_FILES)
def test_other_arrays_are_refused(tmp_path, shapes, message, is_hdf5):
    arrays = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}
    write_mat(tmp_path / "x.mat", arrays, is_hdf5)
    with pytest.raises(InputError, match=r"x\.mat: " + message):
        build_tracks(settings(tmp_path))


@pytest.mark.parametrize("is_hdf5", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_cut_short_is_one_line(tmp_path, is_hdf5, share):
    rng = np.random.default_rng(0)
    arrays = {"testxdata": rng.integers(0, 1, (40, 4, 100)), "testdata": rng.integers(0, 2, (40, 50))}
    path = write_mat(tmp_path / "test.mat", arrays, is_hdf5)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"test\.mat: .*copy or download it again") as caught:
        build_tracks(settings(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": 1}, r"two bases at one place of a sequence; this is not one-hot"),
        ({"y": 2}, r"a label is neither 0 nor 1"),
    ],
)
def test_other_values_are_refused(tmp_path, change, message):
    x, y = one_hot_agct(np.zeros((4, 6), np.uint8)), np.zeros((4, 2), np.uint8)
    x[1, :, 2] = change.get("x", x[1, :, 2])
    y[1, 1] = change.get("y", 0)
    write_mat(tmp_path / "test.mat", {"testxdata": x, "testdata": y}, is_hdf5=False)
    with pytest.raises(InputError, match=message):
        build_tracks(settings(tmp_path))
    assert not (tmp_path / "data").exists()


def test_halves_that_cease_to_be_strands_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(deepsea, "_BLOCK", 2)
    ids = np.random.default_rng(0).integers(0, 4, (6, 8)).astype(np.uint8)
    both = np.concatenate([ids, reverse_complement(ids)])
    both[11, 0] = (both[11, 0] + 1) % 4
    arrays = {"testxdata": one_hot_agct(both), "testdata": np.ones((12, 1), np.uint8)}
    write_mat(tmp_path / "test.mat", arrays, is_hdf5=False)
    with pytest.raises(
        InputError, match="among sequences 5 to 6 one is not the other strand of that 6 further on"
    ):
        build_tracks(settings(tmp_path))


def test_settings_without_a_meaning_are_refused(tmp_path):
    write_deepsea(tmp_path)
    with pytest.raises(InputError, match="genome has no meaning for files of deepsea; leave it out"):
        build_tracks(settings(tmp_path, genome=tmp_path / "x.fa"))


@pytest.mark.parametrize(("length", "tracks"), [(20, 4), (18, 5)])
def test_files_of_two_tasks_are_refused(tmp_path, length, tracks):
    write_deepsea(tmp_path)
    arrays = {"testxdata": np.zeros((4, 4, length)), "testdata": np.zeros((4, tracks))}
    write_mat(tmp_path / "test.mat", arrays, is_hdf5=False)
    message = rf"train\.mat: 5 tracks of 20 bp, but {tracks} of {length} bp in test\.mat"
    with pytest.raises(InputError, match=message):
        build_tracks(settings(tmp_path))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of the published files, their content, and what a model of them reached."""
    folder = tmp_path_factory.mktemp("deepsea")
    made = write_deepsea(folder, rows=120, length=40, tracks=3)
    build_tracks(settings(folder))
    return folder, made, finetune_tracks(run_settings(folder), Console(quiet=True))


def test_published_files_become_a_model_and_its_scores_on_test(finished):
    folder, made, result = finished
    ids, labels = made["test"]
    predictions = predict(load_track_model(folder / "run").model, pack(ids), both_strands=True)
    aurocs = [roc_auc_score(labels[:, track], predictions[:, track]) for track in range(3)]
    assert result.test.by_metric["auroc"].tolist() == pytest.approx(aurocs)
    assert result.test.bins == 60
    frame = pl.read_csv(folder / "run/test_tracks.csv")
    assert frame["track"].to_list() == [1, 2, 3]
    assert frame["auroc"].to_list() == pytest.approx(aurocs, abs=1e-5)
    saved = json.loads((folder / "run/task.json").read_text())
    assert (saved["bin_bp"], saved["window_bp"], saved["average_strands"]) == (200, 40, True)


def test_a_model_of_published_files_predicts_on_any_genome(finished):
    folder, made, result = finished
    ids = made["test"][0]
    names = [f"s{row}" for row in range(len(ids))]
    (folder / "any.fa").write_text(
        "".join(f">{name}\n{decode(row)}\n" for name, row in zip(names, ids, strict=True))
    )
    bed = write_bed(folder / "all.bed", *(f"{name} 0 40" for name in names))
    predicting = PredictSettings(folder / "run", folder / "any.fa", folder / "o.parquet", intervals=bed)
    predict_genome(predicting, Console(quiet=True))
    frame = pl.read_parquet(folder / "o.parquet")
    assert frame.columns[4:] == ["probability_1", "probability_2", "probability_3"]
    expected = predict(result.made.model, pack(ids), both_strands=True)
    np.testing.assert_allclose(frame[:, 4:].to_numpy(), expected, atol=1e-5)


def test_a_data_set_without_coordinates_has_no_genome(finished):
    folder = finished[0]
    (folder / "g.fa").write_text(">a\nACGT\n")
    with pytest.raises(
        InputError, match=r"data: its sequences are stored, so it has no genome; leave genome out"
    ):
        TrackData.open(folder / "data", folder / "g.fa")
    with pytest.raises(InputError, match=r"data: its sequences are stored, without coordinates"):
        TrackData.open(folder / "data").intervals()
