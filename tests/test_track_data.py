import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_track_building import VALUES, write_bigwig
from tiny_task import NETWORK
from tiny_tracks import SIZES, tiny, write_bed, write_genome

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference.predict import predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.training.finetune import finetune
from convnova.training.finetune_settings import FinetuneSettings


@pytest.fixture
def folder(tmp_path):
    """Return a data set of two tracks on three chromosomes, with all bins."""
    write_genome(tmp_path)
    places = [f"{name} {start} {start + 20}" for name in SIZES for start in (0, 200, 400)]
    files = [
        write_bed(tmp_path / "a.bed", *places),
        write_bed(tmp_path / "b.bed", "chrI 590 600", "chrII 205 230", "chrIII 300 350"),
    ]
    build_tracks(tiny(tmp_path, list(map(str, files)), negatives="all"))
    return tmp_path / "data"


@pytest.mark.parametrize("window_bp", [1, 10, 30, 31, 100])
def test_rows_are_the_windows_around_their_bins(folder, window_bp):
    data = TrackData.open(folder, window_bp=window_bp)
    genome, row = Genome.open(folder.parent / "toy.fa"), 0
    intervals = data.intervals()
    for split in ("train", "validation", "test"):
        part = data.part(split)
        for index in range(len(part)):
            chromosome, start, end, own_split = intervals.row(row)
            ids, labels = part[index]
            assert own_split == split
            assert np.array_equal(ids, genome.fetch(Interval(chromosome, start, end).resize(window_bp)))
            assert np.array_equal(part.ids[index], ids)
            assert np.array_equal(part.labels[index], labels)
            row += 1
        assert part.ids.lengths.tolist() == [window_bp] * len(part)
        assert np.array_equal(part.label_totals, part.labels.sum(axis=0))
    assert row == len(intervals) == 101 + 60 + 50


def test_labels_are_the_peaks(folder):
    part = TrackData.open(folder).part("train")
    assert part.labels.dtype == np.float32
    assert [np.flatnonzero(column).tolist() for column in part.labels.T] == [[0, 1, 20, 21, 40, 41], [59]]
    assert part[-1][1].tolist() == [0, 0]
    with pytest.raises(IndexError):
        part[101]
    assert len(list(part.ids[5:9])) == 4


@pytest.mark.parametrize("labels", [1, 7, 10**6])
def test_labels_are_unpacked_in_blocks(folder, monkeypatch, labels):
    monkeypatch.setattr("convnova.data.tracks.data._BLOCK_LABELS", labels)
    part = TrackData.open(folder).part("validation")
    blocks = list(part.label_blocks())
    assert max(map(len, blocks)) <= max(1, labels // 2)
    assert np.array_equal(np.concatenate(blocks), part.labels)


def test_a_pickled_part_is_a_path(folder):
    part = TrackData.open(folder).part("test")
    sent = pickle.dumps(part)
    assert len(sent) < 10_000
    other = pickle.loads(sent)
    assert np.array_equal(other.labels, part.labels)
    assert all(map(np.array_equal, other.ids, part.ids))


def test_the_genome_is_checked(folder, tmp_path):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    other = write_genome(elsewhere, seed=1)
    with pytest.raises(InputError, match=r"data: made from toy\.fa, and .*toy\.fa has other bases or"):
        TrackData.open(folder, other)
    same = write_genome(elsewhere)
    assert len(TrackData.open(folder, Genome.open(same)).part("test")) == 50


def test_a_genome_that_has_moved_is_asked_for(folder):
    (folder.parent / "toy.fa").rename(folder.parent / "moved.fa")
    with pytest.raises(InputError, match=r"data, its genome: .*toy\.fa: no such file"):
        TrackData.open(folder)
    assert len(TrackData.open(folder, folder.parent / "moved.fa").part("test")) == 50


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tracks.json", r"data: no track data set of this version; make one with convnova tracks"),
        ("targets.npy", r"targets\.npy: cannot be mapped"),
    ],
)
def test_a_damaged_folder_is_refused(folder, name, message):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) - 100])
    with pytest.raises(InputError, match=message):
        TrackData.open(folder)


def test_a_part_without_rows_is_refused(tmp_path):
    write_genome(tmp_path)
    path = write_bed(tmp_path / "a.bed", "chrI 0 20")
    build_tracks(tiny(tmp_path, path))
    with pytest.raises(InputError, match="there is no row for test; build it with chromosomes for it"):
        TrackData.open(tmp_path / "data").part("test")


TRAINING = FinetuneSettings(most_steps=2, batch_sequences=16, precision="fp32")


def config(problem_type):
    return ConvNovaConfig(**NETWORK, num_labels=2, problem_type=problem_type)


def in_memory(part):
    return LabelledSequences(pack([part.ids[index] for index in range(len(part))]), part.labels)


def test_prediction_matches_that_of_sequences_in_memory(folder):
    part = TrackData.open(folder).part("test")
    torch.manual_seed(0)
    model = ConvNovaForSequenceClassification(config("multi_label_classification"))
    one, other = (predict(model, ids, both_strands=True) for ids in (part.ids, in_memory(part).ids))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "changes",
    [{}, {"label_weighting": "balanced"}, {"mixup": 0.4}, {"method": "logistic-regression"}],
    ids=["plain", "weighted", "mixup", "regression on embeddings"],
)
def test_training_on_parts_matches_training_on_sequences_in_memory(folder, changes):
    data, settings = TrackData.open(folder), replace(TRAINING, **changes)
    parts = data.part("train"), data.part("validation")
    made = [
        finetune(None, config("multi_label_classification"), *pair, settings)
        for pair in (parts, tuple(map(in_memory, parts)))
    ]
    assert made[0].best.scores == made[1].best.scores
    assert made[0].selection == "auroc"


def test_signals_are_learned_as_values(tmp_path):
    write_genome(tmp_path)
    files = [
        write_bigwig(tmp_path / "s.bw", VALUES),
        write_bigwig(tmp_path / "t.bw", [("chrI", 5, 70, 3.0), ("chrII", 5, 70, 3.0)]),
    ]
    held_out = {"validation_chromosomes": ["chrI"], "test_chromosomes": ["chrII"]}
    build_tracks(tiny(tmp_path, list(map(str, files)), **held_out))
    data = TrackData.open(tmp_path / "data")
    parts = data.part("train"), data.part("validation")
    made = [
        finetune(None, config("regression"), *pair, TRAINING)
        for pair in (parts, tuple(map(in_memory, parts)))
    ]
    assert made[0].best.scores == pytest.approx(made[1].best.scores)
