import importlib.util
import json

import pytest

from convnova.evaluation.masked_lm import Summary
from convnova.training.figures import write_learning_curve
from convnova.training.metrics import append_row

COLUMNS = ["eval_loss", "eval_bits_per_base"]
TRAIN = [{"step": step, "epoch": step / 10, "loss": 1.39 - step / 1000} for step in (2, 4, 6)]
VALIDATION = [
    {"step": step, "epoch": step / 10, "eval_loss": 1.35, "eval_bits_per_base": 1.95} for step in (5, 10)
]
SCORES = {
    "validation": [
        Summary(name, 1.35, bits, 3.86, 0.3, bits, 100)._asdict()
        for name, bits in (("uniform guess", 2.0), ("Markov, left flank, order 9", 1.93), ("ConvNova", 1.9))
    ]
}


@pytest.mark.parametrize(
    ("rows", "scores"),
    [(TRAIN + VALIDATION, SCORES), (TRAIN, {}), (VALIDATION, SCORES), (TRAIN + VALIDATION, None)],
    ids=["all", "no validation", "no training row", "not scored yet"],
)
def test_a_run_gets_its_learning_curve(tmp_path, rows, scores):
    matplotlib = pytest.importorskip("matplotlib")
    for row in rows:
        append_row(tmp_path / "metrics.csv", row, COLUMNS)
    if scores is not None:
        (tmp_path / "scores.json").write_text(json.dumps(scores))
    before = dict(matplotlib.rcParams)
    path = write_learning_curve(tmp_path)
    assert path == tmp_path / "learning_curve.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


def test_the_lines_are_labelled(tmp_path, monkeypatch):
    axes = pytest.importorskip("matplotlib.axes").Axes
    said = []
    monkeypatch.setattr(axes, "annotate", lambda self, text, *args, **kwargs: said.append(text))
    legend = axes.legend
    monkeypatch.setattr(
        axes, "legend", lambda self, **kw: said.extend(self.get_legend_handles_labels()[1]) or legend(self)
    )
    for row in TRAIN + VALIDATION:
        append_row(tmp_path / "metrics.csv", row, COLUMNS)
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    write_learning_curve(tmp_path)
    assert said == [
        "Markov, left flank, order 9: 1.930",
        *("training", "validation", "validation, at the end: 1.900"),
    ]


def test_without_matplotlib_or_log_there_is_no_curve(tmp_path, monkeypatch):
    assert write_learning_curve(tmp_path) is None
    append_row(tmp_path / "metrics.csv", TRAIN[0], COLUMNS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert write_learning_curve(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
