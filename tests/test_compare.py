"""`convnova compare`: one table of several systems, and nothing measured twice."""

import io
import json
from itertools import product

import numpy as np
import pytest
from rich.console import Console
from tiny_suite import TASKS, write_data
from tiny_suite import settings as tiny_settings

from convnova.benchmark import compare_quality, cost_table, outcome
from convnova.benchmark.compare import SYSTEMS, compare, named_models
from convnova.benchmark.compare_quality import quality_of
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.outcome import validate_job
from convnova.benchmark.suite import plan
from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture
def measured(monkeypatch):
    """Costs without measuring: time grows as the square of the length, and training ends at 4,096 bp."""
    asked = []

    def measure_cost(cost, source, seconds):
        asked.append((cost.model, cost.kind, cost.length_bp))
        if cost.kind == "training" and cost.length_bp >= 4096:
            return cost._replace(failure="out of memory")
        return cost._replace(bp_per_second=1e9 / cost.length_bp, bytes=5e5 * cost.batch * cost.length_bp)

    monkeypatch.setattr(cost_table, "measure_cost", measure_cost)
    return asked


def run(output, **changes):
    screen = io.StringIO()
    values = {"models": "convnova,cnn", "lengths_bp": [256, 1024, 4096, 8192], "threads": 1} | changes
    return compare(CompareSettings(output, **values), Console(file=screen, width=250)), screen.getvalue()


def test_costs_are_measured_once_and_end_where_a_model_does(measured, tmp_path):
    found, text = run(tmp_path)
    assert [key for key in measured if key[1] == "training"] == [
        (name, "training", length) for name in ("convnova", "cnn") for length in (256, 1024, 4096)
    ]
    assert "1,024 bp, then out of memory" in (tmp_path / "compare.md").read_text()
    assert "8,192 bp" in text
    report = (tmp_path / "compare.md").read_text()
    assert "| convnova | 2.00 | 1.00 | 2.00 | 1.00 |" in report
    assert "| cnn | 1.0, 1.0 | - | 1.0, 1.0 | 1.0, 1.0 |" in report
    for name in ("time", "memory"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    count = len(measured)
    again, _ = run(tmp_path)
    assert len(measured) == count
    assert str(again) == str(found)  # NaN is not NaN


def test_what_is_measured_of_one_model_is_not_taken_for_another(measured, tmp_path):
    changes = [
        {"models": "a=preset:cnn"},
        {"models": "a=preset:hyenadna-tiny-1k"},
        {"models": "a=preset:cnn"},
    ]
    counts = []
    for change in [*changes, {"models": "a=preset:cnn", "threads": 2}]:
        run(tmp_path, lengths_bp=[256], **change)
        counts.append(len(measured))
    assert counts == [2, 4, 4, 6]


def test_what_took_too_long_is_tried_again_with_more_time(monkeypatch, tmp_path):
    asked = []

    def measure_cost(cost, source, seconds):
        asked.append(seconds)
        return cost._replace(failure=f"longer than {seconds:g} s")

    monkeypatch.setattr(cost_table, "measure_cost", measure_cost)
    for seconds in (5.0, 5.0, 9.0):
        run(tmp_path, models="kmers", most_seconds=seconds)
    assert asked == [5.0, 9.0]


def test_kmers_alone_have_a_figure(measured, tmp_path):
    run(tmp_path, models="kmers", lengths_bp=[256, 1024])
    assert (tmp_path / "time.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows[:1], rows[1][:20]], r"costs\.csv, line 2: is no measurement; remove the line"),
        (lambda rows: ["model,kind", *rows[1:]], r"costs\.csv: its columns are not model, origin, kind"),
    ],
)
def test_a_broken_table_of_costs_is_one_line(measured, change, message, tmp_path):
    run(tmp_path, models="cnn", lengths_bp=[256])
    path = tmp_path / "costs.csv"
    path.write_text("\n".join(change(path.read_text().split("\n"))))
    with pytest.raises(InputError, match=message):
        run(tmp_path, models="cnn", lengths_bp=[256])


def test_a_model_that_cannot_be_trained_costs_no_other_its_scores(monkeypatch, tmp_path):
    def measure_cost(cost, source, seconds):
        if cost.model == "large" and cost.kind == "training":
            return cost._replace(failure="out of memory")
        return cost._replace(bp_per_second=1e6, bytes=1e6)

    monkeypatch.setattr(cost_table, "measure_cost", measure_cost)
    (data := tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=r"1 of 2 models were not trained\. The first: .*\(out of memory\)"):
        run(
            tmp_path / "out",
            models="large=preset:cnn,cnn",
            **{"suite": "gue", "tasks": "mouse/2", "seeds": 1, "lengths_bp": [256]},
            data=write_data(data),
            training=FinetuneSettings(epochs=1, batch_sequences=32),
            minutes=0.1,
        )
    report = (tmp_path / "out/compare.md").read_text()
    assert "| cnn | " in report
    assert (
        "large was not trained: gue mouse/2, large, seed 0: no step of training could be measured" in report
    )


def test_models_are_trained_on_a_suite_beside_their_costs(measured, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    found, text = run(
        tmp_path / "out",
        models="convnova,cnn,kmers",
        suite="gue",
        tasks="mouse/2",
        data=write_data(data),
        seeds=2,
        training=FinetuneSettings(epochs=1, batch_sequences=32),
        lengths_bp=[1024],
    )
    assert set(found.quality) == {"convnova", "cnn", "kmers"}
    assert all(-1 <= one.mean <= 1 and one.sd >= 0 for one in found.quality.values())
    assert " score " in text
    report = (tmp_path / "out/compare.md").read_text()
    assert "## gue: test scores x 100, mean ± sd over 2 seeds" in report
    assert "Budget: 1 epoch." in report
    assert (tmp_path / "out/quality/report.md").exists()


def test_kmers_are_fitted_at_once_and_have_no_training_costs(measured, tmp_path):
    (data := tmp_path / "data").mkdir()
    output = tmp_path / "out"
    found, _ = run(
        output,
        models="cnn,kmers",
        suite="gue",
        tasks="mouse/2",
        data=write_data(data),
        seeds=1,
        training=FinetuneSettings(epochs=1),
        lengths_bp=[1024],
    )
    assert ("kmers", "inference", 1024) in measured
    assert ("kmers", "training", 1024) not in measured
    assert found.sizes["kmers"].parameters == 2 * (4**5 + 1)
    result = json.loads((output / "quality/jobs/gue/mouse_2/kmers/seed0/result.json").read_text())
    assert result["settings"]["method"] == "logistic-regression"
    row = next(line for line in (output / "compare.md").read_text().splitlines() if "| kmers |" in line)
    assert row.endswith("| - | - | 976,562 | 1.00 | - | - | 1,024 bp |")


def test_a_learning_rate_is_chosen_for_each_system_on_validation_alone(measured, monkeypatch, tmp_path):
    seen, chosen = [], {"convnova": 2e-3, "cnn": 5e-4}

    def validate_job(job, threads):
        rate = job.training.optimizer.learning_rate
        seen.append((job.model, job.task, job.seed, rate))
        is_outlier = job.task == "tf/3" and rate == 1e-3  # the best of one task, and not on average
        return 0.75 if rate == chosen[job.model] else 0.9 if is_outlier else 0.3

    monkeypatch.setattr(compare_quality, "validate_job", validate_job)
    (data := tmp_path / "data").mkdir()
    given = {
        "models": "convnova,cnn,kmers",
        **{"suite": "gue", "tasks": TASKS, "seeds": 2, "data": write_data(data), "lengths_bp": [1024]},
        "training": FinetuneSettings(epochs=1, batch_sequences=32),
        "learning_rates": [5e-4, 1e-3, 2e-3],
    }
    found, text = run(tmp_path / "out", **given)
    assert {name: one.learning_rate for name, one in found.quality.items()} == chosen | {"kmers": None}
    assert set(seen) == set(product(chosen, ("mouse/2", "tf/3"), [0], [5e-4, 1e-3, 2e-3]))
    assert "best of 0.0005, 0.001, 0.002 on validation" in (tmp_path / "out/compare.md").read_text()
    assert "learning rate 0.002 (on validation: 0.0005 0.3000, 0.001 0.6000, 0.002 0.7500)" in text
    for path in (tmp_path / "out/quality/jobs").glob("**/result.json"):
        result = json.loads(path.read_text())
        assert result["settings"]["optimizer"]["learning_rate"] == chosen.get(result["model"], 1e-3)
    count = len(seen)
    assert run(tmp_path / "out", **given)[0] == found
    assert len(seen) == count


def test_each_training_has_as_many_steps_as_fit_into_its_minutes(measured, tmp_path):
    (data := tmp_path / "data").mkdir()
    given = {
        "models": "convnova,kmers",
        **{"suite": "gue", "tasks": "mouse/2", "seeds": 1, "data": write_data(data), "lengths_bp": [256]},
        "training": FinetuneSettings(epochs=9, batch_sequences=32),
    }
    train = (data / "gue/mouse/2/train.csv").read_text().split()[1:]
    length = int(np.median([len(line.partition(",")[0]) for line in train]))
    run(
        tmp_path / "out", **given, minutes=3.4 * 32 * length / (1e9 / length) / 60
    )  # the speed is 1e9 / length
    assert ("convnova", "training", length) in measured
    results = [
        json.loads(path.read_text()) for path in (tmp_path / "out/quality/jobs").glob("**/result.json")
    ]
    steps = {one["model"]: one["settings"]["most_steps"] for one in results}
    assert steps == {"convnova": 3, "kmers": None}


def test_validation_is_scored_without_a_look_at_test(monkeypatch, tmp_path):
    job = plan(tiny_settings(write_data(tmp_path), tmp_path / "out"))[0]
    monkeypatch.setattr(outcome, "measure", None)
    before = validate_job(job, 1)
    test = tmp_path / "gue/mouse/2/test.csv"
    flipped = [line[:-1] + str(1 - int(line[-1])) for line in test.read_text().split()[1:]]
    test.write_text("\n".join(["sequence,label", *flipped, ""]))
    job = plan(tiny_settings(tmp_path, tmp_path / "out"))[0]
    assert validate_job(job, 1) == before


def test_names_of_systems_and_models():
    assert named_models("convnova, hyenadna", "1.7m") == {
        "convnova": "preset:nt",
        "hyenadna": "preset:hyenadna-1.7m",
    }
    assert named_models("new=preset:nt", "0.5m") == {"new": "preset:nt"}
    assert named_models("deepsea", "1.7m") == {"deepsea": "preset:deepsea"}
    with pytest.raises(InputError, match=r"there is no system 'caduceus'; nearest are caduceus-p"):
        named_models("caduceus", "0.5m")
    assert all(set(sizes) == {"0.5m", "1.7m"} for sizes in SYSTEMS.values())


def test_quality_is_the_mean_over_tasks_and_its_spread_that_over_seeds():
    rows = [("a", 0, 0.5), ("a", 1, 0.7), ("b", 0, 0.1), ("b", 1, 0.5)]
    about = {"metric": "mcc", "epochs": 2.0}
    results = [{"task": t, "seed": seed, "scores": {"mcc": s}} | about for t, seed, s in rows]
    quality = quality_of(results)
    assert quality.tasks == {"a": [0.5, 0.7], "b": [0.1, 0.5]}
    assert quality.epochs == {"a": 2.0, "b": 2.0}
    assert quality.mean == pytest.approx(0.45)
    assert quality.sd == pytest.approx(0.3 / 2**0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": "mouse/2"}, "tasks need the suite that they are of"),
        ({"learning_rates": [1e-3, 2e-3]}, "learning_rates need a suite to choose on"),
        (
            {"suite": "gue", "learning_rates": [1e-3]},
            r"learning_rates must be several, above 0, got \[0.001\]",
        ),
        ({"suite": "gue", "learning_rates": [0.0, 1e-3]}, "learning_rates must be several, above 0"),
        ({"minutes": 3.0}, "minutes need a suite to train on"),
        ({"suite": "gue", "minutes": 0.0}, "minutes must be above 0, got 0"),
        ({"lengths_bp": [1024, 256]}, "lengths_bp must be ascending and at least 1"),
        ({"lengths_bp": []}, "lengths_bp must be ascending and at least 1"),
        ({"most_seconds": 0.0}, "most_seconds must be above 0, got 0"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        CompareSettings(tmp_path, **changes)
