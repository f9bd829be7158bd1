"""Fine-tuning: a pretrained backbone, or none, and labelled sequences to a model chosen on validation.

The test part is no argument here, so it cannot take part in any choice.

n sequences, K classes, labels or values.
"""

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from torch import nn
from transformers import set_seed

from convnova.baselines.architectures import AnyConfig, SequenceClassifier, sequence_classifier
from convnova.baselines.byte_pairs import train_byte_pairs
from convnova.baselines.dnabert2 import DNABERT2Config
from convnova.data.labelled import LabelledPart
from convnova.errors import InputError
from convnova.evaluation.scores import METRICS, SELECTION
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import decode
from convnova.training.arguments import quiet_libraries
from convnova.training.callbacks import SaveByTheClock, train_to_end
from convnova.training.choice import Evaluation
from convnova.training.finetune_progress import Progress
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.finetune_trainer import FinetuneTrainer
from convnova.training.label_weights import begin_at, positive_logits, positive_weights
from convnova.training.memory import check_memory
from convnova.training.probe import fit_head
from convnova.training.run_folder import is_main_process
from convnova.training.weights import WeightsReport, load_pretrained

WORDS_FROM = 20_000
"""Most training sequences from which byte-pair words are made."""


class Checkpoints(NamedTuple):
    """How a long run is saved on the way."""

    output: Path
    """Folder for them."""
    minutes: float
    """Between two of them; SIGTERM saves one at once."""
    go_on_from: str | None
    """The last one of the run so far; None at its start."""
    record: Callable[[SequenceClassifier, WeightsReport | None], None]
    """Writes down what run this is; called once, in one process, when all of them are there."""


class Finetuned(NamedTuple):
    """A model of a task and how it came about."""

    model: SequenceClassifier
    """With the weights of `best`, in evaluation mode."""
    weights: WeightsReport | None
    """What was taken from the pretrained model; None from scratch."""
    evaluations: list[Evaluation]
    """On the validation part, in order."""
    best: Evaluation
    """The one with the best selection score; of equal ones, that with the lowest loss."""
    selection: str
    """Name of that score."""
    seconds: float
    """Wall time of training, with its looks at validation."""


def finetune(
    pretrained: Path | None,
    config: AnyConfig,
    train: LabelledPart,
    validation: LabelledPart,
    settings: FinetuneSettings,
    console: Console | None = None,
    checkpoints: Checkpoints | None = None,
) -> Finetuned:
    """Train a model of a task and return it with the weights that did best on the validation part.

    Args:
        pretrained: folder of the model to start from; None starts from random weights.
        config: of the model, with `problem_type` and `num_labels`; its backbone must be the pretrained one's.
        train: sequences to learn from.
        validation: sequences to choose on.
        settings: how to train.
        console: where progress goes; default nowhere.
        checkpoints: where and when the run is saved on the way; default never.

    Raises:
        InputError: for labels outside the classes, weights that do not fit, or too little memory.
        TerminatedError: after SIGTERM, with a checkpoint saved.
    """
    config.problem_type = config.problem_type or "single_label_classification"
    selection = settings.selection or SELECTION[config.problem_type]
    if selection not in METRICS[config.problem_type]:
        raise InputError(
            f"selection is {selection}, which {config.problem_type.replace('_', ' ')} has not; "
            f"choose one of {', '.join(METRICS[config.problem_type])}"
        )
    _check_regularisation(settings, config)
    for name, part in (("training", train), ("validation", validation)):
        _check_labels(part, config, name)
    is_ours = isinstance(config, ConvNovaConfig)
    if is_ours and settings.method == "whole-model" and not settings.gradient_checkpointing:
        batch, longest = min(settings.batch_sequences, len(train)), int(train.ids.lengths.max())
        advice = "max_length_bp and too_long, lower batch_sequences, or set gradient_checkpointing"
        check_memory(config, batch, longest, f"crop what is too long by {advice}")
    quiet_libraries()
    set_seed(settings.seed)
    make_words(config, train)
    model, weights = make_model(pretrained, config, train, settings)
    began = time.perf_counter()
    output = None if checkpoints is None else checkpoints.output
    trainer = FinetuneTrainer(settings, selection, train, validation, output, model=model)
    if checkpoints is not None and is_main_process():
        checkpoints.record(model, weights)
    if settings.method == "logistic-regression":
        fit_head(model, trainer.train_dataset, settings.augmentation.reverse_complement, trainer.goodness)
        trainer.evaluate()
    else:
        progress = Progress(console or Console(quiet=True), selection)
        trainer.add_callback(progress)
        clock = None if checkpoints is None else SaveByTheClock(checkpoints.minutes)
        if clock is not None:
            trainer.add_callback(clock)
        train_to_end(trainer, progress, clock, None if checkpoints is None else checkpoints.go_on_from)
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    model.load_state_dict(trainer.choice.weights)
    if trainer.scale is not None:
        trainer.scale.fold_into(model.classifier)
    assert trainer.choice.best is not None
    seconds = time.perf_counter() - began
    return Finetuned(
        model.eval(), weights, trainer.choice.evaluations, trainer.choice.best, selection, seconds
    )


def make_words(config: AnyConfig, train: LabelledPart) -> None:
    """Give a system of byte-pair words those of the training sequences, where it has none."""
    if isinstance(config, DNABERT2Config) and config.tokenizer is None:
        sequences = islice(train.ids, WORDS_FROM)
        config.tokenizer = train_byte_pairs(map(decode, sequences), config.vocab_size)


def make_model(
    pretrained: Path | None, config: AnyConfig, train: LabelledPart, settings: FinetuneSettings
) -> tuple[SequenceClassifier, WeightsReport | None]:
    """Return the model to train, and what became of the pretrained weights.

    The head for independent labels begins at their shares of `train`.
    """
    model = sequence_classifier(config)
    if config.problem_type == "multi_label_classification" and isinstance(model.classifier, nn.Linear):
        weighting = settings.label_weighting
        weights = None if weighting == "none" else positive_weights(train, weighting)
        begin_at(model.classifier, positive_logits(train, weights))
    report = None if pretrained is None else load_pretrained(model, pretrained)
    if settings.method != "whole-model":
        model.base_model.requires_grad_(False)
    if settings.gradient_checkpointing and isinstance(model, ConvNovaForSequenceClassification):
        model.activation_checkpointing_enable()
    return model, report


def _check_regularisation(settings: FinetuneSettings, config: AnyConfig) -> None:
    """Check that nothing is asked for that would be left out without a word."""
    problem_type = config.problem_type
    if not isinstance(config, ConvNovaConfig):
        for name in ("mixup", "gradient_checkpointing"):
            if getattr(settings, name):
                raise InputError(f"{name} is for ConvNova, and not for {config.model_type}; leave it out")
    if settings.label_smoothing and problem_type != "single_label_classification":
        raise InputError("label_smoothing is for one class a sequence; leave it out for other labels")
    if settings.label_weighting != "none" and problem_type != "multi_label_classification":
        raise InputError("label_weighting is for independent labels; leave it out for classes and values")
    if settings.gradient_checkpointing and settings.method != "whole-model":
        raise InputError(
            "gradient_checkpointing is for the whole model: a frozen one keeps nothing; leave it out"
        )
    if settings.method == "logistic-regression":
        for name in ("mixup", "label_smoothing", "label_weighting"):
            if getattr(settings, name) not in (0, "none"):
                raise InputError(f"a regression on embeddings has no {name}; leave it out")


def _check_labels(part: LabelledPart, config: AnyConfig, name: str) -> None:
    if config.problem_type != "single_label_classification":
        return
    low, high = int(np.min(part.labels)), int(np.max(part.labels))
    if low < 0 or high >= config.num_labels:
        raise InputError(
            f"{name} labels run from {low} to {high}, and the model has {config.num_labels} classes, "
            f"0 to {config.num_labels - 1}; give the model as many classes as there are labels"
        )
