"""Every kind of bad input to finetune, evaluate and classify is one line and exit status 2."""

import gzip
import re
import shutil

import pytest
import torch
from pretraining import write_genome
from tiny_task import FLAGS, letters, settings, write_csv

from convnova import cli
from convnova.data.label_scheme import LabelScheme
from convnova.inference.saved_task import SavedTask
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.writing import write_json

TEXTS = letters(20, 5)


def table(labels, header="sequence,label", texts=TEXTS):
    """Return a CSV of sequences and labels, in turns."""
    rows = [f"{text},{labels[i % len(labels)]}" for i, text in enumerate(texts)]
    return "\n".join([header, *rows]) + "\n"


def with_line(line, number=4):
    """Return a good CSV with one line replaced."""
    lines = table("01").splitlines()
    return "\n".join([*lines[: number - 1], line, *lines[number:]]) + "\n"


def bed(*lines):
    return "".join(f"{line}\n" for line in lines)


LABELS = {
    "no label column": (
        table(["0,1.5", "1,2.5"], "sequence,length,weight"),
        [],
        r"train\.csv: there are no labels; its columns are 'sequence', 'length', 'weight'; name the columns",
    ),
    "a label column that is not there": (
        table("01"),
        ["--read.label_columns", "lable"],
        r"train\.csv: there is no column 'lable' \(--read.label_columns\), only 'sequence', 'label'; did you",
    ),
    "only N": (
        table("01", texts=["NNNNNNNN"] * 20),
        [],
        r"train\.csv: its sequences are only N, so train says nothing; give others",
    ),
    "one class": (
        table("1"),
        [],
        r"train\.csv: every sequence has the label '1'; give sequences of two classes",
    ),
    "gaps": (
        table("02"),
        [],
        r"train\.csv: the labels are the numbers 0, 2; classes are numbered from 0 without",
    ),
    "a class of its own for each": (
        table([f"x{i}" for i in range(130)], texts=letters(130, 5)),
        [],
        r"train\.csv: column 'label' has 130 different labels in 130 sequences, so it is no class",
    ),
    "words for values": (
        table(["0.5", "high"]),
        ["--kind", "regression"],
        r"train\.csv, line 3: label 'high' is not a finite number; correct it",
    ),
    "NaN": (
        table(["0", "1", "NaN"]),
        [],
        r"train\.csv, line 4: the label \(label\) is missing \(NaN; 6 of 20 are\)",
    ),
    "an empty label": (
        with_line(f"{TEXTS[0]},"),
        [],
        r"train\.csv, line 4: the label \(label\) is missing \(empty;",
    ),
    "infinite value": (
        table(["0.5", "inf"]),
        ["--kind", "regression"],
        r"train\.csv, line 3: label 'inf' is not a finite number",
    ),
    "a class that is not given": (
        table(["cat", "dog"]),
        ["--class_names", "cat,bird"],
        r"train\.csv, line 3: class 'dog' is not one of the task's, which are cat, bird; correct it",
    ),
}
SEQUENCES = {
    "empty": (with_line(",1"), r"train\.csv, line 4: the sequence is empty; remove it or give its bases"),
    "missing": (with_line("NaN,1"), r"train\.csv, line 4: the sequence is missing \(NaN\); remove it"),
    "protein": (
        with_line("MEEPQSDPSV,1"),
        r"train\.csv, line 4, position 2: 'E' is not .*; this reads like a protein",
    ),
    "spaces": (with_line("ACGT ACGT,1"), r"train\.csv, line 4, position 5: ' ' is not .*without white"),
    "digits": (with_line("ACGT60ACGT,1"), r"train\.csv, line 4, position 5: '6' is not .*without digits"),
    "more columns": (with_line("ACGT,1,1"), r"train\.csv, line 4: 3 columns, where the first line has 2"),
    "no file": (None, r"train\.csv: no such file"),
    "nothing": ("", r"train\.csv: the file is empty"),
    "half a gzip": (gzip.compress(table("01").encode())[:-20], r"train\.csv: the gzip file ends early"),
    "too few to hold out": ("sequence,label\nACGT,0\nACCC,1\n", r"leaves nothing to train on or to hold out"),
}
INTERVALS = {
    "no strand": (
        bed("chr1\t0\t50\ta\t0\t+", "chr1\t60\t99\tb\t0\t."),
        r"train\.bed, line 2: the strand is '\.', so the sequence could be either; give \+ or -, or set",
    ),
    "another strand": (bed("chr1\t0\t50\ta\t0\tplus"), r"train\.bed, line 1: strand 'plus' is not allowed"),
    "chromosome of another assembly": (
        bed("chr1\t0\t50\ta\t0\t+", "chrX\t0\t50\tb\t0\t+"),
        r"train\.bed, line 2: chromosome 'chrX' is not in toy\.fa, which has chr1, chr2",
    ),
    "end of another assembly": (
        bed("chr1\t0\t50\ta\t0\t+", "chr2\t2000\t2100\tb\t0\t+"),
        r"train\.bed, line 2: end 2100 is past the end of chr2 \(2050 bp\)",
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with good files, a genome, a model of a task and a masked language model."""
    folder = tmp_path_factory.mktemp("home")
    write_csv(folder / "good.csv", 40, 0)
    write_csv(folder / "test.csv", 20, 1)
    write_csv(folder / "words.csv", 20, 1, ("cat", "dog"))
    write_csv(folder / "one_class.csv", 20, 1, ("1",))
    (folder / "unlabelled.csv").write_text("sequence\n" + "\n".join(TEXTS) + "\n")
    write_genome(folder / "toy.fa")
    torch.manual_seed(0)
    config = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2)}
    ConvNovaForMaskedLM(ConvNovaConfig(**config)).save_pretrained(folder / "masked_lm")
    ConvNovaForSequenceClassification(ConvNovaConfig(**config, num_labels=2)).save_pretrained(
        folder / "model"
    )
    task = SavedTask(LabelScheme("single-label", ("0", "1")), "mcc", True)
    write_json(folder / "model/task.json", task.to_dict())
    (folder / "full").mkdir()
    (folder / "full/notes.txt").write_text("mine")
    (folder / "finished").mkdir()
    (folder / "finished/model.safetensors").write_text("")
    return folder


@pytest.fixture
def refused(home, capsys, monkeypatch):
    """Return what runs a command in that folder and checks its one line."""

    def run(arguments, message):
        shutil.rmtree(home / "run", ignore_errors=True)
        monkeypatch.chdir(home)
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = end.code
        errors = capsys.readouterr().err
        assert status == 2
        assert errors.startswith("convnova: ")
        assert errors.count("\n") == 1
        assert re.search(message, errors), errors
        assert not (home / "run/model.safetensors").exists()

    return run


def finetune(train="good.csv", *flags):
    return ["finetune", "--train", train, "--output", "run", *FLAGS, *flags]


@pytest.mark.parametrize(("content", "flags", "message"), LABELS.values(), ids=LABELS.keys())
def test_bad_labels(home, refused, content, flags, message):
    (home / "train.csv").write_text(content)
    refused(finetune("train.csv", *flags), message)


@pytest.mark.parametrize(("content", "message"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_bad_sequences(home, refused, content, message):
    path = home / "train.csv"
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(finetune("train.csv"), message)


@pytest.mark.parametrize(("content", "message"), INTERVALS.values(), ids=INTERVALS.keys())
@pytest.mark.parametrize("command", ["finetune", "classify"])
def test_bad_intervals(home, refused, content, message, command):
    (home / "train.bed").write_text(content)
    genome = ["--read.genome", "toy.fa"]
    classify = ["classify", "--model", "model", "--input", "train.bed", "--output", "out.bed"]
    labelled = finetune("train.bed", "--read.label_columns", "name")
    refused((labelled if command == "finetune" else classify) + genome, message)


def test_intervals_whose_sequences_are_of_another_assembly(home, refused):
    (home / "train.csv").write_text("chrom,start,end,strand,sequence,label\nchr1,0,8,+,AAAAAAAA,0\n")
    message = (
        r"train\.csv, line 2: the genome has another sequence there than column 'sequence' \(1 of 1 differ\)"
    )
    refused(finetune("train.csv", "--read.genome", "toy.fa"), message + "; give the assembly")


TASKS = {
    "train is test": (
        ["--test", "good.csv"],
        r"good\.csv and good\.csv: train and test are the same sequences; give a test set",
    ),
    "a leak": (
        ["--test", "good.csv,test.csv"],
        r"good\.csv, line 2: the sequence is in train too \(good\.csv, line 2\), which holds 40 of 60 test "
        r"sequences \(either strand\); set --on_leakage to remove",
    ),
    "test without labels": (
        ["--test", "unlabelled.csv"],
        r"unlabelled\.csv: there are no labels, and test needs them; give them as in train, or use conv",
    ),
    "test of other classes": (
        ["--test", "words.csv"],
        r"words\.csv, line 2: class 'cat' is not one of the task's",
    ),
    "test of one class": (
        ["--test", "one_class.csv"],
        r"one_class\.csv: every sequence of test has the label '1'",
    ),
    "no such preset": (
        ["--model", "preset:huge"],
        "there is no preset 'huge'; choose one of pretraining, nt",
    ),
    "no such model": (["--model", "nowhere"], "nowhere: no ConvNova model in it"),
    "a model's architecture changed": (
        ["--model", "masked_lm"],
        "of a folder is settled, so --network.hidden_size cannot",
    ),
    "no such dilation": (["--network.dilations", "[0]"], "dilations"),
    "full folder": (["--output", "full"], "full is not an empty folder; choose another output folder"),
    "finished": (["--output", "finished"], "finished holds a finished model; choose another output folder"),
    "a file": (["--output", "good.csv"], r"good\.csv is a file; choose another output folder"),
    "inside a file": (["--output", "good.csv/run"], r"good\.csv"),
    "unknown flag": (["--epochs", "3"], "epochs"),
    "epochs": (["--training.epochs", "0"], "epochs must be at least 1, got 0"),
    "share": (["--validation_share", "1.5"], "validation_share must be at least 0 and below 1, got 1.5"),
    "no validation": (["--validation_share", "0"], "no validation is given: there is nothing to choose on"),
    "another score": (
        ["--training.selection", "pearson"],
        "selection is pearson, which single label classification has not; choose one of mcc, f1",
    ),
    "fp16": (["--training.precision", "fp16"], "precision fp16 needs a GPU"),
}


@pytest.mark.parametrize(("flags", "message"), TASKS.values(), ids=TASKS.keys())
def test_bad_tasks(refused, flags, message):
    refused(finetune("good.csv", *flags), message)


MODELS = {
    "classify with a masked language model": (
        ["classify", "--model", "masked_lm", "--input", "unlabelled.csv", "--output", "out.csv"],
        r"masked_lm: its model is a ConvNovaForMaskedLM, and no task\.json: it was not made for a task; give",
    ),
    "evaluate with a masked language model": (
        ["evaluate", "--model", "masked_lm", "--test", "test.csv"],
        r"masked_lm: its model is a ConvNovaForMaskedLM",
    ),
    "evaluate other classes": (
        ["evaluate", "--model", "model", "--test", "words.csv"],
        r"words\.csv, line 2: class 'cat' is not one of the task's, which are 0, 1",
    ),
    "evaluate one class": (
        ["evaluate", "--model", "model", "--test", "one_class.csv"],
        r"one_class\.csv: only one class is among the labels; scores need at least two",
    ),
    "evaluate without labels": (
        ["evaluate", "--model", "model", "--test", "unlabelled.csv"],
        r"unlabelled\.csv: there are no labels",
    ),
    "no model": (
        ["classify", "--model", "no", "--input", "test.csv", "--output", "x.csv"],
        "no: there is no such",
    ),
    "no sequences": (["classify", "--model", "model", "--input", "no.fa", "--output", "x.csv"], r"no\.fa"),
    "BED of sequences": (
        ["classify", "--model", "model", "--input", "test.csv", "--output", "x.bed"],
        r"x\.bed: BED needs intervals of a genome",
    ),
    "ending": (
        ["classify", "--model", "model", "--input", "test.csv", "--output", "x.doc"],
        r"x\.doc: the name must end with one of",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MODELS.values(), ids=MODELS.keys())
def test_bad_models(refused, arguments, message):
    refused(arguments, message)


def test_swapped_train_and_test_are_pointed_out(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    write_csv(home / "large.csv", 80, 7)
    assert cli.main(finetune("test.csv", "--test", "large.csv", "--output", "swapped")) == 0
    assert "look: are train and test swapped? test has 80 sequences, train 20\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--class_names", "no,yes"], ("no", "yes")),
        (["--class_names", "[no, yes]"], ("no", "yes")),
        ([], ("0", "1")),
    ],
)
def test_names_of_numbered_classes(home, capsys, monkeypatch, flags, names):
    from convnova.data.task import load_task

    parsed = cli.build_parser().parse_args(["finetune", "--train", "good.csv", "--output", "run", *flags])
    given = parsed.finetune.class_names
    task = load_task(home / "good.csv", names=tuple(given) if given else None)
    assert task.scheme.names == names


def test_columns_are_named_and_numbered_without_brackets(tmp_path, capsys):
    rows = [f"EI,s{i},{text}" if i % 2 else f"N,s{i},{text}" for i, text in enumerate(letters(30, 0))]
    (tmp_path / "train.data").write_text("\n".join(rows) + "\n")
    run = settings(tmp_path).output
    flags = ["--read.label_columns", "1", "--read.sequence_column", "3", "--test_share", "0.2"]
    assert (
        cli.main(["finetune", "--train", str(tmp_path / "train.data"), "--output", str(run), *FLAGS, *flags])
        == 0
    )
    assert "2 classes in sorted order: EI = 0, N = 1" in capsys.readouterr().out
