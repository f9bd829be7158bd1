"""The benchmarks compare like with like: the twins agree, the counts are right, and each script runs."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import decoding
import finetune_loading
import finetune_speed
import gpu
import ingredients
import labelling
import length_scaling
import measure
import memory_pages
import model_speed
import per_base
import reading
import scan
import tracks
import using
import window_loading
from multiply_adds import multiply_adds_per_bp, training_multiply_adds_per_bp
from tiny_suite import write_data

from convnova.model.configuration_convnova import ConvNovaConfig

B, L = 2, 96
SMALL = {"hidden_size": 8, "dilations": (1, 4)}
CONFIGS = {
    "as for pretraining": SMALL,
    "one block": SMALL | {"dilations": (1,)},
    "no ffn": SMALL | {"use_ffn": False},
    "final conv": SMALL | {"use_ffn": False, "use_final_conv": True, "mlp_expansion": 4, "kernel_size": 5},
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    torch.manual_seed(0)
    return ConvNovaConfig(**request.param)


def test_the_textbook_twin_gives_the_same_logits_loss_and_gradients(config):
    ours, textbook = model_speed.twins(config)
    ids, labels = model_speed.random_batch(B, L)
    ids[0, :10] = 4
    output = ours(ids, labels=labels)
    logits, loss = textbook(ids, labels)
    torch.testing.assert_close(output.logits, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.loss, loss, atol=1e-5, rtol=0)
    output.loss.backward()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in textbook.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-5, rtol=0, msg=name)


def test_multiply_adds_are_those_that_pytorch_counts(config):
    _, textbook = model_speed.twins(config)
    ids, labels = model_speed.random_batch(B, L)
    with FlopCounterMode(display=False) as forward:
        loss = textbook(ids, labels)[1]
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert forward.get_total_flops() == 2 * B * L * multiply_adds_per_bp(config)
    both = forward.get_total_flops() + backward.get_total_flops()
    assert both == 2 * B * L * training_multiply_adds_per_bp(config)


def test_multiply_adds_of_the_published_model():
    assert multiply_adds_per_bp(ConvNovaConfig()) == 1_765_248


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    yield ["--threads", "1"]
    torch.set_num_threads(threads)


def test_model_speed_runs(capsys, one_thread):
    result = model_speed.main(["--quick", *one_thread])
    shown = capsys.readouterr().out
    assert [row["task"] for row in result["rows"]] == [
        "training, fp32",
        "training, bf16",
        "inference, fp32",
        "inference, bf16",
    ]
    for text in ("times faster", "share of peak", "peak, GFLOP/s", torch.__version__):
        assert text in shown


def test_window_loading_runs_and_compares_equal_windows(tmp_path, capsys):
    rng = np.random.default_rng(0)
    records = [f">chr{i}\n{''.join(rng.choice(list('ACGTNacgt'), 900))}\n" for i in range(2)]
    fasta = tmp_path / "toy.fa.gz"
    fasta.write_bytes(gzip.compress("".join(records).encode()))
    window_loading.main(["--quick", "--genome", str(fasta), "--length", "64"])
    assert "loading and masking" in capsys.readouterr().out


def test_reading_runs_and_compares_equal_sequences(capsys):
    result = reading.main(["--quick", "--length", "30"])
    assert [row["task"] for row in result["rows"]] == ["reading", "reading, checks, validation split"]
    assert "pandas, row by row" in capsys.readouterr().out


def test_labelling_reads_and_labels_what_it_makes(capsys):
    result = labelling.main(["--quick"])
    assert result["settings"]["lines"] == 20 * (2 + 5 * 2 + 1)
    assert [row["task"] for row in result["rows"]][:2] == ["read the GTF", "label, bend"]
    assert "seconds (goal 60 for reading and labelling)" in capsys.readouterr().out


def test_finetune_loading_runs_and_is_a_part_of_the_whole(capsys):
    result = finetune_loading.main(["--quick"])
    assert len(result["rows"]) == 3
    for row in result["rows"]:
        assert 0 < row["loading"] < row["step"]
        assert row["share"] == pytest.approx(row["loading"] / row["step"])
    assert "share (goal under 3%)" in capsys.readouterr().out


def test_tracks_builds_and_reads_in_training(capsys):
    result = tracks.main(["--quick"])
    assert result["settings"]["tracks"] == 5
    assert result["rows"]["share"] == pytest.approx(result["rows"]["loading"] / result["rows"]["step"])
    assert "waiting for batches, share of training" in capsys.readouterr().out


def test_finetune_speed_compares_the_same_network(capsys):
    rows = finetune_speed.main(["--quick"])["rows"]
    assert rows[-1]["ours is times faster"] == 1
    assert [row["step"] for row in rows] == list(finetune_speed.TWINS)
    assert "dropout 0.1, rounds 1" in capsys.readouterr().out


def test_scan_compares_models_of_the_same_size(capsys, one_thread):
    result = scan.main(["--quick", *one_thread])
    rows, where = result["rows"], result["profile"]
    assert sum(where.values()) == pytest.approx(1)
    assert where["scan, forward"] > 0 < where["scan, backward"]
    assert all(share >= 0 for share in where.values())
    assert [row["model"] for row in rows][:2] == ["ConvNova, fp32", "Caduceus-Ph, fp32"]
    assert rows[0]["of ConvNova"] == 1
    assert "channels 16, length 64" in capsys.readouterr().out
    with torch.device("meta"):
        caduceus = scan.classifier("caduceus-ph-0.5m", 118)
    assert scan.parameters_in_use(scan.as_large_as(caduceus)) == pytest.approx(
        scan.parameters_in_use(caduceus), rel=0.05
    )


def test_finetune_loading_reads_a_file(tmp_path, capsys):
    path = reading.random_table(tmp_path / "mine.csv", 40, 30)
    finetune_loading.main(["--quick", "--data", str(path)])
    assert "data mine.csv, sequences 36" in capsys.readouterr().out


def test_decoding_runs_and_compares_equal_genes(capsys):
    rows = decoding.main(["--quick"])["rows"]
    assert rows[0]["times faster"] > 0
    assert [row["genes found"] for row in rows[2:]] == [1, 1]
    assert "dense Viterbi, least introns of 4" in capsys.readouterr().out


RECIPE = """suite: gue
model: scratch=preset:nt
network: {hidden_size: 8, kernel_size: 3, dilations: [1, 2], segment_bp: 12}
training: {epochs: 1}
"""


def test_ingredients_fill_a_table_and_repeat_nothing(tmp_path, capsys):
    (data := tmp_path / "data").mkdir()
    (recipe := tmp_path / "recipe.yaml").write_text(RECIPE)
    arguments = ["--recipe", str(recipe), "--data", str(write_data(data)), "--tasks", "mouse/2"]
    arguments += ["--output", str(tmp_path / "ingredients.csv")]
    table = ingredients.main(arguments)
    assert len(table) == len(ingredients.VARIANTS) - 3  # mouse/2 is on both strands and has no segments
    assert capsys.readouterr().out.count("seed 0: ") == len(table)
    rows = (tmp_path / "ingredients.csv").read_text()
    assert ingredients.main(arguments).equals(table)
    assert (tmp_path / "ingredients.csv").read_text() == rows
    assert "seed 0: " not in capsys.readouterr().out
    recipe.write_text(RECIPE.replace("epochs: 1", "epochs: 2"))
    assert len(ingredients.main(arguments)) == len(table)  # trained again, and not mixed with the rows before
    assert capsys.readouterr().out.count("seed 0: ") == len(table)
    assert (tmp_path / "ingredients.csv").read_text().count("\n") == rows.count("\n") + len(table)


def test_pages_are_measured_in_turns_each_in_a_process_of_its_own(monkeypatch, capsys):
    seen = []

    def run(command, *, env, **kwargs):
        seen.append(env[memory_pages.TUNABLES])
        return subprocess.CompletedProcess(command, 0, str(memory_pages.main(command[2:])["seconds"]))

    monkeypatch.setattr(memory_pages.subprocess, "run", run)
    rows = memory_pages.main(["--quick"])["rows"]
    assert seen == list(memory_pages.PAGES.values())
    assert rows[0]["times faster"] == 1
    assert all(row["bp/s"] > 0 for row in rows)
    assert memory_pages.AS_IT_IS in capsys.readouterr().out


@pytest.mark.parametrize("checkpointed", [False, True])
def test_per_base_measures_one_training_step(checkpointed, one_thread):
    case = per_base.Case(blocks=2, field_bp=40, window_bp=500, batch=1, checkpointed=checkpointed, channels=8)
    cost = per_base.main(["--one", json.dumps(case)])
    assert cost["bp_per_second"] == pytest.approx(500 / cost["seconds"])
    assert cost["peak_bytes"] >= cost["held_bytes"] >= 0


@pytest.mark.parametrize("task", length_scaling.TASKS)
def test_length_scaling_measures_one_length(task):
    result = length_scaling.measure_one(task, 512, channels=8)
    assert result["seconds"] > 0
    assert result["peak_bytes"] >= 0


def test_length_scaling_draws_and_fits(tmp_path):
    rows = [
        {"task": "inference", "length": length, "seconds": length * 1e-6, "peak_bytes": 7 * length**2}
        for length in (1024, 4096, 16384)
    ]
    assert length_scaling.fit(rows) == pytest.approx((1, 2))
    length_scaling.draw(rows, tmp_path / "figures" / "scaling.png")
    assert (tmp_path / "figures" / "scaling.png").stat().st_size > 0


def test_contenders_run_in_turns():
    calls = []
    times = measure.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, warmup=1)
    assert calls == ["a", "b"] * 3
    assert [len(each) for each in times.values()] == [2, 2]


def test_ratios_are_formed_within_a_round():
    assert measure.paired_ratio([1, 10, 2], [2, 30, 3]) == 2


def test_a_saved_result_names_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    saved = json.loads(measure.save("toy", {"rows": [1]}).read_text())
    assert saved["rows"] == [1]
    assert saved["machine"]["torch"] == torch.__version__


@pytest.mark.filterwarnings("ignore")
def test_using_runs_and_its_ways_agree(capsys):
    result = using.main(["--quick", "--rounds", "1"])
    assert {row["what"] for row in result["rows"]} == {*using.GOALS, "vcf", "bf16"}
    for row in result["rows"]:
        if row["what"] not in ("int8", "bf16") and row["differs by"] != "":
            assert row["differs by"] < 1e-4, row["how"]
    assert "int8 against fp32" in capsys.readouterr().out


def test_gpu_runs_without_one_on_the_processor_and_agrees_with_it():
    result = gpu.main(["--quick", "--rounds", "1"])
    assert len(result["use"]) == 4 * 3
    for row in result["use"]:
        assert row["differs by"] <= (0 if "fp32" in row["how"] else 0.2), row
    assert {row["how"] for row in result["training"]} == {"fp32", "bf16"}
