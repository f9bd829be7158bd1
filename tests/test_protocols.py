"""Protocols: what each one trains on, chooses on and reads, and that it says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_suite import NETWORK, QUIET, TRAINING, settings, write_data

from convnova.benchmark import outcome, suite
from convnova.benchmark.protocols import (
    PROTOCOLS,
    PUBLISHED_GRID,
    RELEASED_TRAINING,
    SUITE_DEFAULTS,
    protocol_of,
    released_training,
)
from convnova.benchmark.settings import BenchmarkSettings
from convnova.benchmark.suite import benchmark, fit_to_task, plan
from convnova.data.catalogue import catalogue, find_task, suite_tasks
from convnova.data.duplicates import same_sequence_groups
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.precision import resolve_precision
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.task_settings import TaskNetworkSettings


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Leave out the report, which takes longer than a tiny job."""
    monkeypatch.setattr(suite, "_report", lambda *arguments: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def seen(monkeypatch):
    """Return what `learn` and `measure` were given, in order."""
    calls = []
    learn, measure = outcome.learn, outcome.measure

    def learning(parts, model, network, training):
        calls.append(("learn", parts, training))
        return learn(parts, model, network, training)

    def measuring(made, parts, average_strands):
        calls.append(("measure", parts, average_strands))
        return measure(made, parts, average_strands)

    monkeypatch.setattr(outcome, "learn", learning)
    monkeypatch.setattr(outcome, "measure", measuring)
    return calls


def run(data, output, **changes):
    (result,) = benchmark(settings(data, output, **changes), QUIET)
    return result


def shared(first, second):
    """Return how many sequences of the second part are in the first."""
    groups = same_sequence_groups([first.ids, second.ids])
    return int(np.isin(groups[1], groups[0]).sum())


def test_sound_draws_validation_by_seed_and_keeps_test_out_of_it(data, tmp_path, seen):
    wanted = settings(data, tmp_path, suite="promoters", tasks="ecoli", seeds=2)
    results = benchmark(wanted, QUIET)
    (_, one, _), _, (_, other, _), _ = seen
    for parts in (one, other):
        assert (len(parts.train), len(parts.validation), len(parts.test)) == (128, 16, 16)
        assert shared(parts.train, parts.test) == shared(parts.validation, parts.test) == 0
        assert shared(parts.train, parts.validation) == 0
    assert shared(one.test, other.test) == 16  # one test part for all seeds
    assert shared(one.validation, other.validation) < 16
    assert results[1]["notes"][1:] == ["no split is published: random 80/10/10 by seed"]
    assert "0.1 of train is held out for test (seed 0)" in results[1]["reading"]
    assert any(note.endswith("held out for validation (seed 1)") for note in results[1]["reading"])
    assert results[0]["protocol_sentence"].startswith("validation drawn from train by seed")


def test_gue_chooses_on_the_published_dev(data, tmp_path, seen):
    result = run(data, tmp_path)
    (_, parts, _), (name, measured, _) = seen
    assert (name, measured) == ("measure", parts)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (64, 24, 32)
    assert result["validation"]["mcc"] == max(point[2] for point in result["curve"])


def test_released_is_the_released_training_chosen_on_test_and_says_so(data, tmp_path, seen):
    result = run(data, tmp_path, suite="promoters", tasks="ecoli", protocol="released")
    (_, parts, training), (_, _, average_strands) = seen
    assert parts.validation is parts.test
    assert (len(parts.train), len(parts.test)) == (144, 16)  # nothing of train is held out to choose on
    assert not training.augmentation.reverse_complement
    assert not average_strands
    assert training.weight_averaging == 0
    assert training.optimizer.decay_protocol == "released"
    assert result["scores"]["mcc"] == result["validation"]["mcc"]
    assert result["both_strands"] == {"training": False, "test": False}
    assert "model chosen on test, which flatters it" in result["protocol_sentence"]
    assert "the released code has no settings for this suite" in result["notes"]


@pytest.mark.parametrize("name", RELEASED_TRAINING)
def test_released_has_the_published_epochs_and_batch_where_they_are_not_changed(name):
    epochs, batch, precision = RELEASED_TRAINING[name]
    released = PROTOCOLS["released"]
    training = released.training(FinetuneSettings(), name, seed=3)
    assert (training.epochs, training.batch_sequences, training.seed) == (epochs, batch, 3)
    assert training.optimizer.learning_rate == 1e-3
    assert training.optimizer.weight_decay == 0.1
    departures = released.departures(training, name)
    ours = resolve_precision("auto")
    assert departures == ([] if precision == "fp32" else [f"precision is {ours}, released fp16"])
    changed = released.training(FinetuneSettings(epochs=1, most_steps=5), name, seed=0)
    assert (changed.epochs, changed.batch_sequences) == (1, batch)
    assert f"epochs is 1, released {epochs}" in released.departures(changed, name)
    assert "most_steps is 5, released None" in released.departures(changed, name)
    kept = precision if precision == "fp32" else "auto"
    assert replace(released_training(name), precision=kept, seed=3) == training


@pytest.mark.parametrize("name", ["sound", "gue", "frozen"])
def test_other_protocols_leave_the_training_to_the_user_but_for_the_seed(name):
    training = PROTOCOLS[name].training(TRAINING, "gue", seed=7)
    expected = replace(TRAINING, seed=7)
    if name == "frozen":
        expected = replace(expected, method="logistic-regression", selection="auroc")
    assert training == expected
    assert not PROTOCOLS[name].departures(training, "gue")


def test_frozen_is_a_regression_on_the_embeddings_of_a_pretrained_model(data, tmp_path, seen):
    torch.manual_seed(0)
    model = ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=8, dilations=(1, 2)))
    model.save_pretrained(tmp_path / "lm")
    result = run(
        *(data, tmp_path / "output"),
        model=str(tmp_path / "lm"),
        network=TaskNetworkSettings(),
        protocol="frozen",
        keep_models=True,
    )
    assert result["metric"] == result["interval"]["metric"] == "auroc"
    assert "logistic regression" in result["protocol_sentence"]
    assert result["settings"]["method"] == "logistic-regression"
    tuned = outcome_weights(tmp_path / "output")
    before = model.state_dict()
    assert tuned.keys() & before.keys()
    assert all(torch.equal(tuned[name], before[name]) for name in tuned.keys() & before.keys())


def outcome_weights(output):
    """Return the weights of the model that a job kept."""
    from safetensors.torch import load_file

    (path,) = output.glob("**/model.safetensors")
    return load_file(path)


def test_the_grid_is_searched_on_validation_and_test_is_read_once(data, tmp_path, seen):
    training = replace(TRAINING, epochs=1, selection="loss")
    result = run(data, tmp_path, grid=True, training=training)
    assert [name for name, *_ in seen] == ["learn"] * 4 + ["measure"]
    tried = [(one["learning_rate"], one["batch_sequences"]) for one in result["grid"]]
    assert tried == list(PUBLISHED_GRID)
    best = min(result["grid"], key=lambda one: one["validation"])  # of losses the lowest
    assert result["validation"]["loss"] == best["validation"]
    assert result["settings"]["optimizer"]["learning_rate"] == best["learning_rate"]
    assert result["settings"]["batch_sequences"] == best["batch_sequences"]
    assert result["interval"]["metric"] == "mcc"  # the score that is reported, not the one chosen by


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(data, tmp_path):
    scores = [
        run(data, tmp_path / name, first_seed=seed)["scores"] for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]


def test_every_suite_has_a_protocol_that_fits_all_its_tasks():
    assert SUITE_DEFAULTS.keys() <= {row.suite for row in catalogue()}
    for row in catalogue():
        for task in suite_tasks(row.suite):
            protocol_of("auto", row.suite).check(task)


@pytest.mark.parametrize("name", ["frozen", "released"])
@pytest.mark.parametrize("task", [("gue", "mouse/2"), ("promoters", "ecoli")])
def test_some_protocols_take_any_suite(name, task):
    PROTOCOLS[name].check(find_task(*task))


def test_an_unknown_protocol_is_refused(data, tmp_path):
    with pytest.raises(
        InputError, match=r"there is no protocol 'loud'; choose auto, sound, gue, frozen, released"
    ):
        plan(settings(data, tmp_path, protocol="loud", network=NETWORK))


@pytest.mark.parametrize(
    ("suite", "task", "protocol", "strands", "pooling"),
    [
        ("gue", "tf/3", "gue", True, None),
        ("gue", "prom/prom_core_tata", "gue", False, "segments"),
        ("splice", "hs3d_donor", "sound", False, "segments"),
    ],
)
def test_the_catalogue_decides_on_strand_and_pooling(suite, task, protocol, strands, pooling, tmp_path):
    settings = BenchmarkSettings(suite, tmp_path)
    fitted = fit_to_task(settings, PROTOCOLS[protocol], find_task(suite, task), FinetuneSettings())
    assert fitted["training"].augmentation.reverse_complement is strands
    assert fitted["training"].average_strands is strands
    assert fitted["network"].pooling == pooling
    as_set = replace(settings, by_task=False)
    kept = fit_to_task(as_set, PROTOCOLS[protocol], find_task(suite, task), FinetuneSettings())
    assert kept == {"network": as_set.network, "training": FinetuneSettings()}
