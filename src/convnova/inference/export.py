"""`convnova export`: a model as ONNX, with 8-bit convolutions by option, or as a program of torch.export.

Inputs are input_ids and attention_mask, int64 of shape (batch, length); the output is logits, (batch, labels)
or (batch, length, labels). What the outputs mean is in the ONNX file's metadata, under ``convnova``. What is
written is run and compared with the model, at sizes that it was not traced with.

n sequences, B batch, L length in bp.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from convnova.console import log_console, say
from convnova.data.labelled import Sequences, pad
from convnova.data.packed import PackedSequences
from convnova.data.reading import read_sequences
from convnova.data.table import SequenceTable
from convnova.errors import InputError, optional
from convnova.evaluation.scores import METRIC_NAMES, score
from convnova.inference.any_model import AnyModel, load_any
from convnova.inference.classify import as_trained
from convnova.inference.export_settings import ExportSettings
from convnova.inference.mutagenesis import is_incremental
from convnova.inference.predict import batches_by_length, predict
from convnova.inference.saved_task import TaskModel, load_task_model
from convnova.sequence import reverse_complement
from convnova.writing import check_new, make_place, whole_file

TRACED, CHECKED = (2, 48), ((1, 33), (3, 257), (2, 1000))
"""Batch and length that a model is traced with, and those that it is compared at."""
TOLERANCE = 1e-4
CALIBRATED = 256
"""Sequences that ranges are measured on, at most."""
_NEEDED = ("ONNX", "onnx")
"""What libraries are needed for, and the extra that brings them."""
INPUTS = ["input_ids", "attention_mask"]


class Logits(nn.Module):
    """A model as a function of ids and mask to logits, without labels and names."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits of ids (B, L)."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).logits


def export(settings: ExportSettings, console: Console | None = None) -> float:
    """Write a model, and return by how much its logits differ from those of the original, at most.

    Raises:
        InputError: for a model that cannot be exported, a library that is missing, files that cannot be read,
            or logits that differ.
    """
    console = console or log_console()
    loaded = load_any(settings.model)
    if not is_incremental(loaded.model):
        raise InputError(f"{settings.model}: only ConvNova without downsampling is exported")
    if settings.test is not None and loaded.kind != "sequences":
        raise InputError("test is for a model of sequences, and this one has an output for each base")
    make_place(settings.output)
    check_new(settings.output, settings.overwrite)
    calibration = (
        None if settings.calibration is None else read_sequences(settings.calibration, settings.read)
    )
    test = None if settings.test is None else _labelled(settings)
    function = Logits(loaded.model).eval()
    with whole_file(settings.output, settings.output.suffix) as staging:
        if settings.format == "torch":
            difference = _export_torch(function, staging)
        else:
            difference = _export_onnx(loaded, function, staging)
        if not difference <= TOLERANCE:
            raise InputError(f"{settings.output}: its logits differ by {difference:.1e}; nothing is written")
        if calibration is not None:
            _quantize(staging, calibration.ids)
            difference = _difference(function, _of_onnx(staging))
        bits = " with 8 bits" if settings.int8 else ""
        say(console, f"logits{bits} differ by {difference:.1e} at most, at sizes up to {CHECKED[-1]}")
        if test is not None:
            _score(test, staging, console)
    say(console, f"-> {settings.output} ({settings.output.stat().st_size / 2**20:.1f} MB)")
    return difference


def _export_torch(function: Logits, path: Path) -> float:
    torch.export.save(torch.export.export(function, _example(*TRACED), dynamic_shapes=_sizes()), path)
    module = torch.export.load(path).module()
    return _difference(function, lambda ids, mask: module(ids, mask).numpy())


def _of_onnx(path: Path) -> Any:
    """Return a file as a function of ids and mask to logits."""
    session = onnx_session(path)
    return lambda ids, mask: onnx_logits(session, ids.numpy(), mask.numpy())


def _sizes() -> dict[str, dict[int, Any]]:
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    return dict.fromkeys(INPUTS, sizes)


def _example(batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Return ids of random bases and their mask; the last sequence is shorter where there are several."""
    generator = torch.Generator().manual_seed(length)
    ids, mask = torch.randint(0, 5, (batch, length), generator=generator), torch.ones(batch, length).long()
    if batch > 1:
        mask[-1, 2 * length // 3 :] = 0
    return ids, mask


def _export_onnx(loaded: AnyModel, function: Logits, path: Path) -> float:
    """Write the file in single precision, and return by how much its logits differ."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        optional(name, *_NEEDED)
    about = {
        "kind": loaded.kind,
        "outputs": list(loaded.names),
        "opposite": list(loaded.opposite),
        "average_strands": loaded.average_strands,
        "window_bp": loaded.window_bp,
        "problem_type": loaded.model.config.problem_type,
        "ids": "A 0, C 1, G 2, T 3, N 4; padding on the right is 4 with attention_mask 0",
    }
    with _quiet():
        program = torch.onnx.export(
            function,
            _example(*TRACED),
            dynamo=True,
            input_names=INPUTS,
            output_names=["logits"],
            dynamic_shapes=_sizes(),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["convnova"] = json.dumps(about)
    program.save(path)
    return _difference(function, _of_onnx(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter warns of, which is of its own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@torch.inference_mode()
def _difference(function: Logits, other: Any) -> float:
    """Return by how much the logits of real positions differ, at most."""
    worst = 0.0
    for size in CHECKED:
        ids, mask = _example(*size)
        difference = np.abs(function(ids, mask).numpy() - other(ids, mask))
        if difference.ndim == 3:
            difference = difference[mask.numpy() == 1]
        worst = max(worst, float(difference.max()))
    return worst


def onnx_session(path: Path) -> Any:
    """Return the session of a file, with as many threads as PyTorch has."""
    runtime = optional("onnxruntime", *_NEEDED)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_logits(session: Any, ids: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
    """Return the logits of ids (B, L)."""
    return session.run(None, {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)})[0]


def onnx_predictions(session: Any, sequences: Sequences, problem: str | None, strands: bool) -> NDArray[Any]:
    """Return what `predict` does, by a session."""
    found: list[Any] = [None] * len(sequences)
    for rows in batches_by_length(sequences.lengths, 2**16):
        ids = [sequences[int(row)] for row in rows]
        values = _activated(onnx_logits(session, *pad(ids)), problem)
        if strands:
            other = onnx_logits(session, *pad([reverse_complement(one) for one in ids]))
            values = np.float32(0.5) * (values + _activated(other, problem))
        for row, value in zip(rows, values, strict=True):
            found[row] = value
    return np.stack(found)


def _activated(logits: NDArray[np.float32], problem: str | None) -> NDArray[np.float32]:
    tensor = torch.from_numpy(logits)
    if problem == "regression":
        return logits
    is_multi = problem == "multi_label_classification"
    return (tensor.sigmoid() if is_multi else tensor.softmax(-1)).numpy()


def _quantize(path: Path, sequences: PackedSequences) -> None:
    """Replace a file by one whose convolutions have 8 bits, ranges measured on sequences."""
    quantization = optional("onnxruntime.quantization", *_NEEDED)
    prepare = optional("onnxruntime.quantization.shape_inference", *_NEEDED).quant_pre_process
    chosen = np.random.default_rng(0).permutation(len(sequences))[:CALIBRATED]
    sequences = sequences.take(np.sort(chosen))
    batches = (pad([sequences[int(i)] for i in rows]) for rows in batches_by_length(sequences.lengths, 2**14))
    feeds = iter([{"input_ids": ids.astype(np.int64), "attention_mask": mask} for ids, mask in batches])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def get_next(self) -> dict[str, Any] | None:
            return next(feeds, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = str(Path(folder) / "prepared.onnx")
        prepare(str(path), prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            str(path),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )


class _Labelled(NamedTuple):
    """A model with its task, and what it is scored on."""

    loaded: TaskModel
    table: SequenceTable
    labels: NDArray[Any]


def _labelled(settings: ExportSettings) -> _Labelled:
    loaded = load_task_model(settings.model)
    assert settings.test is not None
    table = read_sequences(settings.test, as_trained(settings.read, loaded.task))
    return _Labelled(loaded, table, loaded.task.scheme.encode(table))


def _score(test: _Labelled, path: Path, console: Console) -> None:
    """Print the score of the model and of what was written."""
    model, task = test.loaded
    problem, ids = task.scheme.problem_type, test.table.ids
    before = predict(model, ids, task.average_strands)
    after = onnx_predictions(onnx_session(path), ids, problem, task.average_strands)
    scores = [score(problem, test.labels, one)[task.metric] for one in (before, after)]
    say(
        console,
        f"{METRIC_NAMES[task.metric]} on {test.table.source}: {scores[0]:.4f} before, {scores[1]:.4f} after "
        f"({scores[1] - scores[0]:+.4f})",
    )
