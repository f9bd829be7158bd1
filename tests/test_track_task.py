"""`convnova finetune --task tracks` from a data set to a folder: what is in it, and when."""

import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from interrupting import ctrl_c, interrupted, sigterm
from rich.console import Console
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny_task import FLAGS, NETWORK, training
from tiny_track_task import GROUPS, MOTIFS, build_motifs, build_signals, run_settings
from tiny_tracks import tiny, write_bed, write_genome

from convnova.cli import main
from convnova.data.augmentation import AugmentationSettings
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.errors import InputError, TerminatedError
from convnova.evaluation.track_kmers import fit_kmer_regression
from convnova.inference.predict import predict
from convnova.inference.saved_tracks import load_track_model
from convnova.training import finetune_progress, track_output
from convnova.training.finetune_trainer import FinetuneTrainer
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.track_task import finetune_tracks

QUIET = Console(quiet=True)
FILES = {
    *(".lock", "run.json", "scores.json", "task.json", "test_tracks.csv"),
    *("test.png", "test_baseline.png", "learning_curve.png"),
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("configuration_convnova.py", "layers_convnova.py", "modeling_convnova.py", "tokenization_convnova.py"),
}


def said(run):
    """Return a run's result, and what it printed."""
    text = io.StringIO()
    made = finetune_tracks(run, Console(file=text, width=200))
    return made, text.getvalue()


def read(path):
    return json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracks")
    build_motifs(folder)
    run = run_settings(folder, training=training(epochs=3))
    return run, *said(run)


@pytest.fixture
def folder(tmp_path):
    build_motifs(tmp_path)
    return tmp_path


def test_the_folder_holds_the_model_and_what_made_it(finished):
    run, made, _ = finished
    assert {path.name for path in run.output.iterdir()} == FILES
    record = read(run.output / "run.json")
    assert record["settings"]["task"] == "tracks"
    assert record["model"]["parameters"] == made.made.model.num_parameters()
    assert all(
        record["data"][name].startswith("sha256:") for name in ("targets.npy_checksum", "genome_checksum")
    )
    assert record["data"]["rows"] == {"train": 101, "validation": 60, "test": 50}
    for name in ("test.png", "test_baseline.png", "learning_curve.png"):
        assert (run.output / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_task_says_what_the_outputs_mean(finished):
    assert read(finished[0].output / "task.json") == {
        "task": "tracks",
        "kind": "peaks",
        "names": list(MOTIFS),
        "groups": list(GROUPS.values()),
        "bin_bp": 10,
        "window_bp": 30,
        "log1p": False,
        "metric": "auroc",
        "average_strands": True,
    }


def test_scores_are_those_of_the_saved_model_on_the_test_bins(finished):
    run, _, _ = finished
    part = TrackData.open(run.tracks).part("test")
    predictions = predict(load_track_model(run.output).model, part.ids, both_strands=True)
    frame = pl.read_csv(run.output / "test_tracks.csv")
    assert frame["track"].to_list() == list(MOTIFS)
    assert frame["group"].to_list() == list(GROUPS.values())
    for metric, function in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        by_hand = [function(part.labels[:, i], predictions[:, i]) for i in range(3)]
        assert frame[metric].to_list() == pytest.approx(by_hand, abs=1e-5)
        everything = read(run.output / "scores.json")["test"]["groups"][0]
        assert everything["mean"][metric] == pytest.approx(np.mean(by_hand))
        assert everything["median"][metric] == pytest.approx(np.median(by_hand))


def test_the_baseline_is_scored_on_the_same_bins(finished):
    run, made, _ = finished
    data = TrackData.open(run.tracks)
    test = data.part("test")
    regression = fit_kmer_regression(
        "multi_label_classification", data.part("train"), data.part("validation"), 0
    )
    by_hand = [roc_auc_score(test.labels[:, i], regression.predict(test.ids)[:, i]) for i in range(3)]
    frame = pl.read_csv(run.output / "test_tracks.csv")
    assert frame["baseline_auroc"].to_list() == pytest.approx(by_hand, abs=1e-5)
    saved = read(run.output / "scores.json")["baseline"]
    assert (saved["penalty"], saved["windows"]) == (regression.penalty, 101)
    assert saved["bins"] == 50
    assert made.baseline.by_metric["auroc"].tolist() == pytest.approx(by_hand)


def test_what_was_found_and_reached_is_printed(finished):
    run, made, text = finished
    for line in (
        "3 tracks: 1 bHLH, 2 Myb",
        "train: 101 bins; positive in a track: ",
        "chosen by AUROC on validation, test read once; trained on both strands, predictions averaged",
        f"bp, windows of 30 bp; whole model, 3 epochs -> {run.output}",
        "test (read once), 50 bins:",
        f"convnova predict --model {run.output} --genome genome.fa --output tracks/",
    ):
        assert line in text
    rows = {tuple(line.split()[:3]): line for line in text.splitlines()}
    assert f"{made.test.by_metric['auroc'].mean():.4f}" in rows["all", "tracks", "model"]
    assert sum("regression on 5-mers" in line for line in text.splitlines()) == 3


def test_a_model_learns_what_the_tracks_have_in_common(tmp_path):
    build_motifs(tmp_path, {"chrI": 9000, "chrII": 2000, "chrIII": 2000})
    made, _ = said(run_settings(tmp_path, baseline=False, training=training(epochs=6)))
    assert made.test.by_metric["auroc"].min() > 0.9


def test_one_seed_gives_the_same_scores(folder):
    runs = [run_settings(folder, output=folder / name, baseline=False) for name in "ab"]
    one, other = (finetune_tracks(run, QUIET) for run in runs)
    assert all(
        np.array_equal(one.test.by_metric[name], other.test.by_metric[name]) for name in ("auroc", "auprc")
    )
    weights = [made.made.model.state_dict() for made in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert one.baseline is None
    assert not (folder / "a/test_baseline.png").exists()


def test_gradient_checkpointing_changes_no_loss(folder):
    losses = []
    for name, is_checkpointed in (("a", False), ("b", True)):
        wanted = training(gradient_checkpointing=is_checkpointed, precision="fp32")
        made = finetune_tracks(
            run_settings(folder, output=folder / name, baseline=False, training=wanted), QUIET
        )
        losses.append((made.made.best.training_loss, made.made.best.scores["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_tracks_that_could_not_be_scored_are_listed_and_left_out(tmp_path):
    write_genome(tmp_path)
    places = [
        f"{name} {start} {start + 20}" for name in ("chrI", "chrII", "chrIII") for start in (0, 200, 400)
    ]
    files = [
        write_bed(tmp_path / "a.bed", *places),
        write_bed(tmp_path / "b.bed", "chrI 590 600", "chrII 205 230"),
    ]
    build_tracks(tiny(tmp_path, list(map(str, files)), negatives="all"))
    made, text = said(run_settings(tmp_path))
    assert "1 track could not be scored, the same in all of these bins: b" in text
    scores = read(tmp_path / "run/scores.json")
    for part in ("test", "baseline"):
        assert scores[part]["left_out"] == ["b"]
        assert scores[part]["groups"][0]["tracks"] == 1
    assert scores["test"]["groups"][0]["mean"]["auroc"] == pytest.approx(made.test.by_metric["auroc"][0])
    assert pl.read_csv(tmp_path / "run/test_tracks.csv")["auroc"].is_null().to_list() == [False, True]


def test_signals_are_learned_and_scored_by_correlation(tmp_path):
    build_signals(tmp_path)
    finetune_tracks(run_settings(tmp_path), QUIET)
    saved = load_track_model(tmp_path / "run")
    assert (saved.saved.kind, saved.saved.log1p, saved.saved.metric) == ("signal", True, "pearson")
    part = TrackData.open(tmp_path / "data").part("test")
    predictions = predict(saved.model, part.ids, both_strands=True)
    frame = pl.read_csv(tmp_path / "run/test_tracks.csv")
    for column in range(2):
        by_hand = np.corrcoef(part.labels[:, column], predictions[:, column])[0, 1]
        assert frame["pearson"][column] == pytest.approx(by_hand, abs=1e-4)
    assert {"spearman", "baseline_pearson"} < set(frame.columns)
    assert (tmp_path / "run/test.png").exists()


def test_a_longer_window_is_read_where_it_is_wanted(folder):
    finetune_tracks(run_settings(folder, window_bp=51, baseline=False), QUIET)
    assert load_track_model(folder / "run").saved.window_bp == 51


def test_without_test_bins_there_is_no_test_score(tmp_path):
    build_motifs(tmp_path, test_chromosomes=[])
    made, text = said(run_settings(tmp_path))
    assert made.test is None
    assert "the data set has no row for test, so there is no test score" in text
    assert "test" not in read(tmp_path / "run/scores.json")


def test_a_moved_genome_is_given(folder):
    (folder / "toy.fa").rename(folder / "moved.fa")
    run = run_settings(folder, genome=folder / "moved.fa", cache=folder / "cache", baseline=False)
    assert finetune_tracks(run, QUIET).test is not None


def run_command(folder, *flags):
    arguments = ["--tracks", folder / "data", "--output", folder / "run", *FLAGS, *flags]
    return main(["finetune", "--task", "tracks", *map(str, arguments)])


def test_the_command_line(folder):
    assert run_command(folder, "--baseline", "false") == 0
    assert (folder / "run/model.safetensors").exists()


def another_genome(folder):
    (folder / "toy.fa").unlink()
    write_genome(folder, seed=9)


ERRORS = {
    "no data set": (
        lambda folder: (folder / "data/tracks.json").unlink(),
        [],
        r"data: no track data set of this version; make one with convnova tracks",
    ),
    "another genome": (another_genome, [], r"data: made from toy\.fa, and .*toy\.fa has other bases"),
    "missing genome": (
        lambda folder: (folder / "toy.fa").unlink(),
        [],
        r"data, its genome: .*toy\.fa: no such file",
    ),
    "no room": (
        lambda folder: (folder / "run").write_text(""),
        [],
        r"run cannot be used as output folder \(File exists\); choose another",
    ),
    "below a file": (
        lambda folder: None,
        ["--output", "{folder}/toy.fa/run"],
        r"toy\.fa/run cannot be used as output folder \(Not a directory\); choose another",
    ),
    "no preset": (lambda folder: None, ["--model", "preset:no"], r"there is no preset 'no'; choose one of"),
    "window": (lambda folder: None, ["--window_bp", "0"], r"--window_bp must be at least 1, got 0"),
    "selection": (
        lambda folder: None,
        ["--training.selection", "pearson"],
        r"selection is pearson, which multi label classification has not",
    ),
}


@pytest.mark.parametrize(("prepare", "flags", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_is_wrong_is_one_line(folder, capsys, prepare, flags, message):
    prepare(folder)
    assert run_command(folder, *(flag.format(folder=folder) for flag in flags)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_labels_that_are_all_alike_are_told_before_training(tmp_path):
    write_genome(tmp_path)
    path = write_bed(tmp_path / "a.bed", "chrI 0 20", "chrII 0 20", "chrIII 0 20")
    build_tracks(tiny(tmp_path, path))
    with pytest.raises(InputError, match="no track is positive in some bins of validation and not in others"):
        finetune_tracks(run_settings(tmp_path), QUIET)


def test_a_finished_run_is_not_trained_again(finished):
    run = finished[0]
    before = {path.name: path.stat().st_mtime_ns for path in run.output.iterdir()}
    made, text = said(replace(run, resume=True))
    assert made is None
    assert "this run is finished; its model is not trained again" in text
    assert {path.name: path.stat().st_mtime_ns for path in run.output.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "holds a run already; go on with it by --resume, or choose another output folder"),
        (
            {"resume": True, "training": training(epochs=4)},
            "holds a run with training.epochs 3, and now it is 4",
        ),
        ({"resume": True, "window_bp": 40}, "holds a run with window_bp None, and now it is 40"),
    ],
)
def test_another_run_is_refused(finished, changes, message):
    with pytest.raises(InputError, match=message):
        finetune_tracks(replace(finished[0], **changes), QUIET)


def test_the_same_data_elsewhere_and_no_baseline_are_the_same_run(finished, tmp_path):
    run = finished[0]
    moved = shutil.copytree(run.tracks, tmp_path / "moved")
    for tracks in (run.tracks / "../data", moved):
        assert finetune_tracks(replace(run, tracks=tracks, baseline=False, resume=True), QUIET) is None
    targets = (moved / "targets.npy").read_bytes()
    (moved / "targets.npy").write_bytes(targets[:-1] + bytes([targets[-1] ^ 128]))
    with pytest.raises(InputError, match=r"holds a run on another targets\.npy than the one given now"):
        finetune_tracks(replace(run, tracks=moved, resume=True), QUIET)


@pytest.mark.parametrize(
    ("stop", "error", "at"), [(sigterm, TerminatedError, 9), (ctrl_c, KeyboardInterrupt, 18)]
)
def test_a_run_that_was_stopped_ends_with_the_same_weights(folder, monkeypatch, stop, error, at):
    """Whatever is drawn at random: the order, what is changed of sequences, mixtures, dropout."""
    drawn = training(
        epochs=3,
        mixup=0.4,
        augmentation=AugmentationSettings(reverse_complement=True, shift_bp=2, mutation_rate=0.1),
    )
    network = TaskNetworkSettings(**NETWORK, dropout=0.1)
    whole = run_settings(folder, training=drawn, network=network, save_minutes=0, baseline=False)
    finetune_tracks(whole, QUIET)
    cut = replace(whole, output=folder / "cut")
    with pytest.raises(error), interrupted(monkeypatch, FinetuneTrainer, at, stop):
        finetune_tracks(cut, QUIET)
    assert any(cut.output.glob("checkpoint-*"))
    assert not (cut.output / "model.safetensors").exists()
    finetune_tracks(replace(cut, resume=True), QUIET)
    weights = [(run.output / "model.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]
    scores = [read(run.output / "scores.json") for run in (whole, cut)]
    assert scores[0]["test"] == scores[1]["test"]
    assert [one["auroc"] for one in scores[0]["evaluations"]] == [
        one["auroc"] for one in scores[1]["evaluations"]
    ]
    assert len(read(cut.output / "run.json")["sessions"]) == 2


@pytest.mark.parametrize("place", ["write_json", "write_table", "_write_figures", "write_model"])
def test_a_model_is_there_only_when_a_run_is_finished(folder, monkeypatch, place):
    run = run_settings(folder, baseline=False)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(track_output, place, stop)
        with pytest.raises(KeyboardInterrupt):
            finetune_tracks(run, QUIET)
    assert not (run.output / "model.safetensors").exists()
    finetune_tracks(replace(run, resume=True), QUIET)
    assert load_track_model(run.output).saved.names == list(MOTIFS)


def test_a_log_is_not_silent_for_long(folder, monkeypatch):
    monkeypatch.setattr(finetune_progress, "_QUIET_SECONDS", 0)
    _, text = said(run_settings(folder, baseline=False))
    assert re.findall(r"  step (\d)/7  \d+\.\d min left", text) == list("1234567")


def test_rank_one_writes_and_says_nothing(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    made, text = said(run_settings(folder))
    assert (made, text) == (None, "")
    assert list((folder / "run").iterdir()) == []


def test_a_model_of_tracks_goes_on_to_another_data_set(finished, folder):
    run = replace(run_settings(folder), model=str(finished[0].output), network=type(finished[0].network)())
    made = finetune_tracks(replace(run, baseline=False), QUIET)
    assert set(made.made.weights.new) == {"classifier.weight", "classifier.bias"}
