"""What a fine-tuned model's folder says of its task, beside the model itself.

task.json               meaning of the outputs, and how predictions are made
trained_sequences.npy   a hash of each sequence that was trained or chosen on
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from convnova.baselines.architectures import SequenceClassifier, any_config, classifier_class
from convnova.data.duplicates import strand_hashes
from convnova.data.label_scheme import LabelScheme
from convnova.data.packed import PackedSequences
from convnova.data.read_settings import TooLong
from convnova.errors import InputError
from convnova.writing import whole_file

_COMMANDS = {"sequences": "classify", "gene-finding": "annotate", "tracks": "predict"}
"""What uses a model, by its task."""

TASK_NAME, TRAINED_NAME = "task.json", "trained_sequences.npy"


@dataclass(frozen=True)
class SavedTask:
    """How labels were read and predictions are made."""

    scheme: LabelScheme
    """Meaning of the model's outputs."""
    metric: str
    """The task's own score."""
    average_strands: bool
    """Whether a prediction is the mean of those for both strands."""
    max_length_bp: int | None = None
    """Longest sequence that was trained on as it was; None where no limit was given."""
    too_long: TooLong = "refuse"
    """What was done with a longer one."""
    window_bp: int | None = None
    """Length of the training sequences, where all have one; None where they differ, or it was not noted."""

    def to_dict(self) -> dict[str, Any]:
        """Return what `task.json` holds."""
        return vars(self) | {"scheme": self.scheme.to_dict()}


class TaskModel(NamedTuple):
    """A fine-tuned model and its task."""

    model: SequenceClassifier
    task: SavedTask


def write_trained(folder: Path, *parts: PackedSequences) -> None:
    """Note the sequences that a model was trained or chosen on."""
    hashes = np.unique(np.concatenate([strand_hashes(part) for part in parts]))
    with whole_file(folder / TRAINED_NAME) as staging, staging.open("wb") as file:
        np.save(file, hashes)


def count_trained(folder: Path, sequences: PackedSequences) -> int | None:
    """Return how many a model was trained or chosen on, either strand; None where that is not noted."""
    path = folder / TRAINED_NAME
    if not path.exists():
        return None
    return int(np.isin(strand_hashes(sequences), np.load(path)).sum())


def load_task_model(folder: Path) -> TaskModel:
    """Return the model of a task that `convnova finetune` wrote.

    Raises:
        InputError: when the folder holds none, or a model with another head.
    """
    content = read_record(folder, "sequences", "evaluate or classify")
    try:
        scheme = LabelScheme.from_dict(content.pop("scheme"))
        task = SavedTask(scheme, **content)
    except (ValueError, KeyError, TypeError):
        raise _unreadable(folder) from None
    return TaskModel(load_strictly(folder, scheme.num_labels), task)


def task_of(folder: Path) -> str | None:
    """Return the kind of task that the model of a folder was made for; None where none is noted.

    Raises:
        InputError: when there is no such folder, or its record cannot be read.
    """
    _check_folder(folder)
    return _record(folder).get("task", "sequences") if (folder / TASK_NAME).exists() else None


def read_record(folder: Path, task: str, use: str) -> dict[str, Any]:
    """Return what `task.json` says of a task, but for its kind.

    Args:
        folder: of the model.
        task: the kind of task that is wanted, as `convnova finetune --task` has it.
        use: what it is wanted for, as an error says it.

    Raises:
        InputError: when there is no such record, or it is of another kind of task.
    """
    _check_folder(folder)
    if not (folder / TASK_NAME).exists():
        what = _architecture(folder)
        raise InputError(
            f"{folder}: {what}, and no {TASK_NAME}: it was not made for a task; "
            "give a folder that `convnova finetune` wrote, or fine-tune this one first"
        )
    content = _record(folder)
    found = content.pop("task", "sequences")
    if found != task:
        give = f"give a folder that `convnova finetune --task {task}` wrote"
        raise InputError(
            f"{folder}: its model was made for {found}, and to {use} it takes one for {task}; "
            + (f"use convnova {_COMMANDS[found]} for it, or {give}" if found in _COMMANDS else give)
        )
    return content


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; give one that `convnova finetune` or `pretrain` wrote"
        )


def _record(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / TASK_NAME).read_text())
    except ValueError:
        raise _unreadable(folder) from None
    if not isinstance(content, dict):
        raise _unreadable(folder)
    return content


def _unreadable(folder: Path) -> InputError:
    return InputError(f"{folder / TASK_NAME}: it cannot be read as the record of a task; fine-tune again")


def load_strictly(folder: Path, outputs: int, kind: Any = None) -> Any:
    """Return a model from its folder.

    Args:
        folder: of the model.
        outputs: how many the record of its task has.
        kind: class of the model; default that of its architecture for labels of sequences.

    Raises:
        InputError: when it cannot be loaded, a tensor is missing or left over, or it has other outputs.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    config = any_config(folder)
    try:
        model, loading = (kind or classifier_class(config)).from_pretrained(
            folder, config=config, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: its model cannot be loaded ({str(error).splitlines()[0]}); fine-tune again"
        ) from None
    # Transformers fills a missing tensor with random numbers and drops one too many, without an error.
    unexplained = sorted({*loading["missing_keys"], *loading["unexpected_keys"]})
    if unexplained:
        raise InputError(
            f"{folder}: config.json and the weights are not of one model ({len(unexplained)} tensors are "
            f"missing or too many, the first {unexplained[0]}); put back the config.json that belongs to them"
        )
    if model.config.num_labels != outputs:
        raise InputError(
            f"{folder}: the model has {model.config.num_labels} outputs and {TASK_NAME} {outputs}; "
            "they are not of one run: fine-tune again"
        )
    return model.eval()


def _architecture(folder: Path) -> str:
    try:
        names = json.loads((folder / "config.json").read_text())["architectures"]
        return f"its model is a {names[0]}"
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "there is no model in it"
