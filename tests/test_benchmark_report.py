import csv
import io
import json

import pytest
from rich.console import Console

from convnova.benchmark import report as report_module
from convnova.benchmark.formats import CSV_COLUMNS, print_report
from convnova.benchmark.overview import overview
from convnova.benchmark.report import write_report
from convnova.benchmark.results import read_results
from convnova.benchmark.sheets import parameters_text, sheets
from convnova.benchmark.table import published_numbers, results_table
from convnova.errors import InputError
from convnova.evaluation.published import COLUMNS, read_published

ELEVEN = (
    *("mouse/0", "mouse/2", "mouse/4", "prom/prom_300_tata"),
    *("prom/prom_core_all", "prom/prom_core_notata", "prom/prom_core_tata"),
    *("tf/0", "tf/1", "tf/2", "tf/3"),
)


def record(task, model="small", seed=0, score=0.7, **changes):
    made = {"suite": "gue", "task": task, "model": model, "seed": seed, "protocol": "gue", "metric": "mcc"}
    made |= {"scores": {"mcc": score}, "parameters": 426562, "training_seconds": 90.0}
    made |= {"protocol_sentence": "read once", "notes": ["as published"]}
    made |= {"switches": "trained on the strand given" if "prom" in task else "trained on both strands"}
    made |= {"interval": {"low": score - 0.04, "high": score + 0.04, "coverage": 0.95}}
    return made | changes


def write(folder, *records):
    for made in records:
        name = "_".join(str(made.get(key)) for key in ("suite", "task", "model", "protocol", "seed")).replace(
            "/", "_"
        )
        path = folder / "jobs" / name / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(made))
    return folder


def grid(*models):
    return [
        record(task, model, seed, 0.7 + gain + 0.01 * seed)
        for model, gain in models
        for task in ELEVEN
        for seed in range(3)
    ]


def table_of(tmp_path, *records, **given):
    return results_table(read_results(write(tmp_path, *records)), **given)


def test_cells_are_mean_and_sample_sd_over_seeds(tmp_path):
    table = table_of(tmp_path, *grid(("small", 0.0)))
    cell = table.rows[0].cells["small"]
    assert (cell.value, cell.sd) == pytest.approx((0.71, 0.01))
    assert (cell.interval.low, cell.interval.high) == pytest.approx((0.67, 0.75))
    assert table.gaps == ()
    assert [row.task for row in table.rows] == [  # in the order of the catalogue
        *("mouse/0", "mouse/2", "mouse/4", "prom/prom_300_tata", "prom/prom_core_all"),
        *("prom/prom_core_notata", "prom/prom_core_tata", "tf/0", "tf/1", "tf/2", "tf/3"),
    ]
    assert "virus/covid" in table.missing


def test_the_published_means_over_the_eleven_tasks_are_those_known(tmp_path):
    found = overview(table_of(tmp_path, *grid(("small", 0.0))))
    means = {standing.column.name: round(100 * standing.mean, 1) for standing in found.standings}
    assert means == {"small": 71.0, "DNABERT-2 [1]": 67.7, "NT-2500M-multi [2]": 65.8}
    assert round(100 * found.best_published, 1) == 69.5  # of the table's rows; DNABERT 3-mer lacks four tasks
    assert {one.column.name: one.tasks for one in found.partial}["DNABERT 3-mer [1]"] == 7


def test_averages_are_over_the_tasks_that_all_of_our_models_have(tmp_path):
    records = [r for r in grid(("small", 0), ("large", 0.1)) if (r["model"], r["task"]) != ("large", "tf/3")]
    found = overview(table_of(tmp_path, *records))
    assert len(found.rows) == 10
    assert "tf/3 mcc" not in found.ranks
    assert found.standings[0].column.name == "large"


def test_missing_seeds_are_shown(tmp_path):
    records = grid(("small", 0.0))
    table = table_of(tmp_path, *records[:-1], seeds=5)
    assert len(table.gaps) == 11
    assert "tf/3, small: 2 of 5 seeds" in table.gaps
    console = Console(file=io.StringIO(), width=140)
    print_report(console, sheets(table, overview(table)), table)
    assert "70.5 ± 0.7 (2 of 5 seeds)" in console.file.getvalue()


def test_two_models_are_compared_over_seeds_and_tasks(tmp_path):
    found = overview(table_of(tmp_path, *grid(("large", 0.1), ("small", 0.0))))
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.wins) == ("large", "small", 11)
    assert pair.over_tasks.difference == pytest.approx(0.1)
    assert pair.over_tasks.p_signs == 2 / 2**11
    assert pair.by_row["tf/0 mcc"].pairs == 3


def test_another_score_or_protocol_is_another_row_or_column(tmp_path):
    frozen = record("tf/0", protocol="frozen", metric="auroc", scores={"auroc": 0.9})
    table = table_of(tmp_path, record("tf/0"), frozen)
    assert [row.key for row in table.rows] == ["tf/0 auroc", "tf/0 mcc"]
    assert {column.name for column in table.ours} == {"small (gue)", "small (frozen)"}
    assert {c.protocol[:6] for c in table.published if c.name in table.rows[0].cells} == {"frozen"}


def test_an_interval_of_another_score_is_not_shown(tmp_path):
    interval = {"low": 0.1, "high": 0.2, "metric": "auroc"}
    table = table_of(tmp_path, record("tf/0", interval=interval))
    assert table.rows[0].cells["small"].interval is None


def test_numbers_of_other_data_are_shown_but_neither_ranked_nor_best(tmp_path):
    table = table_of(tmp_path, record("enhancers", suite="nt"))
    (row,) = table.rows
    other = {name for name, cell in row.cells.items() if not cell.is_comparable}
    assert {name.split(" [")[0] for name in other} == {"DNABERT", "MergeDNA", "MxDNA"}
    assert not other & overview(table).ranks[row.key].keys()
    (everything,) = [sheet for sheet in sheets(table, overview(table)) if sheet.title == "Every score"]
    assert "*" in "".join(cell for line in everything.rows for cell in line)


def test_a_suite_of_the_users_own_has_no_published_numbers(tmp_path):
    table = table_of(tmp_path, record("mine", suite="lab", metric="mse", scores={"mse": 3.0}))
    assert published_numbers("lab", "mine", "mse") == []
    assert table.published == ()
    assert sheets(table, overview(table))[0].rows[0][1] == "3.000"


def test_two_values_of_one_source_stand_twice(tmp_path):
    path = tmp_path / "numbers.csv"
    line = "s,t,MCC x100,Model,1M,{},,fine-tuned,a paper,"
    path.write_text("\n".join([",".join(COLUMNS), line.format(50), line.format(60)]))
    table = table_of(tmp_path, record("tf/0"), numbers=lambda *_: read_published(path))
    assert {name: cell.value for name, cell in table.rows[0].cells.items() if name != "small"} == {
        "Model [1]": 0.5,
        "Model (2) [1]": 0.6,
    }


def test_files_are_written_and_say_the_same(tmp_path):
    made = write_report(write(tmp_path, *grid(("small", 0.0), ("large|x", 0.02))), tmp_path / "out")
    html, text = made.html.read_text(), made.markdown.read_text()
    assert "tf/0, tf/1, tf/2, tf/3: small: trained on both strands.\n" in text
    assert html.count("data:image/png;base64,") == 3
    assert "http" not in html.split("<main>")[0]
    for words in ("71.0 ± 1.0", "DNABERT-2 [1]", "full fine-tuning (DNABERT-2 paper)", "second-hand"):
        assert words in html
        assert words in text
    assert "large\\|x" in text
    rows = list(csv.DictReader(made.csv.read_text().splitlines()))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert sum(row["model"] == "small" and row["seed"] != "mean" for row in rows) == 33
    assert all(row["source"] for row in rows if row["ours"] == "False")


def test_without_matplotlib_the_tables_are_there_and_the_hint_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module.importlib.util, "find_spec", lambda name: None)
    made = write_report(write(tmp_path, record("tf/0")))
    assert made.html is None
    assert made.hint.endswith("install with: pip install 'convnova[report]'")
    assert made.markdown.exists()
    assert made.csv.exists()


BAD = [
    ("{", r"cannot be read \(.*\); remove it and run the job again"),
    ("[]", r"is no result of a job"),
    (json.dumps(record("tf/0", scores={})), r"no 'mcc' in it; remove it"),
    (json.dumps({k: v for k, v in record("tf/0").items() if k != "seed"}), r"no 'seed' in it"),
    (json.dumps(record("tf/0", score=float("nan"))), r"its mcc is no number"),
    (json.dumps(record("tf/0", seed="first")), r"is no result of a job"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_results_are_refused_by_file(tmp_path, text, message):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match=rf"result\.json: {message}"):
        read_results(tmp_path)


def test_folders_that_cannot_be_reported_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no result\.json below it; run convnova benchmark first"):
        read_results(tmp_path)
    write(tmp_path, record("tf/0"), record("H3", suite="nt"))
    with pytest.raises(InputError, match=r"results of several suites, gue, nt; say which"):
        read_results(tmp_path)
    with pytest.raises(
        InputError, match=r"no result\.json of splice below it \(there are results of gue, nt\)"
    ):
        read_results(tmp_path, "splice")
    assert len(read_results(tmp_path, "gue")) == 1
    write(tmp_path / "again", record("tf/0"))
    with pytest.raises(InputError, match=r"the same task, model and seed as .*; remove one, or name"):
        read_results(tmp_path, "gue")


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (426562, "427K"), (1713666, "1.71M"), (2.5e9, "2.5B"), (12, "12")]
)
def test_parameters_are_written_as_people_do(number, text):
    assert parameters_text(number) == text
