"""One task, one model, one seed: train and choose on validation; then, once, score the test part.

This is what `convnova finetune` does with a user's files and `convnova benchmark` with each job of a suite.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from convnova.baselines.backbone import BaselineConfig, check_length
from convnova.baselines.hyenadna import HyenaDNAConfig
from convnova.baselines.supervised import SupervisedConfig
from convnova.data.label_scheme import LabelScheme
from convnova.data.labelled import LabelledPart
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.evaluation.bootstrap import Interval, bootstrap_interval
from convnova.evaluation.scores import score
from convnova.inference.predict import predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.presets import dilations_of_field
from convnova.training.finetune import Checkpoints, Finetuned, finetune
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.start import PRESET, Start, start
from convnova.training.task_settings import TaskNetworkSettings


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
    checkpoints: Checkpoints | None = None,
) -> Finetuned:
    """Train a model on a task and choose it on validation.

    Args:
        task: its parts; validation must be there, test is not looked at.
        model: ``preset:NAME``, the folder of a pretrained model, or ``scratch:FOLDER`` for its architecture
            with random weights.
        network: what to change of it.
        training: how to train.
        console: where progress goes; default nowhere.
        checkpoints: where and when the run is saved on the way; default never.

    Raises:
        InputError: when there is no such model, its weights do not fit, or validation is missing.
        TerminatedError: after SIGTERM, with a checkpoint saved.
    """
    if task.validation is None:
        raise InputError("the task has no validation part; hold out a share of train to choose on")
    began = starting_point(model, network, task)
    return finetune(
        began.pretrained, began.config, task.train, task.validation, training, console, checkpoints
    )


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
    length = int(np.median(task.train.ids.lengths))
    found = start(
        model,
        network,
        task.scheme.names,
        problem_type=task.scheme.problem_type,
        pooling_segments=max(1, round(length / network.segment_bp)),
    )
    config = found.config
    if isinstance(config, BaselineConfig):
        parts = [part for part in (task.train, task.validation, task.test) if part is not None]
        longest = max(int(part.ids.lengths.max()) for part in parts)
        if model.startswith(PRESET) and isinstance(config, SupervisedConfig):
            config.input_bp = max(longest, config.shortest_bp)
        is_open = model.startswith(PRESET) and "max_positions" not in network.system
        if is_open and isinstance(config, HyenaDNAConfig):
            # Filters decay over the longest sequence: made for 64 kb, they would hardly vary over 100 bp.
            config.max_positions = longest
        check_length(config, longest)
    if network.receptive_field == "sequence":
        if not isinstance(config, ConvNovaConfig):
            raise InputError(f"{model}: receptive_field is for ConvNova; leave it out")
        config.dilations = dilations_of_field(length, config.kernel_size, len(config.dilations))
    return found
