"""What is exported gives the model's numbers at any size, without PyTorch; with 8 bits about its score."""

import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny_task import settings as task_settings
from tiny_task import write_csv

from convnova.baselines.architectures import any_preset, sequence_classifier
from convnova.cli import main
from convnova.data.label_scheme import LabelScheme
from convnova.errors import InputError
from convnova.inference import export as module
from convnova.inference.any_model import load_any
from convnova.inference.export import export, onnx_logits, onnx_predictions, onnx_session
from convnova.inference.export_settings import ExportSettings
from convnova.inference.predict import predict
from convnova.inference.saved_task import SavedTask
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.training.finetune_task import finetune_task

pytestmark = pytest.mark.filterwarnings("ignore")
torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}


def save(folder, pooling="mean", problem="single_label_classification"):
    torch.manual_seed(0)
    if pooling == "masked-lm":
        ConvNovaForMaskedLM(ConvNovaConfig(**TOY)).save_pretrained(folder)
        return folder
    config = ConvNovaConfig(**TOY, pooling=pooling, pooling_segments=3, num_labels=2, problem_type=problem)
    ConvNovaForSequenceClassification(config).save_pretrained(folder)
    kind = {"regression": "regression", "multi_label_classification": "multi-label"}.get(
        problem, "single-label"
    )
    task = SavedTask(LabelScheme(kind, ("no", "yes")), "mcc", True)
    (folder / "task.json").write_text(json.dumps(task.to_dict()))
    return folder


def run(model, output, **changes):
    screen = io.StringIO()
    return export(
        ExportSettings(model, output, **changes), Console(file=screen, width=200)
    ), screen.getvalue()


@pytest.mark.parametrize("pooling", ["masked-lm", "mean", "max", "center", "segments"])
def test_onnx_gives_the_numbers_of_the_model_at_any_size(tmp_path, pooling):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = save(tmp_path / "model", pooling)
    difference, said = run(folder, tmp_path / "m.onnx")
    assert difference < 1e-5
    assert "logits differ by" in said
    session, model = onnx_session(tmp_path / "m.onnx"), load_any(folder).model
    for batch, length in ((1, 5), (4, 70), (2, 301)):
        ids, mask = torch.randint(0, 5, (batch, length)), torch.ones(batch, length).long()
        mask[0, length // 2 :] = 0
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
        found = onnx_logits(session, ids.numpy(), mask.numpy())
        real = mask.numpy() == 1 if found.ndim == 3 else slice(None)
        np.testing.assert_allclose(found[real], expected[real], atol=1e-5)
    about = json.loads(session.get_modelmeta().custom_metadata_map["convnova"])
    assert about["outputs"] == list(load_any(folder).names)


@pytest.mark.parametrize(
    "problem", ["single_label_classification", "multi_label_classification", "regression"]
)
def test_predictions_are_those_of_predict(tmp_path, problem):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = save(tmp_path / "model", problem=problem)
    run(folder, tmp_path / "m.onnx")
    from convnova.data.packed import pack

    rng = np.random.default_rng(0)
    sequences = pack([rng.integers(0, 4, length).astype(np.uint8) for length in (9, 40, 12, 40)])
    expected = predict(load_any(folder).model, sequences, both_strands=True)
    found = onnx_predictions(onnx_session(tmp_path / "m.onnx"), sequences, problem, strands=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_it_runs_where_there_is_no_pytorch(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = save(tmp_path / "model")
    run(folder, tmp_path / "m.onnx")
    code = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = sys.modules["convnova"] = None  # an import of one fails
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
ids = numpy.arange(60).reshape(2, 30) % 4
print(session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})[0].tolist())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=True
    )
    with torch.no_grad():
        expected = load_any(folder).model(input_ids=torch.arange(60).reshape(2, 30) % 4).logits
    np.testing.assert_allclose(json.loads(answer.stdout), expected.numpy(), atol=1e-5)


def test_eight_bits_keep_about_the_score(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    train, test = write_csv(tmp_path / "train.csv", 200, 0), write_csv(tmp_path / "test.csv", 80, 1)
    finetune_task(task_settings(tmp_path, train=str(train), test=str(test)), Console(quiet=True))
    given = {"int8": True, "calibration": str(train), "test": str(test)}
    _, said = run(tmp_path / "run", tmp_path / "m.onnx", **given)
    found = re.search(r": ([\d.-]+) before, ([\d.-]+) after", said)
    before, after = map(float, found.groups())
    assert abs(after - before) < 0.3
    names = {node.op_type for node in __import__("onnx").load(tmp_path / "m.onnx").graph.node}
    assert "QuantizeLinear" in names


def test_a_program_of_torch_export_is_the_model(tmp_path):
    folder = save(tmp_path / "model")
    difference, _ = run(folder, tmp_path / "m.pt2", format="torch")
    assert difference < 1e-6
    ids = torch.randint(0, 4, (3, 77))
    module_of = torch.export.load(tmp_path / "m.pt2").module()
    with torch.no_grad():
        expected = load_any(folder).model(input_ids=ids).logits
    torch.testing.assert_close(module_of(ids, torch.ones_like(ids)), expected, atol=1e-5, rtol=0)


def test_what_exists_is_kept_where_something_fails(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = save(tmp_path / "model")
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(InputError, match="already exists; give another name, or --overwrite"):
        run(folder, tmp_path / "m.onnx")
    given = {"int8": True, "calibration": str(tmp_path / "none.csv"), "overwrite": True}
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        run(folder, tmp_path / "m.onnx", **given)
    assert (tmp_path / "m.onnx").read_text() == "mine"
    run(folder, tmp_path / "m.onnx", overwrite=True)
    assert (tmp_path / "m.onnx").stat().st_size > 1000


def test_logits_that_differ_are_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(module, "onnx_logits", lambda session, ids, mask: np.ones((len(ids), 2), np.float32))
    with pytest.raises(InputError, match=r"m\.onnx: its logits differ by .*; nothing is written"):
        run(save(tmp_path / "model"), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "m.pt2"], "m.pt2: the name of format onnx must end with .onnx"),
        (["--output", "m.onnx", "--format", "torch"], "the name of format torch must end with .pt2"),
        (["--output", "m.onnx", "--int8"], "int8 needs calibration, sequences to measure ranges on"),
        (["--output", "m.onnx", "--calibration", "a.csv"], "int8 needs calibration"),
        (["--output", "m.pt2", "--format", "torch", "--test", "a.csv"], "test is scored by onnxruntime"),
        (["--output", "m.onnx", "--model", "lm", "--test", "a.csv"], "test is for a model of sequences"),
        (["--output", "m.onnx", "--model", "cnn"], "only ConvNova without downsampling is exported"),
        (["--output", "m.onnx", "--model", "nowhere"], "there is no such folder"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "model")
    save(tmp_path / "lm", "masked-lm")
    sequence_classifier(any_preset("cnn", input_bp=80, num_labels=2)).save_pretrained(tmp_path / "cnn")
    (tmp_path / "cnn/task.json").write_text((tmp_path / "model/task.json").read_text())
    assert main(["export", "--model", "model", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
