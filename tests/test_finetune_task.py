"""`convnova finetune` from files to a folder: what is in it, and when."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny_task import NETWORK, letters, settings, training, write_csv, write_rows

from convnova.data.augmentation import AugmentationSettings
from convnova.data.task import load_task
from convnova.errors import InputError
from convnova.inference.classify import evaluate
from convnova.inference.saved_task import load_task_model
from convnova.inference.settings import EvaluateSettings
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.model.presets import preset
from convnova.training import task_output
from convnova.training.checkpoints import sole_writer
from convnova.training.finetune_task import finetune_task
from convnova.training.task_settings import TaskNetworkSettings

QUIET = Console(quiet=True)
CLASSES = ("two", "none", "one")
FILES = {
    *(".lock", "run.json", "scores.json", "task.json", "test_predictions.csv", "trained_sequences.npy"),
    *("test.png", "learning_curve.png"),
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("configuration_convnova.py", "layers_convnova.py", "modeling_convnova.py", "tokenization_convnova.py"),
}


def said(run):
    """Return a run's output, and what it printed."""
    text = io.StringIO()
    made = finetune_task(run, Console(file=text, width=200))
    return made, text.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    write_csv(folder / "train.csv", 90, 0, CLASSES)
    write_csv(folder / "test.csv", 45, 1, CLASSES)
    run = settings(folder, training=training(epochs=2))
    return run, *said(run)


@pytest.fixture
def folder(tmp_path):
    write_csv(tmp_path / "train.csv", 60, 0)
    write_csv(tmp_path / "test.csv", 24, 1)
    return tmp_path


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("masked_lm")
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2))
    ConvNovaForMaskedLM(config).save_pretrained(path)
    return path


def read(path):
    return json.loads(path.read_text())


def test_the_folder_holds_the_model_and_what_made_it(finished):
    run, made, _ = finished
    assert {path.name for path in run.output.iterdir()} == FILES
    record = read(run.output / "run.json")
    assert record["settings"]["training"]["epochs"] == 2
    assert record["model"]["parameters"] == made.made.model.num_parameters()
    assert record["data"]["train"]["checksum"].startswith("sha256:")
    assert record["data"]["test"]["source"].endswith("test.csv")
    assert record["training_seconds"] > 0
    for name in ("test.png", "learning_curve.png"):
        assert (run.output / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_scores_are_json_with_every_look_at_validation_and_one_at_test(finished):
    run, made, _ = finished
    scores = read(run.output / "scores.json")
    assert scores["metric"] == "mcc"
    assert [row["epoch"] for row in scores["evaluations"]] == [1, 2]
    assert scores["validation"] == scores["evaluations"][made.made.evaluations.index(made.made.best)]
    assert scores["test"]["scores"] == made.test.scores
    assert scores["test"]["sequences"] == 45
    interval = scores["test"]["interval"]
    assert interval["low"] <= scores["test"]["scores"]["mcc"] <= interval["high"]


def test_what_was_found_and_reached_is_printed(finished):
    run, made, text = finished
    for line in (
        "3 classes in sorted order: none = 0, one = 1, two = 2",
        "0.1 of train is held out for validation (seed 0)",
        "sequences of 30 to 40 bp are padded; padding changes no result",
        "chosen by MCC on validation, test read once; trained on both strands, predictions averaged",
        f"test (read once): MCC {made.test.scores['mcc']:.4f}",
        f"convnova classify --model {run.output} --input new.fa --output new.csv",
    ):
        assert line in text


def test_the_saved_model_gives_the_predictions_that_were_written(finished):
    run, made, _ = finished
    frame = pl.read_csv(run.output / "test_predictions.csv")
    assert frame.columns == ["name", "label", "prediction"] + [f"probability_{n}" for n in sorted(CLASSES)]
    np.testing.assert_allclose(frame[:, 3:].to_numpy(), made.test.predictions, atol=1e-6)
    assert frame["prediction"].to_list() == [sorted(CLASSES)[i] for i in made.test.predictions.argmax(1)]
    assert frame["label"].to_list() == [CLASSES[row % 3] for row in range(45)]


def test_evaluate_gives_exactly_the_test_scores_of_the_run(finished):
    run, made, _ = finished
    result = evaluate(EvaluateSettings(run.output, run.test, run.output.parent / "again"), QUIET)
    before = read(run.output / "scores.json")["test"]
    assert result["test"]["scores"] == made.test.scores == before["scores"]
    assert result["test"]["interval"] == before["interval"]
    written = run.output.parent / "again"
    assert read(written / "scores.json")["test"]["scores"] == before["scores"]
    again, first = (written / "predictions.csv"), (run.output / "test_predictions.csv")
    assert again.read_text() == first.read_text()


def test_one_strand_is_scored_where_it_is_wanted(finished):
    run, made, _ = finished
    result = evaluate(EvaluateSettings(run.output, run.test, both_strands=False), QUIET)
    assert result["test"]["both_strands"] is False
    assert result["test"]["scores"]["loss"] != made.test.scores["loss"]


def test_one_seed_gives_the_same_weights_and_scores_and_another_one_others(folder):
    wild = AugmentationSettings(shift_bp=3, mutation_rate=0.05)
    made = [
        finetune_task(
            settings(folder, output=folder / name, training=training(seed=seed, augmentation=wild)), QUIET
        )
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    a, b, c = (one.made.model.state_dict() for one in made)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)
    assert made[0].test.scores == made[1].test.scores
    assert made[0].test.interval == made[1].test.interval


KINDS = {
    "multi-label columns": (
        "sequence,label_liver,label_heart",
        lambda text, i: f"{text},{i % 2},{i // 2 % 2}",
        ("multi-label", ["label_liver", "label_heart"], "auroc"),
    ),
    "multi-label words": (
        "sequence,label",
        lambda text, i: f"{text},{('', 'liver', 'heart', 'heart;liver')[i % 4]}",
        ("multi-label", ["heart", "liver"], "auroc"),
    ),
    "regression": (
        "sequence,activity",
        lambda text, i: f"{text},{text.count('A') / 7:.3f}",
        ("regression", ["activity"], "pearson"),
    ),
    "two values": (
        "sequence,target_a,target_b",
        lambda text, i: f"{text},{text.count('A') / 7:.3f},{text.count('G') / 9:.3f}",
        ("regression", ["target_a", "target_b"], "pearson"),
    ),
}


@pytest.mark.parametrize("method", ["whole-model", "frozen-backbone", "logistic-regression"])
@pytest.mark.parametrize(("header", "row", "expected"), KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_label_by_every_method(tmp_path, header, row, expected, method):
    for name, n, seed in (("train.csv", 48, 0), ("test.csv", 24, 1)):
        rows = [row(text, i) for i, text in enumerate(letters(n, seed))]
        write_rows(tmp_path / name, rows, header)
    made = finetune_task(settings(tmp_path, training=training(method=method)), QUIET)
    task = load_task_model(tmp_path / "run").task
    assert (task.scheme.kind, list(task.scheme.names), task.metric) == expected
    assert np.isfinite(list(made.test.scores.values())).all()
    result = evaluate(EvaluateSettings(tmp_path / "run", str(tmp_path / "test.csv")), QUIET)
    assert result["test"]["scores"] == made.test.scores
    assert (tmp_path / "run/test.png").exists()


@pytest.mark.parametrize("method", ["frozen-backbone", "logistic-regression"])
def test_a_frozen_backbone_stays_as_it_was_pretrained(folder, masked_lm, method):
    run = settings(
        folder, model=str(masked_lm), network=TaskNetworkSettings(), training=training(method=method)
    )
    finetune_task(run, QUIET)
    before, after = load_file(masked_lm / "model.safetensors"), load_file(run.output / "model.safetensors")
    backbone = [name for name in after if not name.startswith("classifier.")]
    assert len(backbone) > 10
    assert all(torch.equal(before[name], after[name]) for name in backbone)


def test_every_tensor_of_a_pretrained_model_is_told(folder, masked_lm):
    run = settings(folder, model=str(masked_lm), network=TaskNetworkSettings(pooling="max"))
    made, text = said(run)
    saved, own = load_file(masked_lm / "model.safetensors"), load_file(run.output / "model.safetensors")
    weights = read(run.output / "run.json")["model"]["weights"]
    assert set(weights["loaded"]) | set(weights["dropped"]) == set(saved)
    assert set(weights["loaded"]) | set(weights["new"]) == set(own)
    assert f"weights: {made.made.weights}" in text
    assert set(weights["new"]) == {"classifier.weight", "classifier.bias"}
    assert set(weights["dropped"]) == {"lm_head.weight", "lm_head.bias"}
    assert not all(
        torch.equal(saved[name], own[name]) for name in weights["loaded"]
    )  # the whole model learns


def test_the_architecture_alone_of_a_model(folder, masked_lm):
    run = settings(folder, model=f"scratch:{masked_lm}", network=TaskNetworkSettings())
    made = finetune_task(run, QUIET)
    assert made.made.weights is None
    assert made.made.model.config.dilations == (1, 2)


def test_a_fine_tuned_model_is_fine_tuned_for_another_task(finished, folder):
    run = settings(folder, model=str(finished[0].output), network=TaskNetworkSettings())
    made = finetune_task(run, QUIET)
    assert set(made.made.weights.dropped) == {"classifier.weight", "classifier.bias"}
    assert set(made.made.weights.new) == {"classifier.weight", "classifier.bias"}
    assert made.made.model.config.num_labels == 2


@pytest.mark.parametrize(
    "name", ["nt", "pretraining", "genomic-benchmarks", "genomic-benchmarks-386k"], ids=str
)
def test_presets_fit_their_receptive_field_to_the_sequences(folder, name):
    rows = [f"{text},{i % 2}" for i, text in enumerate(letters(60, 0, length=600))]
    write_rows(folder / "train.csv", rows)
    network = TaskNetworkSettings(hidden_size=8, receptive_field="sequence")
    one_step = training(most_steps=1)
    run = settings(folder, model=f"preset:{name}", network=network, training=one_step, test=None)
    config = finetune_task(run, QUIET).made.model.config
    median = np.median(load_task(run.train).train.ids.lengths)
    fields = [preset(name, dilations=(1, 1, 1, d, d * d)).receptive_field for d in range(1, 20)]
    assert config.receptive_field == min(fields, key=lambda field: abs(field - median)) != fields[3]
    assert config.hidden_size == 8


def test_without_test_sequences_the_run_says_how_to_score_some(folder):
    _, text = said(settings(folder, test=None))
    assert "no test sequences were given; score some with:" in text
    names = {path.name for path in (folder / "run").iterdir()}
    assert "test_predictions.csv" not in names
    assert "test.png" not in names
    assert "test" not in read(folder / "run/scores.json")


def test_without_training_steps_there_is_no_training_loss_in_json(folder):
    finetune_task(settings(folder, training=training(method="logistic-regression")), QUIET)
    row = read(folder / "run/scores.json")["evaluations"][0]
    assert row["training_loss"] is None
    assert "NaN" not in (folder / "run/scores.json").read_text()


NO_SPACE = OSError(28, "No space left on device")
STOPS = [
    ("write_json", KeyboardInterrupt),
    ("write_table", NO_SPACE),
    ("run_record", KeyboardInterrupt),
    ("write_task_figures", NO_SPACE),
    ("write_model", KeyboardInterrupt),
]


@pytest.mark.parametrize(("place", "error"), STOPS, ids=[place for place, _ in STOPS])
def test_a_model_is_there_only_when_a_run_is_finished(folder, monkeypatch, place, error):
    run = settings(folder)

    def stop(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(task_output, place, stop)
        with pytest.raises((KeyboardInterrupt, OSError)):
            finetune_task(run, QUIET)
    assert not (run.output / "model.safetensors").exists()
    finetune_task(replace(run, test=None, test_share=0.2), QUIET)
    assert {path.name for path in run.output.iterdir()} == FILES - {"learning_curve.png"}
    assert read(run.output / "run.json")["settings"]["test"] is None


def test_a_run_that_is_killed_while_it_writes_the_model_leaves_none(folder, monkeypatch):
    run, replace_file = settings(folder), Path.replace

    def stop(path, target):
        if path.name == "model.safetensors":
            raise KeyboardInterrupt
        return replace_file(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune_task(run, QUIET)
    assert not (run.output / "model.safetensors").exists()
    with pytest.raises(InputError, match="its model cannot be loaded"):
        load_task_model(run.output)
    finetune_task(run, QUIET)
    assert load_task_model(run.output).task.metric == "mcc"


def test_a_finished_run_is_not_written_over(finished):
    with pytest.raises(InputError, match="holds a finished model; choose another output folder"):
        finetune_task(replace(finished[0], train="no.csv"), QUIET)


def test_two_runs_do_not_write_into_one_folder(folder):
    run = settings(folder)
    run.output.mkdir()
    with sole_writer(run.output), pytest.raises(InputError, match="another process is at work on this run"):
        finetune_task(run, QUIET)
    assert not (run.output / "model.safetensors").exists()


def test_a_second_process_that_comes_late_finds_the_finished_model(folder, monkeypatch):
    from convnova.training import finetune_task as module

    run = settings(folder)

    def finish_elsewhere(*arguments):
        run.output.mkdir()
        (run.output / "model.safetensors").write_text("of another process")

    monkeypatch.setattr(module, "_describe", finish_elsewhere)
    with pytest.raises(InputError, match="holds a finished model"):
        finetune_task(run, QUIET)
    assert (run.output / "model.safetensors").read_text() == "of another process"


def test_rank_one_writes_and_says_nothing(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    _, text = said(settings(folder, network=TaskNetworkSettings(**NETWORK)))
    assert text == ""
    assert list((folder / "run").iterdir()) == []
