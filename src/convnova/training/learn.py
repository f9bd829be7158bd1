"""One task, one model, one seed: train and choose on validation; then, once, score the test part.

This is what `convnova finetune` does with a user's files and `convnova benchmark` with each job of a suite.
"""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from convnova.data.label_scheme import LabelScheme
from convnova.data.labelled import LabelledPart
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.evaluation.bootstrap import Interval, bootstrap_interval
from convnova.evaluation.scores import score
from convnova.inference.predict import predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.presets import dilations_of_field, preset
from convnova.training.finetune import Finetuned, finetune
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.weights import WEIGHTS_NAME, pretrained_config

PRESET, SCRATCH = "preset:", "scratch:"
"""Before the name of a preset; before the folder of a model whose architecture alone is wanted."""


class Task(Protocol):
    """What a model is trained, chosen and tested on: parts in memory, or read when they are asked for."""

    @property
    def train(self) -> LabelledPart:
        """To learn from."""

    @property
    def validation(self) -> LabelledPart | None:
        """To choose on."""

    @property
    def test(self) -> LabelledPart | None:
        """Read once."""

    @property
    def scheme(self) -> LabelScheme:
        """What the labels mean."""


class Start(NamedTuple):
    """What training begins with."""

    pretrained: Path | None
    """Folder of a pretrained model; None is random weights."""
    config: ConvNovaConfig


class Measured(NamedTuple):
    """What a model reached on the test part."""

    predictions: NDArray[np.float32]
    """As `predict` returns them, (n, K)."""
    scores: dict[str, float]
    """By metric."""
    interval: Interval
    """95 % bootstrap interval of the score that the model was chosen by."""


def learn(
    task: Task,
    model: str,
    network: TaskNetworkSettings,
    training: FinetuneSettings,
    console: Console | None = None,
) -> Finetuned:
    """Train a model on a task and choose it on validation.

    Args:
        task: its parts; validation must be there, test is not looked at.
        model: ``preset:NAME``, the folder of a pretrained model, or ``scratch:FOLDER`` for its architecture
            with random weights.
        network: what to change of it.
        training: how to train.
        console: where progress goes; default nowhere.

    Raises:
        InputError: when there is no such model, its weights do not fit, or validation is missing.
    """
    if task.validation is None:
        raise InputError("the task has no validation part; hold out a share of train to choose on")
    start = starting_point(model, network, task)
    return finetune(start.pretrained, start.config, task.train, task.validation, training, console)


def measure(made: Finetuned, task: LabelledTask, average_strands: bool) -> Measured:
    """Score a model on the test part of its task; do it once, when everything is chosen.

    Raises:
        InputError: when there is no test part.
    """
    if task.test is None:
        raise InputError("the task has no test part; give one, or hold out a share of train with test_share")
    predictions = predict(made.model, task.test.ids, average_strands)
    problem, labels = task.scheme.problem_type, task.test.labels
    interval = bootstrap_interval(problem, made.selection, labels, predictions)
    return Measured(predictions, score(problem, labels, predictions), interval)


def starting_point(model: str, network: TaskNetworkSettings, task: Task) -> Start:
    """Return the configuration of a task's model, and where its weights come from.

    Raises:
        InputError: for an unknown preset, a folder without model, or a change that it cannot have.
    """
    head: dict[str, Any] = {
        "problem_type": task.scheme.problem_type,
        "id2label": dict(enumerate(task.scheme.names)),
        "label2id": {name: index for index, name in enumerate(task.scheme.names)},
    }
    length = int(np.median(task.train.ids.lengths))
    changes = network.changes() | {"pooling_segments": max(1, round(length / network.segment_bp))}
    if not model.startswith(PRESET):
        _check_changes(model, network)
        folder = Path(model.removeprefix(SCRATCH))
        config = pretrained_config(folder, **changes, **head)
        return Start(None if model.startswith(SCRATCH) else folder, config)
    config = preset(model.removeprefix(PRESET), **changes, **head)
    if network.receptive_field == "sequence":
        config.dilations = dilations_of_field(length, config.kernel_size, len(config.dilations))
    return Start(None, config)


def check_model(model: str, network: TaskNetworkSettings) -> None:
    """Check that a model can be begun with, before any data are read.

    Raises:
        InputError: for an unknown preset, a folder without model, or a change that it cannot have.
    """
    if model.startswith(PRESET):
        preset(model.removeprefix(PRESET), **network.changes())
        return
    folder = Path(model.removeprefix(SCRATCH))
    pretrained_config(folder)
    _check_changes(model, network)
    if not model.startswith(SCRATCH) and not (folder / WEIGHTS_NAME).exists():
        raise InputError(f"{folder}: there is no {WEIGHTS_NAME} in it; give the folder of a finished run")


def _check_changes(model: str, network: TaskNetworkSettings) -> None:
    fixed = [name for name in network.changes() if name not in _FREE]
    if network.receptive_field != "preset":
        fixed.append("receptive_field")
    if fixed:
        raise InputError(
            f"{model}: the architecture of a folder is settled, so {fixed[0]} cannot be given; leave it out, "
            "or start from a preset"
        )


_FREE = ("dropout", "pooling", "classifier_dropout")
"""Settings of a network that change none of the backbone's weights."""
