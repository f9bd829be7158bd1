"""A whole pretraining run in one process: the numbers of training, the run folder, and every wrong input."""

import dataclasses
import errno
import json
import math
import shutil
import subprocess

import numpy as np
import pytest
import torch
from pretraining import metrics, settings, weights, write_genome
from rich.console import Console
from safetensors import SafetensorError
from transformers import Trainer

from convnova.errors import InputError
from convnova.evaluation.masked_lm import Summary
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.training.metrics import append_row, cut_back
from convnova.training.optimization import learning_rate_factor
from convnova.training.pretrain import model_config, pretrain
from convnova.training.record import check_same_run, read_scores
from convnova.training.report import score_table
from convnova.training.settings import OptimizerSettings
from convnova.training.trainer import PretrainingTrainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    return write_genome(tmp_path_factory.mktemp("genome") / "g.fa")


@pytest.fixture(scope="module")
def finished(genome, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "run"
    pretrain(settings(genome, output))
    return output


def loaded(run):
    return ConvNovaForMaskedLM.from_pretrained(run).state_dict()


def largest_difference(run, other):
    a, b = loaded(run), loaded(other)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


# Numbers of training


@pytest.mark.parametrize(
    ("step", "learning_rate"),
    [
        (0, 1e-6),
        (5, 1e-6 + 0.5 * (1e-3 - 1e-6)),
        (10, 1e-3),  # 1 % of 1000 steps of warm-up
        (505, 0.55e-3),  # the middle of the cosine
        (1000, 1e-4),
        (1001, 1e-4),
    ],
)
def test_learning_rate_by_hand(step, learning_rate):
    optimizer = OptimizerSettings(learning_rate=1e-3)
    assert learning_rate_factor(step, 1000, optimizer) * 1e-3 == pytest.approx(learning_rate, rel=1e-9)


def test_learning_rate_without_warmup_and_to_zero():
    optimizer = OptimizerSettings(warmup_share=0, final_share=0)
    assert learning_rate_factor(0, 10, optimizer) == 1
    assert learning_rate_factor(10, 10, optimizer) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("protocol", ["standard", "released"])
def test_weight_decay_groups(genome, tmp_path, protocol):
    model = ConvNovaForMaskedLM(model_config(settings(genome, tmp_path).model))
    trainer = PretrainingTrainer.__new__(PretrainingTrainer)
    trainer.optimizer_settings = OptimizerSettings(weight_decay=0.1, decay_protocol=protocol)
    decayed = set(trainer.get_decay_parameter_names(model))
    is_norm_or_bias = {
        name for name, _ in model.named_parameters() if "norm" in name or name.endswith("bias")
    }
    everything = {name for name, _ in model.named_parameters()}
    assert decayed == (everything if protocol == "released" else everything - is_norm_or_bias)


def test_loss_is_the_mean_over_all_predicted_bases_by_weight(genome, tmp_path):
    """The Trainer's division over passes equals the plain definition on the whole batch."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 4, (6, 40), generator=generator)
    labels = torch.where(torch.rand(6, 40, generator=generator) < 0.3, ids, -100)
    weights = torch.where(torch.rand(6, 40, generator=generator) < 0.5, 0.1, 1.0)
    model = ConvNovaForMaskedLM(model_config(settings(genome, tmp_path, model={"dropout": 0.0}).model)).eval()
    passes = [
        {"input_ids": ids[rows], "labels": labels[rows], "loss_weights": weights[rows]}
        for rows in (slice(0, 1), slice(1, 6))
    ]
    trainer = PretrainingTrainer.__new__(PretrainingTrainer)
    trainer.accelerator = type("Alone", (), {"reduce": staticmethod(lambda total, how: total)})
    divisor = trainer._get_num_items_in_batch(passes, torch.device("cpu"))
    with torch.no_grad():
        got = sum(float(model(**batch, num_items_in_batch=divisor).loss) for batch in passes)
        log_p = model(input_ids=ids).logits.log_softmax(-1)
    total, weight_sum = 0.0, 0.0
    for row, column in (labels != -100).nonzero().tolist():
        weight = float(weights[row, column])
        total -= weight * float(log_p[row, column, labels[row, column]])
        weight_sum += weight
    assert got == pytest.approx(total / weight_sum, rel=1e-5)


def test_a_step_without_a_predicted_base_has_no_loss(genome):
    trainer = PretrainingTrainer.__new__(PretrainingTrainer)
    trainer.accelerator = type("Alone", (), {"reduce": staticmethod(lambda total, how: total)})
    batch = {"labels": torch.full((2, 8), -100)}
    assert 0 / float(trainer._get_num_items_in_batch([batch], torch.device("cpu"))) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation_steps": 2, "model": {"dropout": 0.0}},
        {"gradient_checkpointing": True, "model": {"dropout": 0.0}},
    ],
    ids=["accumulation", "gradient_checkpointing"],
)
def test_the_same_weights_in_another_way(genome, tmp_path, changes):
    pretrain(settings(genome, tmp_path / "plain", model={"dropout": 0.0}))
    pretrain(settings(genome, tmp_path / "other", **changes))
    assert largest_difference(tmp_path / "plain", tmp_path / "other") < 2e-4
    for a, b in zip(metrics(tmp_path / "plain"), metrics(tmp_path / "other"), strict=True):
        if a["loss"]:
            assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-4)


def test_workers_do_not_change_the_weights(genome, finished, tmp_path):
    pretrain(settings(genome, tmp_path / "run", workers=1))
    assert weights(tmp_path / "run") == weights(finished)


def test_bf16_runs(genome, finished, tmp_path):
    pretrain(settings(genome, tmp_path / "run", precision="bf16", epochs=1))
    assert all(math.isfinite(float(row["loss"])) for row in metrics(tmp_path / "run") if row["loss"])
    assert all(tensor.dtype == torch.float32 for tensor in loaded(tmp_path / "run").values())


# The run folder


def test_run_folder(finished):
    names = {path.name for path in finished.iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "run.json",
        "metrics.csv",
        "scores.json",
    } <= names
    assert not any("incomplete" in name for name in names)
    record = json.loads((finished / "run.json").read_text())
    assert record["settings"]["windows"]["window_bp"] == 64
    assert record["data"]["genome_checksum"].startswith("sha256:")
    assert record["data"]["intervals_checksum"] is None
    assert record["resolved"] == {"precision": "fp32", "shift_bp": 32}
    assert set(record["sessions"][0]["versions"]) >= {"torch", "transformers", "python"}


def test_metrics_have_each_step_once(finished):
    rows = metrics(finished)
    steps = [int(row["step"]) for row in rows if row["loss"]]
    assert steps == [5, 10, 15, 20]
    assert [int(row["step"]) for row in rows if row["eval_loss"]] == [12, 24]
    assert len(rows) == 6


def test_scores_stand_beside_counting(finished):
    scores = read_scores(finished)
    assert set(scores) == {"validation", "test"}
    assert scores["test"][0].bits_per_base == pytest.approx(2)
    assert [row.model.split(",")[0] for row in scores["test"]] == [
        *("uniform guess", "base frequencies", "Markov", "Markov", "ConvNova", "ConvNova")
    ]


def test_score_table_fits_80_columns():
    row = Summary("Markov, both flanks, order 4", 1.3301, 1.9190, 3.7815, 0.3561, 1.9345, 1234567)
    console = Console(width=80, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(score_table("test", [row]))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(
        "Markov, both flanks, order 4  1.3301" in line and line.rstrip().endswith("1234567") for line in lines
    )


def test_cut_back_drops_later_and_torn_rows(tmp_path):
    path = tmp_path / "metrics.csv"
    for step in (5, 10, 15):
        append_row(path, {"step": step, "loss": 1.0, "not a column": 0}, ["eval_loss"])
    with path.open("a") as file:
        file.write("1")  # killed in the middle of a row of step 15
    cut_back(path, 10)
    assert [row["step"] for row in metrics(tmp_path)] == ["5", "10"]
    cut_back(path, 0)
    append_row(path, {"step": 5}, ["eval_loss"])
    assert [row["step"] for row in metrics(tmp_path)] == ["5"]


# Output folders and resuming


def test_finished_run_is_not_trained_again(genome, finished, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir() if path.is_file()}
    rows = pretrain(settings(genome, finished, resume=True))
    assert "this run is finished; its model is not trained again" in capsys.readouterr().out
    assert rows == read_scores(finished)["test"]
    assert before == {path.name: path.stat().st_mtime_ns for path in finished.iterdir() if path.is_file()}


def test_scores_that_a_killed_run_did_not_write_are_made_up_for(genome, finished):
    before = (finished / "scores.json").read_text()
    (finished / "scores.json").unlink()
    pretrain(settings(genome, finished, resume=True))
    assert (finished / "scores.json").read_text() == before


def test_resume_at_the_last_step_has_nothing_left_to_do(genome, finished, tmp_path):
    pretrain(settings(genome, tmp_path / "run", save_minutes=0))
    (tmp_path / "run" / "model.safetensors").unlink()
    pretrain(settings(genome, tmp_path / "run", save_minutes=0, resume=True))
    assert weights(tmp_path / "run") == weights(finished)
    assert len(metrics(tmp_path / "run")) == 6


def test_resume_where_nothing_is_starts_anew(genome, finished, tmp_path):
    pretrain(settings(genome, tmp_path / "new", resume=True))
    assert weights(tmp_path / "new") == weights(finished)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"holds a run already; go on with it by --resume, or choose another output folder"),
        (
            {"resume": True, "epochs": 3},
            r"holds a run with epochs 2, and now it is 3; resume with the same settings",
        ),
        (
            {"resume": True, "windows": {"max_shift_bp": 1}},
            r"holds a run with windows\.max_shift_bp None, and now it is 1",
        ),
    ],
)
def test_output_folder_with_another_run(genome, finished, changes, message):
    with pytest.raises(InputError, match=message):
        pretrain(settings(genome, finished, **changes))


def test_resume_on_another_genome(finished, tmp_path):
    other = write_genome(tmp_path / "h.fa", chromosome_bp=1500)
    with pytest.raises(InputError, match="holds a run on another genome than the one given now"):
        pretrain(settings(other, finished, resume=True))


def test_settings_newer_than_the_record_count_as_their_default(genome, finished, tmp_path):
    record = json.loads((finished / "run.json").read_text())
    del record["settings"]["compile"], record["settings"]["windows"]["max_n_share"]
    del record["data"]["intervals_checksum"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    given = settings(genome, finished)
    data = {"genome_checksum": record["data"]["genome_checksum"], "intervals_checksum": None}
    check_same_run(tmp_path, given, data, changeable=("genome", "output"))
    with pytest.raises(InputError, match="with compile False, and now it is True"):
        check_same_run(tmp_path, dataclasses.replace(given, compile=True), data, ("genome", "output"))


def test_output_folder_that_is_none(genome, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"file cannot be used as output folder \(File exists\)"):
        pretrain(settings(genome, tmp_path / "file"))
    with pytest.raises(InputError, match="full is not an empty folder, nor a run; choose another"):
        pretrain(settings(genome, tmp_path / "full", resume=True))
    assert (tmp_path / "full" / "thesis.tex").read_text() == "mine"
    with pytest.raises(InputError, match=r"inside cannot be used as output folder \(Not a directory\)"):
        pretrain(settings(genome, tmp_path / "file" / "inside"))


def test_broken_record(genome, tmp_path):
    (tmp_path / "run.json").write_text('{"settings": ')
    with pytest.raises(InputError, match=r"run\.json is not the record of a run"):
        pretrain(settings(genome, tmp_path, resume=True))


# Wrong input, and what goes wrong on the way


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp16"}, "precision fp16 needs a GPU, and there is none; use fp32 or bf16"),
        (
            {"accumulation_steps": 3},
            "batch_windows 8 is not a multiple of processes x accumulation_steps, 1 x 3",
        ),
        (
            {"batch_windows": 1000},
            "198 training windows in all do not fill one batch of 1000; lower batch_windows",
        ),
        (
            {"windows": {"window_bp": 4096}},
            r"train: a window of 4096 bp is longer than every region \(the longest",
        ),
        (
            {
                "windows": {
                    "validation_chromosomes": ["chr1", "chr3"],
                    "test_chromosomes": ["chr2", "chr4", "chr5"],
                }
            },
            r"no part of g\.fa is left to train on; hold out less",
        ),
        ({"trackers": ["mlflow"]}, "tracker mlflow is not installed; install it with: pip install mlflow"),
        ({"model": {"preset": "huge"}}, "there is no preset 'huge'; choose one of pretraining"),
    ],
)
def test_wrong_input(genome, tmp_path, changes, message):
    if changes.get("precision") == "fp16" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match=message):
        pretrain(settings(genome, tmp_path / "run", **changes))
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"save_minutes": -1}, "save_minutes must be at least 0, got -1"),
        ({"trackers": ["tensorbord"]}, "trackers tensorbord: choose from tensorboard, wandb"),
    ],
)
def test_wrong_settings(genome, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        settings(genome, tmp_path, **changes)


def test_loss_that_is_not_a_number_stops_the_run(genome, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"(loss|weight .*) is (nan|not a number).*lower the learning rate"):
        pretrain(
            settings(
                genome, tmp_path / "run", optimizer=OptimizerSettings(learning_rate=1e30, max_gradient_norm=0)
            )
        )
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_broken_weights_are_never_saved(genome, tmp_path):
    optimizer = OptimizerSettings(learning_rate=1e30, max_gradient_norm=0, warmup_share=0)
    with pytest.raises(InputError, match=r"weight .* is not a number at step \d+"):
        pretrain(settings(genome, tmp_path / "run", optimizer=optimizer, save_minutes=0, log_steps=1000))
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in loaded(checkpoint).values())


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed\nC++ trace"),
    ],
    ids=["python", "safetensors", "torch"],
)
def test_full_disk_keeps_the_last_checkpoint(genome, finished, tmp_path, monkeypatch, error):
    """The third checkpoint meets a full disk after half of it is written; the second is gone on from."""
    run, written = tmp_path / "run", []
    save = Trainer._save_optimizer_and_scheduler

    def fail_at_the_third(self, folder):
        written.append(folder)
        if len(written) == 3:
            raise error
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", fail_at_the_third)
    with pytest.raises(
        InputError, match=r"checkpoint-3 could not be written \(.*\); what was saved before it is whole"
    ):
        pretrain(settings(genome, run, save_minutes=0))
    monkeypatch.undo()
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}
    assert not (run / "incomplete").exists()
    pretrain(settings(genome, run, resume=True))
    assert weights(run) == weights(finished)
    assert np.unique([row["step"] for row in metrics(run) if row["loss"]]).size == 4


def test_full_disk_for_real(genome, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=420k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        with pytest.raises(InputError, match=r"checkpoint-1 could not be written \(.* MB are free there\)"):
            pretrain(
                settings(
                    genome, disk / "run", save_minutes=0, model={"hidden_size": 24, "dilations": [1] * 3}
                )
            )
        assert not any((disk / "run").glob("checkpoint-*"))
        assert not (disk / "run" / "incomplete").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_full_disk_at_the_final_model(genome, tmp_path, monkeypatch):
    def fail(self, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("convnova.training.checkpoints.ConvNovaTokenizer.save_pretrained", fail)
    with pytest.raises(
        InputError, match=r"the model could not be written \(.*No space left on device; .* free there\)"
    ):
        pretrain(settings(genome, tmp_path / "run"))
    assert not (tmp_path / "run" / "model.safetensors").exists()
