import gzip
import re
from pathlib import Path, PurePosixPath

import pytest

from convnova.data.catalogue import catalogue, default_folder, find_task, locate, suite_tasks
from convnova.data.catalogue.tables import SPLITS, references
from convnova.errors import InputError

SUITES = [row.suite for row in catalogue()]
TASKS = [task for suite in SUITES for task in suite_tasks(suite)]
FILES = [file for task in TASKS for file in task.files]

NUMBER_OF_TASKS = {
    "nt": 18,
    "nt-revised": 18,
    "genomic-benchmarks": 9,
    "gue": 28,
    "yeast-histone": 8,
    "splice": 3,
    "enhancers": 2,
    "promoters": 4,
}


def test_every_suite_has_its_tasks():
    assert {suite: len(suite_tasks(suite)) for suite in SUITES} == NUMBER_OF_TASKS


def test_every_suite_says_what_to_cite_and_its_licence():
    assert all(
        row.title and row.url.startswith("http") and row.licence and row.citation for row in catalogue()
    )


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_task_is_complete_in_the_tables(task):
    assert task.metric in {"mcc", "f1", "accuracy"}
    assert len(task.classes) == len(set(task.classes)) >= 2
    assert task.splits in {("train", "test"), SPLITS, ("all",)}
    assert bool(task.published_suite) == bool(task.published_task)
    for file in task.files:
        assert file.form in {"sequences", "intervals"}
        assert file.format in {"csv", "parquet", "fasta", "fasta-label", "uci", "intervals"}
        assert file.class_name in {"", *task.classes}
        assert set(file.class_counts) <= set(task.classes)
        assert (file.form == "intervals") == bool(file.genome)
        assert not file.genome or file.genome in references()
    for split in task.splits:
        classes = [file.class_name for file in task.files_of(split)]
        assert classes == [""] * len(classes) or tuple(classes) == task.classes


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.suite}-{file.local}")
def test_a_file_is_complete_in_the_tables(file):
    for path in (file.local, *file.also):
        assert not PurePosixPath(path).is_absolute()
        assert ".." not in path
    for source in file.sources:
        assert re.fullmatch(r"https?://\S+|hub:[\w.-]+/[\w.-]+@[\w/]+/\S+", source)
    assert re.fullmatch(r"[0-9a-f]{64}|", file.sha256)
    assert not file.sequences or file.sequences == sum(file.class_counts.values())


def test_the_two_versions_of_the_nt_benchmark_share_no_file():
    original, revised = (
        {path for task in suite_tasks(suite) for file in task.files for path in (file.local, *file.also)}
        for suite in ("nt", "nt-revised")
    )
    assert not original & revised


@pytest.mark.parametrize(
    ("suite", "task", "message"),
    [
        ("geu", "tf/3", r"there is no suite 'geu'; there are nt, nt-revised, .*; did you mean 'gue'\?"),
        ("gue", "tf/9", r"suite gue has no task 'tf/9'; it has EMP/H3, .*; did you mean 'tf/"),
        ("gue", "???", r"suite gue has no task '\?\?\?'; it has .*virus/covid$"),
    ],
)
def test_unknown_names_are_refused(suite, task, message):
    with pytest.raises(InputError, match=message):
        find_task(suite, task)


def fill(folder, *paths):
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(b"x") if target.suffix == ".gz" else b"x")
    return folder


LAYOUTS = [
    ("data", "gue/tf/3/{}.csv"),
    ("data", "gue/tf/3/{}.csv.gz"),
    ("data", "GUE/tf/3/{}.csv"),
    ("data", "GUE/human_tf_3/{}.csv"),
    ("GUE", "tf/3/{}.csv"),
    ("gue", "tf/3/{}.csv.gz"),
]


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_each_layout_of_a_data_folder_is_understood(tmp_path, name, layout):
    names = [layout.format(split) for split in ("train", "dev", "test")]
    folder = fill(tmp_path / name, *names)
    files = locate(find_task("gue", "tf/3"), folder)
    assert [split.paths for split in (files.train, files.validation, files.test)] == [
        (folder / path,) for path in names
    ]
    assert files.is_split


def test_files_of_one_class_come_with_their_class(tmp_path):
    fill(tmp_path, "promoters/Ecoli_prom.fa", "promoters/Ecoli_non_prom.fa.gz")
    files = locate(find_task("promoters", "ecoli"), tmp_path)
    assert files.train.classes == ("negative", "positive")
    assert [path.name for path in files.train.paths] == ["Ecoli_non_prom.fa.gz", "Ecoli_prom.fa"]
    assert not files.is_split


def test_yeast_histone_trains_on_two_files_and_has_the_nt_test(tmp_path):
    fill(tmp_path, "gue/EMP/H4/dev.csv", "gue/EMP/H4/test.csv", "nt_yeast_histone_test/H4/test.fna.gz")
    files = locate(find_task("yeast-histone", "H4"), tmp_path)
    assert [path.name for path in files.train.paths] == ["dev.csv", "test.csv"]
    assert files.validation is None
    assert files.test.paths == (tmp_path / "nt_yeast_histone_test/H4/test.fna.gz",)


def test_the_original_nt_files_never_serve_the_revised_suite(tmp_path):
    root = tmp_path / "nucleotide_transformer_downstream_tasks"
    fill(root, "H3K4me3/train.parquet", "H3K4me3/test.parquet")
    assert locate(find_task("nt", "H3K4me3"), root).train.paths == (root / "H3K4me3/train.parquet",)
    with pytest.raises(InputError, match="nt-revised H3K4me3: not in"):
        locate(find_task("nt-revised", "H3K4me3"), root)


MISSING = [
    ("gue", "tf/3", [], r"gue tf/3: not in .*: gue/tf/3/train\.csv, gue/tf/3/dev\.csv, gue/tf/3/test\.csv; "),
    (
        "gue",
        "tf/3",
        ["gue/tf/3/train.csv", "gue/tf/3/dev.csv"],
        r"gue tf/3: not in .*: gue/tf/3/test\.csv; fetch",
    ),
    (
        "gue",
        "tf/3",
        [],
        r"fetch with: convnova data fetch --suite gue --tasks tf/3 --data .*; or put the files",
    ),
    (
        "enhancers",
        "layer2",
        [],
        r"put the files there, plain or gzip \(no stable place to fetch them is known\)",
    ),
]


@pytest.mark.parametrize(("suite", "task", "present", "message"), MISSING)
def test_missing_files_are_named_and_how_to_get_them(tmp_path, suite, task, present, message):
    with pytest.raises(InputError, match=message) as caught:
        locate(find_task(suite, task), fill(tmp_path, *present))
    assert "\n" not in str(caught.value)


def test_intervals_alone_lead_to_prepare(tmp_path):
    name = "human_enhancers_cohn"
    intervals = [file.local for file in find_task("genomic-benchmarks", name).files if file.genome]
    with pytest.raises(InputError, match=r"intervals are there: .* data prepare --suite genomic-benchmarks"):
        locate(find_task("genomic-benchmarks", name), fill(tmp_path, *intervals))


def test_a_data_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere: no such folder; give the folder .* --data, or set CONVNOVA"
    ):
        locate(TASKS[0], tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"file: is no folder"):
        locate(TASKS[0], fill(tmp_path, "file") / "file")


def test_the_default_folder_is_the_environment_s_or_the_user_s_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVNOVA_DATA", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("CONVNOVA_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/convnova/data")
