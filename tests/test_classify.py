"""`convnova classify` and `convnova evaluate`: tables of predictions for new sequences."""

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from pretraining import write_genome
from rich.console import Console
from tiny_task import letters, write_rows

from convnova.data.label_scheme import LabelScheme
from convnova.data.packed import pack
from convnova.data.reading import ReadSettings
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference.classify import classify, evaluate
from convnova.inference.predict import predict
from convnova.inference.saved_task import SavedTask, load_task_model, write_trained
from convnova.inference.settings import ClassifySettings, EvaluateSettings
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import decode, encode, reverse_complement

QUIET = Console(quiet=True)
METRICS = {"single-label": "mcc", "multi-label": "auroc", "regression": "pearson"}
TEXTS = letters(12, 0)


def save(folder, kind, names, average_strands=True, **task):
    """Write a model with random weights as `convnova finetune` does."""
    torch.manual_seed(0)
    scheme = LabelScheme(kind, names)
    config = ConvNovaConfig(
        hidden_size=8,
        kernel_size=3,
        dilations=(1, 2),
        num_labels=len(names),
        problem_type=scheme.problem_type,
    )
    model = ConvNovaForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    model.save_pretrained(folder)
    saved = SavedTask(scheme, METRICS[kind], average_strands, **task)
    (folder / "task.json").write_text(json.dumps(saved.to_dict()))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), "single-label", ("background", "enhancer"))


@pytest.fixture(scope="module")
def expected(model):
    return predict(load_task_model(model).model, pack([encode(text) for text in TEXTS]), both_strands=True)


INPUTS = {
    "csv": ("new.csv", "id,sequence\n" + "".join(f"s{i},{t}\n" for i, t in enumerate(TEXTS))),
    "csv with other labels": (
        "new.csv",
        "id,sequence,label\n" + "".join(f"s{i},{t},x{i}\n" for i, t in enumerate(TEXTS)),
    ),
    "fasta": ("new.fa", "".join(f">s{i}\n{text}\n" for i, text in enumerate(TEXTS))),
}


@pytest.mark.parametrize(("name", "text"), INPUTS.values(), ids=INPUTS.keys())
@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".csv", pl.read_csv),
        (".tsv", lambda path: pl.read_csv(path, separator="\t")),
        (".parquet", pl.read_parquet),
    ],
)
def test_every_sequence_has_its_prediction_in_order(model, expected, tmp_path, name, text, suffix, read):
    (tmp_path / name).write_text(text)
    output = tmp_path / f"made/new{suffix}"
    made = classify(ClassifySettings(model, str(tmp_path / name), output), QUIET)
    frame = read(output)
    assert frame.columns == ["name", "prediction", "probability_background", "probability_enhancer"]
    assert frame["name"].to_list() == [f"s{i}" for i in range(len(TEXTS))]
    np.testing.assert_allclose(frame[:, 2:].to_numpy(), expected, atol=1e-6)
    words = ["background", "enhancer"]
    assert frame["prediction"].to_list() == [words[i] for i in expected.argmax(1)]
    np.testing.assert_array_equal(made[:, 2:].to_numpy(), expected)


def test_sequences_without_names_are_counted_from_1(model, tmp_path):
    (tmp_path / "new.txt").write_text("\n".join(TEXTS) + "\n")
    made = classify(ClassifySettings(model, str(tmp_path / "new.txt"), tmp_path / "new.csv"), QUIET)
    assert made["name"].to_list() == [str(i + 1) for i in range(len(TEXTS))]


def test_sequences_are_cropped_as_in_training(tmp_path):
    folder = save(tmp_path / "model", "single-label", ("a", "b"), max_length_bp=20, too_long="keep-start")
    for name, cut in (("whole", None), ("cut", 20)):
        (tmp_path / f"{name}.txt").write_text("\n".join(text[:cut] for text in TEXTS))
    made = {
        name: classify(ClassifySettings(folder, str(tmp_path / f"{name}.txt"), tmp_path / "new.csv"), QUIET)
        for name in ("whole", "cut")
    }
    assert made["whole"].equals(made["cut"])
    own = ReadSettings(max_length_bp=10**6)
    whole = ClassifySettings(folder, str(tmp_path / "whole.txt"), tmp_path / "new.csv", read=own)
    assert not classify(whole, QUIET).equals(made["cut"])


def test_a_table_without_header_needs_the_number_of_one_column(model, tmp_path):
    write_rows(
        tmp_path / "new.csv", [f"x{i},{text},EI" for i, text in enumerate(TEXTS[1:])], f"x,{TEXTS[0]},EI"
    )
    for read in (ReadSettings(), ReadSettings(sequence_column="2")):
        settings = ClassifySettings(model, str(tmp_path / "new.csv"), tmp_path / "made.csv", read=read)
        assert len(classify(settings, QUIET)) == len(TEXTS)


@pytest.fixture(scope="module")
def intervals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    write_genome(folder / "toy.fa")
    rows = [("chr1", 10, 60, "peak", "+"), ("chr3", 0, 41, "", "-"), ("chr3", 0, 41, "", "+")]
    text = "".join(f"{c}\t{s}\t{e}\t{n or '.'}\t0\t{strand}\n" for c, s, e, n, strand in rows)
    (folder / "new.bed").write_text("# a comment\n" + text)
    return folder, rows


def test_bed_keeps_the_intervals_and_reads_their_strand(intervals, tmp_path):
    folder, rows = intervals
    model = save(tmp_path, "single-label", ("background", "enhancer"), average_strands=False)
    read = ReadSettings(genome=folder / "toy.fa")
    classify(ClassifySettings(model, str(folder / "new.bed"), tmp_path / "made.bed", read=read), QUIET)
    header, *lines = (tmp_path / "made.bed").read_text().splitlines()
    assert header.split("\t") == [
        *("#chromosome", "start", "end", "name", "score", "strand"),
        *("probability_background", "probability_enhancer"),
    ]
    genome = Genome.open(folder / "toy.fa")
    ids = [genome.fetch(Interval(c, start, end, strand)) for c, start, end, _, strand in rows]
    expected = predict(load_task_model(model).model, pack(ids))
    assert not np.allclose(expected[1], expected[2], atol=1e-4)  # the strand matters
    for line, (c, start, end, _, strand), chances in zip(lines, rows, expected, strict=True):
        *place, word, score, sign, background, enhancer = line.split("\t")
        assert (place, sign) == ([c, str(start), str(end)], strand)
        assert word == ("background", "enhancer")[chances.argmax()]
        assert int(score) == round(1000 * float(chances.max()))
        np.testing.assert_allclose([float(background), float(enhancer)], chances, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "words", "scores"),
    [("multi-label", {"."}, {"500", "501"}), ("regression", {"peak", "."}, {"0"})],
)
def test_bed_of_other_labels_has_six_whole_columns(intervals, tmp_path, kind, words, scores):
    folder, _ = intervals
    model = save(tmp_path, kind, ("liver", "heart"))
    loaded = ConvNovaForSequenceClassification.from_pretrained(model)
    torch.nn.init.zeros_(loaded.classifier.weight)  # p is 0.5 everywhere, which calls no label
    torch.nn.init.zeros_(loaded.classifier.bias)
    loaded.save_pretrained(model)
    read = ReadSettings(genome=folder / "toy.fa")
    classify(ClassifySettings(model, str(folder / "new.bed"), tmp_path / "made.bed", read=read), QUIET)
    rows = [line.split("\t") for line in (tmp_path / "made.bed").read_text().splitlines()[1:]]
    assert {row[3] for row in rows} == words
    assert {row[4] for row in rows} <= scores
    assert all(len(row) == 8 and all(row) for row in rows)


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
def test_labels_and_values_are_scored_as_they_are_predicted(tmp_path, kind):
    model = save(tmp_path / "model", kind, ("label_a", "label_b"))
    ids = pack([encode(text) for text in TEXTS])
    values = predict(load_task_model(model).model, ids, both_strands=True)
    labels = np.arange(24).reshape(12, 2) // 3 % 2 if kind == "multi-label" else values
    rows = [f"{text},{a},{b}" for text, (a, b) in zip(TEXTS, labels.tolist(), strict=True)]
    test = write_rows(tmp_path / "test.csv", rows, "sequence,label_a,label_b")
    result = evaluate(EvaluateSettings(model, str(test), tmp_path / "scored"), QUIET)
    frame = pl.read_csv(tmp_path / "scored/predictions.csv")
    if kind == "regression":
        assert result["test"]["scores"]["pearson"] == pytest.approx(1)
        assert frame.columns == [
            "name",
            "label_label_a",
            "label_label_b",
            *[f"predicted_label_{c}" for c in "ab"],
        ]
        np.testing.assert_allclose(frame[:, 1:3].to_numpy(), frame[:, 3:].to_numpy(), atol=1e-5)
    else:
        names = ("label_a", "label_b")
        assert frame["label"].fill_null("").to_list() == [
            ";".join(name for name, has in zip(names, row, strict=True) if has) for row in labels
        ]


def test_what_was_read_and_made_is_told(model, tmp_path):
    (tmp_path / "new.fa").write_text(">a\nACGTRYACGTAC\n")
    text = io.StringIO()
    console = Console(file=text, width=60)
    classify(ClassifySettings(model, str(tmp_path / "new.fa"), tmp_path / "new.csv"), console)
    note, made = text.getvalue().splitlines()
    assert "R 1, Y 1" in note
    assert made.startswith(f"{tmp_path / 'new.fa'}: 1 sequence -> {tmp_path / 'new.csv'} (")


def test_sequences_of_n_alone_are_told_and_where_there_are_no_others_refused(model, tmp_path):
    path, said = tmp_path / "new.fa", io.StringIO()
    path.write_text(">a\nACGTACGTACGT\n>b\nNNNNNNNNNNNN\n")
    console = Console(file=said, width=200)
    assert len(classify(ClassifySettings(model, str(path), tmp_path / "new.csv"), console)) == 2
    assert "1 of 2 sequences are only N: what is predicted says nothing of them" in said.getvalue()
    path.write_text(">b\nNNNNNNNNNNNN\n")
    for task in (
        lambda: classify(ClassifySettings(model, str(path), tmp_path / "other.csv"), QUIET),
        lambda: evaluate(EvaluateSettings(model, str(path)), QUIET),
    ):
        with pytest.raises(
            InputError, match=r"new\.fa: its sequences are only N, so there is nothing to read"
        ):
            task()
    assert not (tmp_path / "other.csv").exists()


def test_the_input_and_the_folder_of_a_model_are_never_overwritten(model, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(before := "sequence,label\n" + "".join(f"{text},enhancer\n" for text in TEXTS))
    with pytest.raises(
        InputError, match=r"new\.csv: is named twice, to read and write or to write; name another"
    ):
        classify(ClassifySettings(model, str(path), tmp_path / "." / "new.csv"), QUIET)
    with pytest.raises(InputError, match="holds a fine-tuned model; choose another output folder"):
        evaluate(EvaluateSettings(model, str(path), output=model), QUIET)
    assert path.read_text() == before
    assert not (model / "scores.json").exists()


def test_sequences_that_were_trained_on_are_counted(tmp_path):
    model = save(tmp_path / "model", "single-label", ("background", "enhancer"))
    opposite = decode(reverse_complement(encode(TEXTS[0])))
    write_trained(model, pack([encode(opposite)]), pack([encode(TEXTS[1])]))
    path = tmp_path / "test.csv"
    names = ("background", "enhancer")
    path.write_text("sequence,label\n" + "".join(f"{t},{names[i % 2]}\n" for i, t in enumerate(TEXTS)))
    said = io.StringIO()
    result = evaluate(EvaluateSettings(model, str(path)), Console(file=said, width=200))
    assert result["test"]["trained_on"] == 2
    assert "2 of 12 sequences were trained or chosen on (either strand): no test score" in said.getvalue()


def test_bed_of_sequences_and_a_wrong_ending_are_refused_before_any_work(model, tmp_path):
    (tmp_path / "new.fa").write_text(">a\nACGT\n")
    with pytest.raises(
        InputError, match=r"new\.bed: BED needs intervals of a genome; write \.csv for sequences"
    ):
        classify(ClassifySettings(model, str(tmp_path / "new.fa"), tmp_path / "new.bed"), QUIET)
    with pytest.raises(InputError, match=r"new\.xls: the name must end with one of \.csv"):
        classify(ClassifySettings(model, "nowhere.fa", tmp_path / "new.xls"), QUIET)


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


def configure(**changes):
    """Return what makes config.json that of another architecture."""

    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


OTHERS = "config.json and the weights are not of one model"
BROKEN = {
    "weights of an ffn that is not there": (configure(use_ffn=False), OTHERS),
    "a block less": (configure(dilations=[1]), OTHERS),
    "a block more": (configure(dilations=[1, 2, 4]), OTHERS),
    "other channels": (configure(hidden_size=4), "its model cannot be loaded"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "its model cannot be loaded"),
    "cut weights": (truncate, "its model cannot be loaded"),
    "no JSON": (
        lambda folder: (folder / "task.json").write_text("{"),
        "it cannot be read as the record of a",
    ),
    "no scheme": (lambda folder: (folder / "task.json").write_text("{}"), "cannot be read as the record"),
    "other classes": (
        lambda folder: (folder / "task.json").write_text(
            json.dumps(SavedTask(LabelScheme("single-label", ("a", "b", "c")), "mcc", True).to_dict())
        ),
        r"the model has 2 outputs and task\.json 3; they are not of one run",
    ),
    "no task": (
        lambda folder: (folder / "task.json").unlink(),
        r"its model is a ConvNovaForSequenceClassification, and no task\.json: it was not made for a task",
    ),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_is_refused(tmp_path, change, message):
    folder = save(tmp_path, "single-label", ("a", "b"))
    change(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_task_model(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(
        InputError, match="nowhere: there is no such folder; give one that `convnova finetune`"
    ):
        load_task_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"there is no model in it, and no task\.json"):
        load_task_model(tmp_path)
