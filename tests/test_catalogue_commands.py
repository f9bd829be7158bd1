import os
import shutil
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from serving import serve, unused_port

from convnova.data.catalogue import commands, find_task
from convnova.data.catalogue.checking import check_task
from convnova.data.catalogue.checksums import content_sha256
from convnova.data.catalogue.commands import check, fetch, list_data, prepare
from convnova.data.catalogue.describe import count_test_in_training, describe
from convnova.data.catalogue.folder import locate
from convnova.data.catalogue.loading import load_published, published_notes
from convnova.data.catalogue.settings import CheckSettings, FetchSettings, ListSettings, PrepareSettings
from convnova.errors import InputError
from convnova.sequence import decode, encode, reverse_complement

BASES = np.array(list("ACGT"))


def draw(seed, number, length=40):
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in BASES[rng.integers(4, size=(number, length))]]


def write_csv(path, sequences):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{sequence},{index % 2}" for index, sequence in enumerate(sequences))
    path.write_text("\n".join(["sequence,label", *rows]) + "\n")


def write_fasta(path, sequences, suffix=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f">s{i}{suffix and suffix % (i % 2)}\n{s}\n" for i, s in enumerate(sequences)))


def opposite(sequence):
    return decode(reverse_complement(encode(sequence)))


def letters(part):
    return [decode(ids) for ids in part.ids]


@pytest.fixture
def gue(tmp_path):
    parts = {"train": draw(0, 60), "dev": draw(1, 20), "test": draw(2, 20)}
    parts["test"][3] = opposite(parts["train"][5])
    for name, sequences in parts.items():
        write_csv(tmp_path / f"gue/tf/3/{name}.csv", sequences)
    return tmp_path


@pytest.fixture
def yeast(tmp_path):
    dev, test, held_out = draw(0, 40), draw(1, 40), draw(2, 30)
    held_out[:3] = [dev[0], opposite(dev[1]), opposite(test[2])]
    write_csv(tmp_path / "gue/EMP/H4/dev.csv", dev)
    write_csv(tmp_path / "gue/EMP/H4/test.csv", test)
    write_fasta(tmp_path / "nt_yeast_histone_test/H4/test.fna", held_out, "|%d")
    return tmp_path


@pytest.fixture
def promoters(tmp_path):
    write_fasta(tmp_path / "promoters/Ecoli_prom.fa", draw(0, 100))
    write_fasta(tmp_path / "promoters/Ecoli_non_prom.fa", draw(1, 300))
    return tmp_path


def test_a_published_split_is_followed_and_its_leakage_stated(gue):
    loaded = load_published(find_task("gue", "tf/3"), gue)
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [60, 20, 20]
    assert loaded.report.shared["train and test"] == 1


def test_test_sequences_are_removed_from_yeast_training_on_either_strand(yeast):
    loaded = load_published(find_task("yeast-histone", "H4"), yeast, seed=1)
    assert len(loaded.test) == 30
    assert len(loaded.train) + len(loaded.validation) == 80 - 3
    seen = set(letters(loaded.train)) | set(letters(loaded.validation))
    assert not seen & {way for one in letters(loaded.test) for way in (one, opposite(one))}
    assert any("a fifth of the published training set" in note for note in loaded.notes)


def test_without_a_published_split_the_seed_draws_80_10_10(promoters):
    task = find_task("promoters", "ecoli")
    loaded, again, other = (load_published(task, promoters, seed=seed) for seed in (0, 0, 1))
    parts = (loaded.train, loaded.validation, loaded.test)
    assert [len(part) for part in parts] == [320, 40, 40]
    assert loaded.scheme.names == ("negative", "positive")
    assert letters(loaded.validation) == letters(again.validation) != letters(other.validation)
    assert letters(loaded.test) == letters(other.test)
    assert any("random 80/10/10 by seed" in note for note in loaded.notes)


def test_uci_s_columns_without_names_are_known(tmp_path):
    lines = [
        f"{label},   GENE-{i},   {one}"
        for label, seed in (("EI", 0), ("IE", 1), ("N", 2))
        for i, one in enumerate(draw(seed, 30))
    ]
    (tmp_path / "splice/uci").mkdir(parents=True)
    (tmp_path / "splice/uci/splice.data").write_text("\n".join(lines) + "\n")
    loaded = load_published(find_task("splice", "uci"), tmp_path)
    assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == 90
    assert loaded.scheme.names == ("EI", "IE", "N")


def test_leakage_as_published_is_a_note_of_every_result(gue):
    files_ = locate(find_task("gue", "tf/3"), gue)
    for count, said in ((0, ()), (1, ("1 test sequence is in",)), (7, ("7 test sequences are in",))):
        notes = published_notes(replace(files_, task=replace(files_.task, test_in_training=count)))
        assert len(notes) == len(said)
        assert all(note.startswith(words) for note, words in zip(notes, said, strict=True))


def test_describe_fills_what_it_sees_and_leaves_the_rest(gue, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("files.csv", "tasks.csv"):
        shutil.copy(str(files("convnova.data.catalogue") / name), tables)
    before = pl.read_csv(tables / "files.csv", infer_schema=False)
    assert describe(gue, tables) == 3
    after = pl.read_csv(tables / "files.csv", infer_schema=False)
    changed = after.join(before, on=after.columns, how="anti", nulls_equal=True)
    assert changed["sequences"].to_list() == ["60", "20", "20"]
    assert changed["class_counts"][0] == "0:30 1:30"
    assert changed["length_min_bp"].to_list() == ["40"] * 3
    task = pl.read_csv(tables / "tasks.csv", infer_schema=False).filter(suite="gue", task="tf/3")
    assert task["test_in_training"].to_list() == ["1"]


def test_leakage_is_not_known_where_files_or_splits_are_missing(gue, promoters):
    assert count_test_in_training(find_task("gue", "tf/2"), gue) is None
    assert count_test_in_training(find_task("promoters", "ecoli"), promoters) is None


def test_list_shows_suites_tasks_and_what_is_there(gue, capsys):
    list_data(ListSettings(data=gue))
    assert "yeast-histone" in capsys.readouterr().out
    list_data(ListSettings("gue", gue))
    said = capsys.readouterr().out
    assert len([line for line in said.splitlines() if "│ yes" in line]) == 1
    assert "arXiv:2306.15006" in said
    list_data(ListSettings("genomic-benchmarks", gue))
    assert "genome GRCh38: http" in capsys.readouterr().out
    with pytest.raises(InputError, match="there is no suite 'GUE'"):
        list_data(ListSettings("GUE", gue))


def test_check_tells_wrong_files_from_missing_ones(gue, capsys):
    with pytest.raises(
        InputError, match=r"train\.csv: its content has sha256 .*; delete the file and fetch it"
    ):
        check(CheckSettings("gue", gue, "tf/3,tf/2"))
    said = capsys.readouterr().out
    assert "3 WRONG" in said
    assert "1 of 2 tasks have no file in" in said
    with pytest.raises(InputError, match=r"tasks are 'tf/3', but no suite is given"):
        check(CheckSettings(data=gue, tasks="tf/3"))


def test_check_reports_a_set_that_is_right(monkeypatch, gue, capsys):
    task = find_task("gue", "tf/3")
    free = tuple(replace(file, sha256="", class_counts={}) for file in task.files)
    monkeypatch.setattr(commands, "chosen_tasks", lambda *_: (replace(task, files=free),))
    check(CheckSettings("gue", gue))
    assert "train and test share 1 sequence (either strand)" in capsys.readouterr().out


def test_check_says_what_each_file_was_compared_with(gue, monkeypatch, capsys):
    task, found = find_task("gue", "tf/3"), {}
    for file in task.files:
        sha256, _ = content_sha256(gue / file.local)
        found[file.split] = replace(file, sha256=sha256, class_counts={"0": 10, "1": 10})
    free = (
        found["train"],
        replace(found["validation"], sha256=""),
        replace(found["test"], sha256="", class_counts={}),
    )
    task = replace(task, files=free)
    state = check_task(task, gue)
    assert (state.present, state.matching, state.counted, state.wrong) == (3, 1, 1, ())
    monkeypatch.setattr(commands, "chosen_tasks", lambda *_: (task,))
    check(CheckSettings("gue", gue))
    assert "1 by checksum, 1 by counts, 1 unknown" in capsys.readouterr().out


def test_sequences_of_one_part_are_checked_beside_the_intervals(benchmark):
    folder, _ = benchmark
    task = find_task("genomic-benchmarks", "human_ocr_ensembl")
    pl.DataFrame({"seq": ["ACGT", "GG"], "label": [0, 1]}).write_parquet(folder / OCR / "test.parquet")
    free = tuple(replace(file, sha256="", class_counts={}) for file in task.files)
    state = check_task(replace(task, files=free), folder)
    assert (state.present, state.expected) == (5, 5)
    assert state.findings[0].startswith("the sequences are not built from the intervals yet: convnova data")


def test_check_tells_what_is_missing(gue):
    (gue / "gue/tf/3/dev.csv").unlink()
    state = check_task(find_task("gue", "tf/3"), gue)
    assert (state.present, state.expected, state.findings) == (2, 3, ("missing: gue/tf/3/dev.csv",))


def test_prepare_writes_parquet_that_locate_finds(yeast, tmp_path, capsys):
    prepare(PrepareSettings("yeast-histone", yeast, tasks="H4"))
    assert "train.parquet: 77 sequences" in capsys.readouterr().out
    train = pl.read_parquet(yeast / "prepared/yeast-histone/H4/train.parquet")
    assert train.columns == ["sequence", "label"]
    shutil.move(yeast / "prepared", tmp_path / "alone/prepared")
    found = locate(find_task("yeast-histone", "H4"), tmp_path / "alone")
    assert [path.name for path in (*found.train.paths, *found.test.paths)] == [
        "train.parquet",
        "test.parquet",
    ]
    assert len(load_published(find_task("yeast-histone", "H4"), tmp_path / "alone").test) == 30


INTERVALS = ("2,chr2,{0},{1},+", "3,chr2,{1},{2},-")
OCR = "genomic-benchmarks/human_ocr_ensembl"


@pytest.fixture
def benchmark(tmp_path):
    chromosome = draw(3, 1, 4000)[0]
    (tmp_path / "hg38.fa").write_text(f">2\n{chromosome}\n")
    for i, (split, name) in enumerate((s, n) for s in ("train", "test") for n in ("negative", "positive")):
        (tmp_path / OCR / split).mkdir(parents=True, exist_ok=True)
        rows = [
            line.format(start, start + 30, start + 50) for start in range(i, 900, 37) for line in INTERVALS
        ]
        text = "\n".join(["id,region,start,end,strand", *rows]) + "\n"
        (tmp_path / OCR / split / f"{name}.csv").write_text(text)
    return tmp_path, chromosome


def test_genomic_benchmarks_are_built_and_then_load(benchmark, capsys):
    folder, chromosome = benchmark
    task = find_task("genomic-benchmarks", "human_ocr_ensembl")
    command = (
        "convnova data prepare --suite genomic-benchmarks --tasks human_ocr_ensembl "
        f"--data {folder} --genome GRCh38=FASTA"
    )
    with pytest.raises(InputError, match=f"intervals are there: .*{command}"):
        locate(task, folder)
    assert check_task(task, folder).findings == (
        f"the sequences are not built from the intervals yet: {command}",
    )
    genome = f"GRCh38={folder / 'hg38.fa'}"
    settings = PrepareSettings("genomic-benchmarks", folder, "human_ocr_ensembl", genome, folder / "cache")
    prepare(settings)
    assert "train.parquet: 100 sequences" in capsys.readouterr().out
    loaded = load_published(task, folder)
    assert loaded.scheme.names == ("negative", "positive")
    first = pl.read_parquet(folder / f"prepared/{OCR}/train.parquet").row(1, named=True)
    assert first == {"sequence": opposite(chromosome[30:50]), "label": "negative", "name": "3"}


def test_prepare_says_what_it_needs(benchmark, tmp_path):
    folder, _ = benchmark
    settings = PrepareSettings("genomic-benchmarks", folder, "human_ocr_ensembl")
    with pytest.raises(InputError, match=r"need a genome; give --genome GRCh38=FASTA \(GRCh38 from http"):
        prepare(settings)
    shutil.rmtree(folder / OCR / "test")
    with pytest.raises(InputError, match=r"test/negative\.csv\.gz is not in .*; fetch .*--form intervals"):
        prepare(replace(settings, genome=f"GRCh38={folder / 'hg38.fa'}", cache=tmp_path / "cache"))
    with pytest.raises(InputError, match=r"none of the 9 tasks of genomic-benchmarks can be prepared: "):
        prepare(replace(settings, tasks=""))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "hg38.fa",
            r"genome 'hg38\.fa' has no assembly; write NAME=FASTA, NAME one of GRCh38, GRCh38-cdna, ",
        ),
        ("GRCh38=", r"genome 'GRCh38=' has no FASTA; write NAME=FASTA"),
        ("hg38=hg38.fa", r"there is no assembly 'hg38'; there are GRCh38, GRCh38-cdna, .*, BDGP6\.28"),
        ("GRCh37=hg38.fa", r"there is no assembly 'GRCh37'; .*; did you mean 'GRCh38'\?"),
        ("GRCh38=hg38.fa, GRCh38=hg38.fa", r"assembly GRCh38 has two genomes; give one"),
        ("GRCh38=no.fa", r"no\.fa: no such file; give the FASTA of GRCh38"),
    ],
)
def test_genomes_that_cannot_be_meant_are_refused(benchmark, monkeypatch, given, message):
    folder, _ = benchmark
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        prepare(PrepareSettings("genomic-benchmarks", folder, genome=given))


def test_fetch_names_the_genomes_that_prepare_needs(monkeypatch, tmp_path, capsys):
    with serve() as site:
        task = find_task("genomic-benchmarks", "demo_human_or_worm")
        source = site.add("/a.csv", b"id,region,start,end,strand\n1,chr1,0,9,+\n")
        served = tuple(
            replace(file, local=file.local[:-3], sha256="", sources=(source,)) for file in task.files
        )
        monkeypatch.setattr(commands, "chosen_tasks", lambda *_: (replace(task, files=served),))
        fetch(FetchSettings("genomic-benchmarks", tmp_path, form="intervals"))
    said = capsys.readouterr().out
    assert (
        f"next: convnova data prepare --suite genomic-benchmarks --data {tmp_path} "
        "--genome GRCh38=FASTA,WBcel235=FASTA (GRCh38 from http"
    ) in said


def test_fetch_fills_a_folder_and_says_what_it_did(monkeypatch, tmp_path, capsys):
    with serve() as site:
        task = find_task("gue", "tf/3")
        served = tuple(
            replace(file, sha256="", sources=(site.add(f"/{file.split}.csv", b"sequence,label\nACGT,1\n"),))
            for file in task.files
        )
        monkeypatch.setattr(commands, "chosen_tasks", lambda *_: (replace(task, files=served),))
        fetch(FetchSettings("gue", tmp_path / "new"))
        assert capsys.readouterr().out == f"{tmp_path / 'new'}: 3 files fetched, 0 were there\n"
        fetch(FetchSettings("gue", tmp_path / "new"))
        assert capsys.readouterr().out == f"{tmp_path / 'new'}: 0 files fetched, 3 were there\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suite": "gue", "form": "intervals"}, "suite gue has no intervals; fetch its sequences"),
        ({"suite": "gue", "tasks": "tf/3, tf/8"}, "suite gue has no task 'tf/8'"),
        ({"suite": "gue", "tries": 0}, "tries must be at least 1, got 0"),
        ({"suite": "gue", "stall_s": 0}, "stall_s must be more than 0, got 0"),
        (
            {"suite": "splice", "tasks": "hs3d_donor"},
            "no stable place to fetch .*by hand in .*hs3d",
        ),
    ],
)
def test_what_cannot_be_fetched_is_told_before_anything_is(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        fetch(FetchSettings(**settings, data=tmp_path))


def test_without_network_the_folder_for_the_files_is_named(monkeypatch, tmp_path):
    port = unused_port()
    task = find_task("gue", "tf/3")
    served = tuple(replace(file, sources=(f"http://127.0.0.1:{port}/x.csv",)) for file in task.files)
    monkeypatch.setattr(commands, "chosen_tasks", lambda *_: (replace(task, files=served),))
    with pytest.raises(InputError, match=rf"3 of 3 files .* \(no connection to 127\.0\.0\.1:{port}"):
        fetch(FetchSettings("gue", tmp_path, tries=1))


@pytest.mark.parametrize("settings", [ListSettings, FetchSettings, PrepareSettings, CheckSettings])
def test_every_setting_is_explained(settings):
    source = Path(str(files("convnova.data.catalogue") / "settings.py")).read_text()
    body = source.split(f"class {settings.__name__}")[1].split("@dataclass")[0]
    assert body.count('"""') // 2 == len(fields(settings)) + 1


def test_the_tables_describe_the_experiments_data():
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not (shared / "gue").exists():
        pytest.skip("needs the experiments' data folder (CONVNOVA_SHARED), which does not ship")
    for suite, name in (("gue", "tf/3"), ("enhancers", "layer2"), ("yeast-histone", "H4"), ("splice", "uci")):
        task = find_task(suite, name)
        state = check_task(task, shared)
        assert state.wrong == ()
        assert state.matching == state.present == state.expected
        assert count_test_in_training(task, shared) == task.test_in_training
