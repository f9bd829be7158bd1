import csv
import math
from pathlib import Path

import pytest

from convnova.data.catalogue import catalogue, suite_tasks
from convnova.errors import InputError
from convnova.evaluation import published
from convnova.evaluation.published import COLUMNS, frozen_names, published_for, read_published
from convnova.evaluation.scores import METRIC_NAMES

GOOD = {
    "suite": "GUE",
    "task": "tf_3",
    "metric": "MCC x100",
    "model": "DNABERT-2",
    "parameters": "117M",
    "value": "58.54",
    "spread": "",
    "protocol": "full fine-tuning",
    "source": "arXiv 2306.15006",
    "note": "",
}


def write(tmp_path, *rows, columns=COLUMNS):
    path = tmp_path / "numbers.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_every_row_of_the_package_has_source_and_readable_value():
    rows = read_published()
    text = Path(published.__file__).with_name("published.csv").read_text(encoding="utf-8")
    assert len(rows) == sum(1 for _ in csv.reader(text.splitlines())) - 1
    assert all(row.source and math.isfinite(row.value) for row in rows)
    assert {row.metric for row in rows} - {None} <= set(METRIC_NAMES)


@pytest.mark.parametrize(
    ("suite", "task", "model", "expected"),
    [
        ("GUE", "tf_3", "DNABERT-2", [0.5854]),
        ("GUE", "prom_core_tata", "NT-2500M-multi", [0.7297]),
        (
            "GUE",
            "splice_reconstructed",
            "NT-2500M-multi",
            [0.8935, 0.8936],
        ),  # sources differ: it stands twice
    ],
)
def test_numbers_come_as_fractions(suite, task, model, expected):
    rows = [row for row in published_for(suite, task, "mcc") if row.model == model]
    assert sorted({row.value for row in rows}) == pytest.approx(expected)
    assert all(row.is_second_hand and row.protocol for row in rows)


def test_numbers_of_another_metric_are_not_compared():
    task = "NT benchmark (original, 18 tasks)", "promoter_all"
    assert {row.metric for row in published_for(*task, "f1")} == {"f1"}
    assert {row.metric for row in read_published() if (row.suite, row.task) == task} > {"f1", "mcc"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"metric": "MCC"} | {"value": ".912", "spread": "+-.003"}, ("mcc", 0.912, 0.003)),
        ({"metric": "accuracy %", "spread": "+-0.5"}, ("accuracy", 0.5854, 0.005)),
        ({"metric": "AUC"} | {"value": "0.9"}, ("auroc", 0.9, None)),
        ({"metric": "sensitivity %"}, (None, 0.5854, None)),
        ({"metric": "count"}, (None, 58.54, None)),
    ],
)
def test_scale_and_metric_follow_the_words_of_the_source(tmp_path, change, expected):
    (row,) = read_published(write(tmp_path, GOOD | change))
    assert (row.metric, row.value, row.spread) == pytest.approx(expected)
    assert row.printed_metric == change["metric"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("117M", 117_000_000),
        ("1.980M", 1_980_000),
        ("470K", 470_000),
        ("123", 123),
        ("", None),
        ("8x7B", None),
    ],
)
def test_parameters_are_read(tmp_path, text, expected):
    assert read_published(write(tmp_path, GOOD | {"parameters": text}))[0].parameters == expected


BAD = [
    ({"source": " "}, r"no source; say where the number is from"),
    ({"model": ""}, r"no model; fill it in, or remove the row"),
    ({"value": ""}, r"value '' is no number; write digits"),
    ({"value": "58,54"}, r"value '58,54' is no number"),
    ({"value": "nan"}, r"value 'nan' is no number"),
    ({"spread": "+-x"}, r"spread 'x' is no number"),
    ({"parameters": "big"}, r"parameters 'big' cannot be read; write 117M"),
    ({"metric": "MCC"}, r"value 58\.54 is no MCC; say in metric if it is times 100"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_rows_are_refused_by_line(tmp_path, change, message):
    path = write(tmp_path, GOOD, GOOD | change, GOOD)
    with pytest.raises(InputError, match=rf"numbers\.csv, line 3: {message}") as caught:
        read_published(path)
    assert "\n" not in str(caught.value)


def test_bad_files_are_refused(tmp_path):
    path = write(tmp_path, GOOD, columns=[column for column in COLUMNS if column != "source"])
    with pytest.raises(InputError, match=r"numbers\.csv, line 1: no column source; write suite, task"):
        read_published(path)
    with pytest.raises(InputError, match=r"nowhere\.csv: cannot be read"):
        read_published(tmp_path / "nowhere.csv")
    short = tmp_path / "short.csv"
    short.write_text(",".join(COLUMNS) + "\nGUE,tf_3\n")
    with pytest.raises(InputError, match=r"short\.csv, line 2: not 10 columns"):
        read_published(short)


def test_every_name_that_the_catalogue_maps_to_is_in_the_table():
    known = {(row.suite, row.task) for row in read_published()}
    for suite in catalogue():
        for task in suite_tasks(suite.suite):
            if task.published_suite:
                assert (task.published_suite, task.published_task) in known
                assert published_for(task.published_suite, task.published_task, task.metric), str(task)
    tasks = {(suite.suite, task.name) for suite in catalogue() for task in suite_tasks(suite.suite)}
    assert set(frozen_names()) <= tasks
    assert {name for names in frozen_names().values() for name in names} <= known
