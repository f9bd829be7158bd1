"""`convnova ablate`: a table of variants, nothing trained twice, own files as well as a suite."""

import csv
import io
import json
import math

import numpy as np
import pytest
from rich.console import Console
from tiny_suite import NETWORK, TRAINING, write_data
from tiny_task import write_csv

from convnova.analysis import trials as module
from convnova.analysis.ablation import CSV_NAME, TABLE_NAME, _published, _rows, _write, ablate, table_of
from convnova.analysis.ablation_settings import AblationSettings
from convnova.analysis.study_figures import differences_figure
from convnova.analysis.study_report import difference_shown
from convnova.analysis.study_tasks import StudyTask, study_tasks
from convnova.cli import main
from convnova.errors import InputError
from convnova.evaluation.statistics import Spread, compare_paired, interval_of_mean
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.presets import preset
from convnova.model.variants import variants
from convnova.training.task_settings import TaskNetworkSettings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def settings(folder, **changes):
    data = folder / "data"
    if not data.exists():
        data.mkdir()
        write_data(data)
    values = {"suite": "gue", "tasks": "mouse/2", "data": data, "seeds": 2, "studies": ["gate"]}
    values |= {"network": NETWORK, "training": TRAINING, "threads": 1}
    return AblationSettings(output=folder / "out", **values | changes)


def run(folder, **changes):
    screen = io.StringIO()
    return ablate(settings(folder, **changes), Console(file=screen, width=250)), screen.getvalue()


def test_variants_are_set_against_the_full_model_and_trained_once(tmp_path, monkeypatch):
    rows, text = run(tmp_path)
    assert [row.variant.name for row in rows] == [
        "full",
        "same-strand",
        "single-gate",
        "no-gate",
        "one-branch",
    ]
    assert rows[0].against_full is None
    scores = {
        name: {
            seed: json.loads((tmp_path / f"out/trials/mouse_2/{name}/seed{seed}/result.json").read_text())[
                "score"
            ]
            for seed in (0, 1)
        }
        for name in ("full", "no-gate")
    }
    found = next(row for row in rows if row.variant.name == "no-gate")
    assert found.scores.mean == pytest.approx(np.mean(list(scores["no-gate"].values())))
    assert found.against_full == compare_paired(scores["no-gate"], scores["full"])
    assert "single-gate" in text
    table = list(csv.DictReader((tmp_path / "out/ablation.csv").read_text().splitlines()))
    assert [row["variant"] for row in table] == [row.variant.name for row in rows]
    assert (tmp_path / "out/mouse_2.png").stat().st_size > 10_000
    assert "| gate | no-gate | two branches, added" in (tmp_path / "out/ablation.md").read_text()
    monkeypatch.setattr(module, "run_trial", lambda trial: pytest.fail("it is there already"))
    again, _ = run(tmp_path)
    assert list(map(repr, again)) == list(map(repr, rows))


def test_the_network_of_a_trial_is_that_of_its_variant(tmp_path):
    run(tmp_path, studies=["context"], seeds=1, tasks="tf/3")
    full = json.loads((tmp_path / "out/trials/tf_3/full/seed0/result.json").read_text())
    unet = json.loads((tmp_path / "out/trials/tf_3/downsampling/seed0/result.json").read_text())
    assert unet["job"]["network"]["downsampling"] == [1, 1]
    assert full["job"]["network"]["downsampling"] is None
    assert unet["job"]["network"]["kernel_size"] == full["job"]["network"]["kernel_size"] == 3


def test_own_sequences_in_place_of_a_suite(tmp_path):
    train, test = write_csv(tmp_path / "mine.csv", 64, 0), write_csv(tmp_path / "test.csv", 32, 1)
    rows, text = run(
        tmp_path,
        suite=None,
        tasks=None,
        data=None,
        train=str(train),
        test=str(test),
        studies=["ffn"],
        seeds=1,
    )
    assert "hidden_size 8 is too small to match parameters within 5 %: ffn differs by +9%\n" in text
    assert [(row.task, row.metric, row.variant.name) for row in rows] == [
        ("mine", "mcc", "full"),
        ("mine", "mcc", "ffn"),
    ]
    assert math.isnan(rows[1].against_full.interval[0])
    result = json.loads((tmp_path / "out/trials/mine/ffn/seed0/result.json").read_text())
    assert result["sequences"] == {"train": 58, "test": 32}


def test_without_a_test_set_a_tenth_is_held_out_and_the_same_for_all_seeds(tmp_path):
    train = write_csv(tmp_path / "mine.csv", 100, 0)
    given = settings(tmp_path, suite=None, tasks=None, data=None, train=str(train))
    (task,) = study_tasks(given)
    first, second = task.load(0), task.load(1)
    assert len(first.test) == 10
    assert np.array_equal(first.test.ids.codes, second.test.ids.codes)
    assert not np.array_equal(first.validation.ids.codes, second.validation.ids.codes)


def test_other_settings_in_the_same_folder_are_refused(tmp_path, capsys):
    run(tmp_path, studies=["ffn"], seeds=1)
    arguments = [
        "--output",
        str(tmp_path / "out"),
        "--suite",
        "gue",
        "--tasks",
        "mouse/2",
        "--studies",
        "ffn",
    ]
    assert main(["ablate", *arguments, "--data", str(tmp_path / "data"), "--seeds", "1"]) == 2
    assert "this result was made with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either suite, or train with sequences of your own"),
        (["--suite", "gue", "--train", "a.csv"], "give either suite, or train"),
        (["--suite", "gue", "--test", "a.csv"], "test is for train, which is not given"),
        (["--train", "a.csv", "--tasks", "H3"], "tasks is for suite, which is not given"),
        (["--suite", "gue", "--studies", "gates"], "there is no study 'gates'; choose of gate, context"),
        (["--suite", "gue", "--model", "preset:hyenadna-0.5m"], "only ConvNova has these variants"),
        (["--suite", "gue", "--model", "runs/x"], "must be preset:NAME, or scratch:FOLDER"),
        (["--suite", "gue", "--seeds", "0"], "seeds must be at least 1"),
        (["--suite", "gue", "--studies", "[]"], "studies names none; give one, such as gate"),
        (["--suite", "gue", "--training.seed", "3"], "training.seed is 3, but it is set by seeds"),
        (["--suite", "gues"], "there is no suite 'gues'"),
        (["--suite", "gue", "--network.receptive_field", "sequence"], "is set by the study; leave it out"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["ablate", "--output", str(tmp_path / "out"), "--data", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_equal_differences_say_nothing_of_their_spread():
    found = compare_paired({0: 0.6, 1: 0.7}, {0: 0.5, 1: 0.6})
    assert all(map(math.isnan, found.interval))
    assert difference_shown(found) == ["+10.0", "", ""]


def test_the_interval_of_a_mean_is_students():
    low, high = interval_of_mean(Spread(1.0, 0.5, 4))
    assert (low, high) == pytest.approx((1 - 3.182446 * 0.25, 1 + 3.182446 * 0.25), rel=1e-6)
    assert math.isnan(interval_of_mean(Spread(1.0, math.nan, 1))[0])


def task_called(name, published):
    return StudyTask(name, "mcc", False, published, lambda seed: None, {})


def made_up_rows(studies, seeds):
    rng = np.random.default_rng(0)
    full, task = preset("nt-0.5m"), task_called("H3", None)
    facts = {"parameters": 1, "hidden_size": 64, "receptive_field_bp": 193}
    return [
        row
        for study in studies
        for found in [variants(study, full)]
        for results in [
            [
                facts | {"name": one.name, "seed": seed, "score": 0.6 + 0.02 * len(one.name) + noise}
                for one in found
                for seed, noise in enumerate(rng.normal(0, 0.05, seeds))
            ]
        ]
        for row in _rows(task, study, found, results)
    ]


@pytest.mark.parametrize(("seeds", "column"), [(3, "p_t"), (5, "p_t"), (6, "p_signs"), (8, "p_signs")])
def test_p_is_of_the_signs_from_six_seeds_on_and_both_are_written(tmp_path, seeds, column):
    rows = made_up_rows(["gate"], seeds)
    _write(AblationSettings(output=tmp_path, suite="gue", seeds=seeds, studies=["gate"]), rows)
    written = list(csv.DictReader((tmp_path / CSV_NAME).read_text().splitlines()))
    shown = [dict(zip(table_of(rows)[0], line, strict=True)) for line in table_of(rows)[1]]
    assert shown[0]["p"] == written[0]["p_t"] == written[0]["p_signs"] == ""
    for row, line, numbers in zip(rows[1:], shown[1:], written[1:], strict=True):
        assert line["p"] == f"{float(numbers[column]):.3f}"
        assert float(numbers["p_signs"]) == row.against_full.p_signs != float(numbers["p_t"])


@pytest.mark.parametrize(("studies", "is_told"), [(["gate", "ffn"], True), (["context", "ffn"], False)])
def test_same_strand_is_told_of_where_it_is(tmp_path, studies, is_told):
    _write(AblationSettings(output=tmp_path, suite="gue", studies=studies), made_up_rows(studies, 2))
    text = (tmp_path / TABLE_NAME).read_text()
    assert ("same-strand is the full model" in text) is is_told
    assert "Parameters are the backbone's" in text


def test_studies_are_told_apart_in_the_figure_by_a_legend(monkeypatch):
    from matplotlib.figure import Figure

    legends = []
    monkeypatch.setattr(Figure, "legend", lambda figure, **_: legends.append(figure.axes[0]))
    differences_figure(made_up_rows(["gate"], 3))
    assert legends == []
    differences_figure(made_up_rows(["gate", "kernel"], 3))
    assert [axes.get_legend_handles_labels()[1] for axes in legends] == [["gate", "kernel"]]


def test_published_values_stand_beside_the_variants_that_have_one():
    task = task_called("H3", ("NT benchmark (original, 18 tasks)", "H3"))
    found = {one.name: _published(task, "gate", one.name) for one in variants("gate", preset("nt-0.5m"))}
    values = {name: None if row is None else row.value for name, row in found.items()}
    known = {"full": 0.815, "single-gate": 0.8095, "no-gate": 0.7896}
    assert values == pytest.approx({"same-strand": None, "one-branch": None} | known)
    other = task_called("H3K4me1", (*task.published[:1], "H3K4me1"))
    assert _published(other, "context", "downsampling").value == pytest.approx(0.3488)
    assert _published(other, "gate", "full").value == pytest.approx(0.566)  # of the main table
    assert _published(other, "gate", "no-gate") is None


def test_own_sequences_have_no_published_values_whatever_their_name():
    assert _published(task_called("H3", None), "gate", "full") is None


def test_an_architecture_of_a_folder_is_taken_apart_and_its_change_is_seen(tmp_path):
    ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2)).save_pretrained(tmp_path / "model")
    given = {"model": f"scratch:{tmp_path / 'model'}", "studies": ["ffn"], "seeds": 1}
    rows, _ = run(tmp_path, network=TaskNetworkSettings(), **given)
    assert rows[0].channels == 8
    ConvNovaConfig(hidden_size=12, kernel_size=3, dilations=(1, 2)).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="this result was made with source scratch:sha256:"):
        run(tmp_path, network=TaskNetworkSettings(), **given)
