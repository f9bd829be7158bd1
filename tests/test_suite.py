"""The runner of suites: what is run, in which order, once, and what is written about it."""

import io
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny_suite import (
    LENGTH_BP,
    NETWORK,
    QUIET,
    TASKS,
    TRAINING,
    numbers,
    rows,
    settings,
    write_csv,
    write_data,
)

from convnova.benchmark import engines, suite
from convnova.benchmark.claims import Claims
from convnova.benchmark.outcome import Outcome
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.suite import benchmark, command_line, plan
from convnova.data.catalogue import find_task
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.training.settings import OptimizerSettings
from convnova.training.task_settings import TaskNetworkSettings


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Leave out the report, which takes longer than a tiny job."""
    monkeypatch.setattr(suite, "_report", lambda *arguments: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Return the results of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole")
    return benchmark(settings(data, output, tasks=TASKS, seeds=2), QUIET), output


@pytest.fixture
def pretrained(tmp_path):
    torch.manual_seed(0)
    ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=8, dilations=(1, 2))).save_pretrained(tmp_path / "lm")
    return tmp_path / "lm"


@pytest.fixture
def no_training(monkeypatch):
    """Jobs that are over at once; returns those that were run."""
    done = []

    def run_job(job, folder, threads):
        done.append(job)
        result = {
            **{"metric": "mcc", "scores": {"mcc": 0.5}, "validation": {"mcc": 0.5}, "training_seconds": 1},
            **{"suite": job.suite, "task": job.task, "model": job.model, "seed": job.seed},
            **{"protocol": job.protocol, "job": job.record()},
        }
        return Outcome(result, np.zeros((1, 2), np.float32), np.zeros(1))

    monkeypatch.setattr(engines, "run_job", run_job)
    return done


def start_process(data, output):
    """Start the suite in a process of its own, forked from one that has torch loaded."""
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload(["convnova.benchmark.suite", "sklearn.metrics", "transformers.trainer"])
    process = fresh.Process(target=run_there, args=(data, output))
    process.start()
    return process


def run_there(data, output):
    sys.argv = ["convnova", "there"]
    benchmark(settings(data, output, tasks=TASKS, seeds=2), QUIET)


def finished(output):
    """Return what tells whether a result was written again, by path."""
    found = output.glob(f"**/{RESULT_NAME}")
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_grid_is_task_by_model_by_seed_and_whole_seeds_come_first(data, tmp_path, no_training):
    models = "a=preset:nt,b=preset:pretraining"
    wanted = settings(data, tmp_path, tasks=TASKS, model=models, seeds=2, first_seed=3)
    results = benchmark(wanted, QUIET)
    expected = [(task, model, seed) for seed in (3, 4) for task in ("mouse/2", "tf/3") for model in "ab"]
    assert [(one["task"], one["model"], one["seed"]) for one in results] == expected
    assert [(job.task, job.model, job.seed) for job in no_training] == expected
    benchmark(replace(wanted, seeds=3), QUIET)
    assert [job.seed for job in no_training[len(expected) :]] == [5] * 4


def test_suites_have_the_seeds_and_the_protocol_of_the_field(data, tmp_path):
    jobs = plan(settings(data, tmp_path, suite="promoters", tasks="ecoli", seeds=None))
    assert [(job.seed, job.training.seed, job.protocol) for job in jobs] == [
        (0, 0, "sound"),
        (1, 1, "sound"),
        (2, 2, "sound"),
    ]
    assert {job.protocol for job in plan(settings(data, tmp_path))} == {"gue"}


def test_a_killed_run_goes_on_and_repeats_nothing(data, tmp_path, whole):
    process = start_process(data, tmp_path)
    wait_for(lambda: finished(tmp_path), process)
    process.kill()
    process.join()
    before = finished(tmp_path)
    assert 1 <= len(before) < 4
    results = benchmark(settings(data, tmp_path, tasks=TASKS, seeds=2), QUIET)
    after = finished(tmp_path)
    assert len(after) == 4
    assert {path: after[path] for path in before} == before
    assert numbers(results) == numbers(whole[0])


def test_two_processes_share_a_folder_and_run_each_job_once(data, tmp_path, whole, monkeypatch):
    run_job, mine = engines.run_job, []

    def counting(job, folder, threads):
        mine.append(folder)
        return run_job(job, folder, threads)

    monkeypatch.setattr(engines, "run_job", counting)
    monkeypatch.setattr("convnova.benchmark.claims.POLL_SECONDS", 0.05)
    process = start_process(data, tmp_path)
    wait_for(lambda: any(tmp_path.glob("jobs/**/.lock")), process)
    results = benchmark(settings(data, tmp_path, tasks=TASKS, seeds=2), QUIET)
    process.join()
    assert process.exitcode == 0
    assert [one["command"] for one in results].count("convnova there") == 4 - len(mine)
    assert 1 <= len(mine) <= 3
    assert numbers(results) == numbers(whole[0])


def test_a_job_that_another_process_is_at_is_not_taken(data, tmp_path):
    jobs = plan(settings(data, tmp_path, tasks=TASKS))
    first, second = Claims(jobs, tmp_path), Claims(jobs, tmp_path)
    assert (first.take(), second.take()) == tuple(jobs)
    assert first.take() is second.take() is None
    assert first.waiting == [jobs[1]]
    second.close()
    assert first.take() == jobs[1]
    first.close()


def test_what_is_unfinished_is_not_taken_for_finished(data, tmp_path, no_training):
    wanted = settings(data, tmp_path)
    folder = plan(wanted)[0].folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / f"{RESULT_NAME}.incomplete").write_text('{"suite": ')
    (folder / ".lock").touch()
    benchmark(wanted, QUIET)
    assert len(no_training) == 1


OTHERS = [
    ({"training": replace(TRAINING, epochs=3)}, "training.epochs 2, and now it is 3"),
    (
        {"training": replace(TRAINING, optimizer=OptimizerSettings(learning_rate=2e-3))},
        "training.optimizer.learning_rate 0.01, and now it is 0.002",
    ),
    ({"network": replace(NETWORK, hidden_size=16)}, "network.hidden_size 8, and now it is 16"),
    ({"model": "tiny=preset:pretraining"}, "source preset:nt, and now it is preset:pretraining"),
    ({"protocol": "released"}, "protocol gue, and now it is released"),
    ({"grid": True}, "searches_grid False, and now it is True"),
]


@pytest.mark.parametrize(("change", "message"), OTHERS)
def test_results_of_other_settings_are_refused(data, whole, change, message):
    before = finished(whole[1])
    with pytest.raises(InputError, match="this result was made with") as caught:
        benchmark(settings(data, whole[1], tasks=TASKS, seeds=2, **change), QUIET)
    assert message in str(caught.value)
    assert "another output folder" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert finished(whole[1]) == before


def test_results_on_other_data_are_refused(tmp_path, no_training):
    wanted = settings(write_data(tmp_path / "data"), tmp_path / "output")
    benchmark(wanted, QUIET)
    write_csv(tmp_path / "data/gue/mouse/2/dev.csv", rows(24, 99))
    with pytest.raises(InputError, match=r"made with data.validation sha256:\w+, and now it is sha256:"):
        benchmark(wanted, QUIET)


def test_a_setting_that_is_newer_than_a_result_had_its_default(data, tmp_path, no_training):
    wanted = settings(data, tmp_path)
    benchmark(wanted, QUIET)
    (path,) = finished(tmp_path)
    result = json.loads(path.read_text())
    del result["job"]["network"]["pooling"], result["job"]["training"]["label_smoothing"]
    path.write_text(json.dumps(result))
    benchmark(wanted, QUIET)
    assert len(no_training) == 1
    with pytest.raises(InputError, match=r"network.pooling None, and now it is max"):
        benchmark(replace(wanted, network=replace(NETWORK, pooling="max")), QUIET)


@pytest.mark.parametrize("text", ["", "[]", '{"suite": "gue"}', '{"job": 3}'])
def test_a_file_that_is_no_result_is_refused(data, tmp_path, text):
    wanted = settings(data, tmp_path)
    path = plan(wanted)[0].folder(tmp_path) / RESULT_NAME
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=r"result\.json: is no result of a job; remove it and run"):
        benchmark(wanted, QUIET)


def test_a_result_tells_all_that_made_it_and_no_place_of_this_machine(whole, data):
    results, output = whole
    for one in results:
        assert (
            one["protocol_sentence"] == "published train, dev and test, model chosen on dev, test read once"
        )
        assert one["metric"] in one["scores"].keys() & one["validation"].keys()
        assert one["interval"]["low"] <= one["scores"]["mcc"] <= one["interval"]["high"]
        assert one["settings"] == one["job"]["training"] | {"selection": "mcc"}
        assert one["settings"]["seed"] == one["seed"]
        assert one["sequences"] == {"train": 64, "validation": 24, "test": 32}
        assert one["length_bp"] == LENGTH_BP
        assert one["data"].keys() == {"train", "validation", "test"}
        assert all(value.startswith("sha256:") for value in one["data"].values())
        assert one["both_strands"] == {"training": True, "test": True}
        assert one["versions"].keys() >= {"convnova", "torch", "transformers", "python"}
        assert one["machine"]["threads"] == 1
        assert "commit" in one
    for path in finished(output):
        text = path.read_text()
        assert "NaN" not in text
        assert not [place for place in (data, output, Path.home(), Path.cwd()) if str(place) in text]
        with np.load(path.parent / "predictions.npz") as saved:
            assert saved["predictions"].shape == (32, 2)
            assert saved["labels"].tolist() == [row % 2 for row in range(32)]


def test_a_leak_of_the_published_parts_is_noted(tmp_path):
    data = write_data(tmp_path / "data")
    write_csv(data / "gue/mouse/2/test.csv", [*rows(30, 5), *rows(64, 0)[:2]])
    (result,) = benchmark(settings(data, tmp_path / "output"), QUIET)
    assert "2 sequences of test are in train too (either strand)" in result["notes"]
    assert result["notes"][0].startswith("NOT the published data, so not to be compared")
    assert result["leakage"]["shared"]["train and test"] == 2


def test_a_known_leak_into_test_hides_no_other(tmp_path):
    data = write_data(tmp_path / "data")
    write_csv(data / "gue/tf/3/dev.csv", [*rows(22, 11), *rows(64, 10)[:2]])
    (result,) = benchmark(settings(data, tmp_path / "output", tasks="tf/3"), QUIET)
    assert find_task("gue", "tf/3").test_in_training
    assert "2 sequences of validation are in train too (either strand)" in result["notes"]


def test_a_pretrained_model_and_its_architecture_from_scratch(data, tmp_path, pretrained, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = settings(
        data, Path("output"), model="lm,scratch:lm", network=TaskNetworkSettings(), keep_models=True
    )
    tuned, scratch = benchmark(wanted, QUIET)
    assert (tuned["model"], scratch["model"]) == ("lm", "lm-scratch")
    assert tuned["parameters"] == scratch["parameters"]
    assert "tensors loaded" in tuned["pretrained"]
    assert scratch["pretrained"] is None
    assert tuned["job"]["source"].startswith("sha256:")
    assert scratch["job"]["source"].startswith("scratch:sha256:")
    assert (Path("output") / "jobs/gue/mouse_2/lm/seed0/model.safetensors").exists()
    # Another model in the same place is another job.
    torch.manual_seed(1)
    ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=8, dilations=(1, 2))).save_pretrained("lm")
    with pytest.raises(InputError, match="this result was made with source sha256"):
        benchmark(wanted, QUIET)


BAD = [
    ({"suite": "geu"}, "there is no suite 'geu'"),
    ({"tasks": "mouse/9"}, "suite gue has no task 'mouse/9'"),
    ({"tasks": "mouse/3"}, r"gue mouse/3: not in .*mouse/3/train\.csv"),
    ({"tasks": None}, r"; or run the 2 of 28 tasks that are there: --tasks mouse/2,tf/3$"),
    ({"model": " , "}, "model names none; give at least one, such as preset:nt"),
    (
        {"model": "preset:nt,preset:nt"},
        "two models are called 'nt'; give each a name of its own: NAME=preset",
    ),
    ({"model": "a b=preset:nt,a_b=preset:nt"}, "two models are called 'a_b'"),
    ({"model": "a="}, "a=: there is no model behind the =; write NAME=preset:NAME or NAME=folder"),
    ({"model": "preset:tn"}, "there is no preset 'tn'"),
    ({"model": "no/such/folder"}, "no/such/folder: no ConvNova model in it"),
    ({"protocol": "sound"}, "protocol sound: gue mouse/2 publishes its validation part; choose protocol gue"),
    (
        {"protocol": "gue", "suite": "promoters", "tasks": "ecoli"},
        "protocol gue: promoters ecoli publishes no validation part; choose protocol sound, or auto",
    ),
    (
        {"protocol": "frozen", "network": replace(NETWORK, pooling="max")},
        "protocol frozen is of mean-pooled embeddings, and pooling is max; leave it out",
    ),
    ({"protocol": "frozen", "grid": True}, "grid searches learning rate and batch size, and a regression"),
    ({"network": replace(NETWORK, kernel_size=4)}, "kernel_size"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_cannot_be_run_is_said_before_anything_runs(data, tmp_path, no_training, change, message):
    with pytest.raises(InputError, match=message) as caught:
        benchmark(settings(data, tmp_path, **change), QUIET)
    assert "\n" not in str(caught.value)
    assert not no_training


def test_a_folder_of_another_run_is_refused(data, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"another run wrote there \(run\.json\); choose another output"):
        benchmark(settings(data, tmp_path), QUIET)


def test_a_network_of_a_pretrained_model_is_settled(data, tmp_path, pretrained, no_training):
    with pytest.raises(
        InputError, match="the architecture of a folder is settled, so hidden_size cannot be given"
    ):
        benchmark(settings(data, tmp_path, model=f"preset:nt,{pretrained}"), QUIET)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"first_seed": -1}, "first_seed must be at least 0, got -1"),
        ({"engine": "ray", "gpus": -0.5}, "gpus must be at least 0, got -0.5"),
        ({"ray_address": "auto"}, "ray_address is given, but engine is process; add --engine ray"),
        ({"gpus": 1.0}, "gpus is given, but engine is process"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(InputError, match=message):
        settings(Path(), Path(), **change)


def test_the_table_lies_in_the_output_folder(whole):
    text = (whole[1] / "report.md").read_text()
    assert "mouse/2" in text
    assert "DNABERT-2" in text
    assert "Protocol gue: published train, dev and test" in text
    assert "Incomplete" not in text
    assert "tiny" in (whole[1] / "results.csv").read_text()
    assert (whole[1] / "report.html").exists()


def test_a_command_for_a_record_has_no_absolute_path():
    arguments = ["benchmark", "--data=/a/b/data", "--model", "x=/a/b/yeast,y=preset:nt,z=scratch:/c/d"]
    assert command_line(arguments) == (
        "convnova benchmark --data=data --model x=yeast,y=preset:nt,z=scratch:d"
    )
    assert command_line(["--tasks", "tf/3,mouse/0", "--network.dilations", "[1,2]"]) == (
        "convnova --tasks tf/3,mouse/0 --network.dilations '[1,2]'"
    )


def test_progress_names_jobs_scores_and_what_is_left(data, tmp_path, no_training):
    console = Console(record=True, width=200, file=io.StringIO())
    benchmark(settings(data, tmp_path, tasks=TASKS), console)
    text = console.export_text()
    assert "gue: 2 jobs (tiny), 0 finished before" in text
    assert "gue tf/3, tiny, seed 0: mcc 0.5000 (validation 0.5000), 1 s  [2 of 2, about 0 s left]" in text
