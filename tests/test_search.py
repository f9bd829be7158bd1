"""The search of settings: judged on validation, resumable, and written as a recipe."""

import csv
import gc
import io
import sys
from dataclasses import replace

import pytest
from rich.console import Console
from tiny_task import settings, training, write_csv

from convnova.cli import build_parser
from convnova.errors import InputError
from convnova.training import finetune_task as module
from convnova.training.finetune_task import finetune_task
from convnova.training.search import BATCHES, RECIPE_NAME, STUDY_NAME, TRIALS_NAME, suggest

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Leave out the figures, and keep the garbage collection off torch: both take a second a run."""
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convnova.training.task_output.write_task_figures", lambda *given: None)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("data")
    write_csv(folder / "train.csv", 96, 0)
    write_csv(folder / "test.csv", 32, 1)
    return folder


def run(data, output, **changes):
    """Search, train and test; return scores and what was printed."""
    console = Console(file=io.StringIO(), width=200)
    wanted = settings(data, output=output, search="optuna", **changes)
    return finetune_task(wanted, console), console.file.getvalue()


def rows(output):
    with (output / TRIALS_NAME).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """Return scores, text and folder of a search of three trials that nothing stopped."""
    output = tmp_path_factory.mktemp("searched") / "run"
    return *run(data, output, trials=3), output


def test_the_final_model_is_the_best_trial_again(searched):
    scores, text, output = searched
    values = [float(row["value"]) for row in rows(output)]
    assert len(values) == 3
    assert scores.made.best.scores["mcc"] == max(values)
    assert [line.split(":")[0].strip() for line in text.splitlines() if "  trial" in line] == [
        *("trial 0", "trial 1", "trial 2")
    ]
    best = rows(output)[values.index(max(values))]
    assert f"best: trial {best['trial']}, learning_rate {float(best['learning_rate']):.3g}" in text
    assert scores.made.model.config.dropout == float(best["dropout"])


def test_test_is_read_once_after_the_search(searched, data, tmp_path, monkeypatch):
    seen = []
    search, measure = module.search, module.measure
    monkeypatch.setattr(module, "search", lambda s, task, c: seen.append(task.test) or search(s, task, c))
    monkeypatch.setattr(module, "measure", lambda *given: seen.append("test") or measure(*given))
    run(data, tmp_path / "run", trials=1)
    assert seen == [None, "test"]
    assert searched[1].count("test (read once)") == 1


def test_the_recipe_is_what_finetune_reads(searched, data, tmp_path):
    arguments = ["finetune", "--config", str(searched[2] / RECIPE_NAME)]
    arguments += ["--train", str(data / "train.csv"), "--output", str(tmp_path / "run")]
    parser = build_parser()
    read = parser.instantiate(parser.parse_args(arguments)).finetune
    assert read.search == "none"
    assert read.network.hidden_size == 8
    again = finetune_task(
        settings(data, output=tmp_path / "run", network=read.network, training=read.training),
        Console(quiet=True),
    )
    assert again.made.best.scores == searched[0].made.best.scores
    assert again.test.scores == searched[0].test.scores


class StoppedError(Exception):
    """Stands for a kill between two trials."""


def test_a_stopped_search_makes_the_trials_that_are_missing(searched, data, tmp_path, monkeypatch):
    output, made = tmp_path / "run", []
    wanted = settings(data, output=output, search="optuna", trials=3)

    def stops(trial, seed, sequences):
        if trial.number == 1 and trial.number not in made:
            made.append(trial.number)
            raise StoppedError
        return suggest(trial, seed, sequences)

    monkeypatch.setattr("convnova.training.search.suggest", stops)
    with pytest.raises(StoppedError):
        finetune_task(wanted, Console(quiet=True))
    # A process that is killed leaves its trial as it was: running.
    storage = optuna.storages.RDBStorage(f"sqlite:///{output / STUDY_NAME}")
    study = optuna.load_study(study_name="convnova", storage=storage)
    study.ask()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "RUNNING"]
    storage.remove_session()
    storage.engine.dispose()
    _, text = run(data, output, trials=3)
    assert "search: 3 trials, 1 made before; chosen on validation" in text
    same = [{name: value for name, value in row.items() if name != "trial"} for row in rows(output)]
    assert same == [{name: row[name] for name in same[0]} for row in rows(searched[2])]


def test_more_trials_go_on_from_the_first_ones_and_are_those_of_one_search(searched, data, tmp_path):
    output = tmp_path / "run"
    run(data, output, trials=1)
    (output / "model.safetensors").unlink()  # as if it had been stopped before the end
    _, text = run(data, output, trials=3)
    assert "search: 3 trials, 1 made before" in text
    assert rows(output) == rows(searched[2])


def test_trials_of_other_settings_or_data_are_refused(data, tmp_path):
    output = tmp_path / "run"
    run(data, output, trials=1)
    (output / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds a search with training.epochs 1, and now it is 2; give the"):
        run(data, output, trials=2, training=training(epochs=2))
    other = tmp_path / "other"
    other.mkdir()
    write_csv(other / "train.csv", 96, 5)
    write_csv(other / "test.csv", 32, 1)
    with pytest.raises(InputError, match="holds a search on another train; give the same, or choose another"):
        run(other, output, trials=2)


def test_parameters_lie_in_the_space_and_batches_suit_the_data():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for sequences, largest in ((100, 32), (300, 64), (100_000, 256)):
        allowed = [size for size in BATCHES if size <= largest]
        # One space a study: batches are of the data.
        study = optuna.create_study()
        for _ in range(5):
            trial = study.ask()
            first, second = (suggest(trial, 0, sequences) for _ in range(2))
            assert first == second
            assert first["batch_sequences"] in allowed
            assert 1e-4 <= first["learning_rate"] <= 5e-3
            assert 1e-3 <= first["weight_decay"] <= 1
            assert 0 <= first["dropout"] <= 0.3


BAD = [
    ({"training": training(method="logistic-regression")}, "which method logistic-regression does without"),
    ({"trials": 0}, "trials must be at least 1, got 0"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_search_of_nothing_is_refused(data, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        run(data, tmp_path / "run", **change)


def test_trials_without_a_search_are_refused(data, tmp_path):
    with pytest.raises(InputError, match="trials is given, but search is none; add --search optuna"):
        settings(data, output=tmp_path, trials=5)


def test_a_search_in_several_processes_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="search runs in one process; start it without torchrun"):
        run(data, tmp_path / "run")


def test_without_optuna_the_pip_line_is_given(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        InputError, match=r"search needs Optuna; install it with: pip install 'convnova\[sear"
    ):
        run(data, tmp_path / "run")


def test_losses_are_made_small(data, tmp_path):
    scores, _ = run(data, tmp_path / "run", trials=2, training=replace(training(), selection="loss"))
    values = [float(row["value"]) for row in rows(tmp_path / "run")]
    assert scores.made.best.scores["loss"] == -max(values)
