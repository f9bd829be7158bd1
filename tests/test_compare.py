"""`convnova compare`: one table of several systems, and nothing measured twice."""

import io
import json

import pytest
from rich.console import Console
from tiny_suite import write_data

from convnova.benchmark import compare as module
from convnova.benchmark.compare import SYSTEMS, compare, named_models
from convnova.benchmark.compare_quality import quality_of
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.costs import Cost
from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture
def measured(monkeypatch):
    """Costs without measuring: time grows as the square of the length, and training ends at 4,096 bp."""
    asked = []

    def measure_cost(name, source, kind, length, seconds, threads):
        asked.append((name, kind, length))
        failure = "out of memory" if kind == "training" and length >= 4096 else ""
        return Cost(name, kind, length, 2, 1e9 / length, 1e6 * length, failure)

    monkeypatch.setattr(module, "measure_cost", measure_cost)
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
    assert "1,024 bp, then out of memory" in text
    assert "8,192 bp" in text
    report = (tmp_path / "compare.md").read_text()
    assert "| convnova | 2.00 | 1.00 | 2.00 | 1.00 |" in report
    for name in ("time", "memory"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    count = len(measured)
    again, _ = run(tmp_path)
    assert len(measured) == count
    assert again == found


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
    assert "mean score" in text
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


def test_names_of_systems_and_models():
    assert named_models("convnova, hyenadna", "1.7m") == {
        "convnova": "preset:nt",
        "hyenadna": "preset:hyenadna-1.7m",
    }
    assert named_models("new=preset:nt", "0.5m") == {"new": "preset:nt"}
    with pytest.raises(InputError, match=r"there is no system 'caduceus'; nearest are caduceus-p"):
        named_models("caduceus", "0.5m")
    assert all(set(sizes) == {"0.5m", "1.7m"} for sizes in SYSTEMS.values())


def test_quality_is_the_mean_over_tasks_and_its_spread_that_over_seeds():
    rows = [("a", 0, 0.5), ("a", 1, 0.7), ("b", 0, 0.1), ("b", 1, 0.5)]
    results = [{"task": t, "seed": seed, "metric": "mcc", "scores": {"mcc": s}} for t, seed, s in rows]
    quality = quality_of(results)
    assert quality.mean == pytest.approx(0.45)
    assert quality.sd == pytest.approx(0.3 / 2**0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": "mouse/2"}, "tasks need the suite that they are of"),
        ({"lengths_bp": [1024, 256]}, "lengths_bp must be ascending and at least 1"),
        ({"most_seconds": 0.0}, "most_seconds must be above 0, got 0"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        CompareSettings(tmp_path, **changes)
