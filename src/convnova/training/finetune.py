"""Fine-tuning: a pretrained backbone, or none, and labelled sequences to a classifier chosen on validation.

The test part is no argument here, so it cannot take part in any choice.

n sequences, K classes.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from convnova.data.labelled import LabelledSequences, collate, pad
from convnova.errors import InputError
from convnova.evaluation.classification import score_classifier
from convnova.evaluation.mode import evaluating
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import reverse_complement
from convnova.training.checkpoints import write_model
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.optimization import ScheduledTrainer
from convnova.training.weights import WeightsReport, load_pretrained


class Evaluation(NamedTuple):
    """One look at the validation part during fine-tuning."""

    epoch: float
    loss: float
    """Cross-entropy in nats per sequence."""
    auroc: float
    auprc: float
    mcc: float
    f1: float
    accuracy: float


class Finetuned(NamedTuple):
    """A classifier and how it came about."""

    model: ConvNovaForSequenceClassification
    """With the weights of `best`, in evaluation mode."""
    weights: WeightsReport | None
    """What was taken from the pretrained model; None from scratch."""
    evaluations: list[Evaluation]
    """On the validation part, in order."""
    best: Evaluation
    """The first with the highest selection score."""


def finetune(
    pretrained: Path | None,
    config: ConvNovaConfig,
    train: LabelledSequences,
    validation: LabelledSequences,
    settings: FinetuneSettings,
    output: Path,
    console: Console | None = None,
) -> Finetuned:
    """Train a classifier and return it with the weights that did best on the validation part.

    Args:
        pretrained: folder of the model to start from; None starts from random weights.
        config: of the classifier; its backbone must be the pretrained one's.
        train: sequences to learn from.
        validation: sequences to choose on.
        settings: how to train.
        output: folder for the model and its tokenizer as `from_pretrained` reads them; passing files lie in
            it while it trains.
        console: where progress goes; default nowhere.

    Raises:
        InputError: for labels outside the classes, or weights that do not fit.
    """
    for name, part in (("training", train), ("validation", validation)):
        _check_labels(part, config.num_labels, name)
    console = console or Console(quiet=True)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    set_seed(settings.seed)
    model = ConvNovaForSequenceClassification(config)
    weights = None if pretrained is None else load_pretrained(model, pretrained)
    passing = output / "training"
    progress = _Progress(console, settings.selection)
    callbacks: list[TrainerCallback] = [progress]
    if settings.patience is not None:
        callbacks.append(EarlyStoppingCallback(settings.patience))
    trainer = ScheduledTrainer(
        model=model,
        args=_arguments(settings, len(train), passing),
        train_dataset=_BothStrands(train, settings.seed) if settings.reverse_complement else train,
        eval_dataset=validation,
        data_collator=collate,
        compute_metrics=_scores,
        callbacks=callbacks,
        optimizer_settings=settings.optimizer,
    )
    trainer.model_accepts_loss_kwargs = False  # a classifier's loss is the mean over its batch
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train()
    finally:
        progress.close()
    evaluations = [
        Evaluation(row["epoch"], *(row[f"eval_{name}"] for name in Evaluation._fields[1:]))
        for row in trainer.state.log_history
        if "eval_loss" in row
    ]
    write_model(model.eval(), output)
    shutil.rmtree(passing, ignore_errors=True)
    best = max(evaluations, key=lambda evaluation: getattr(evaluation, settings.selection))
    return Finetuned(model, weights, evaluations, best)


@torch.no_grad()
def predict_probabilities(
    model: Any, sequences: LabelledSequences, batch_sequences: int = 256
) -> NDArray[np.float32]:
    """Return the probability of each class, (n, K); the model's mode is restored."""
    device = next(model.parameters()).device
    rows = []
    with evaluating(model):
        for first in range(0, len(sequences), batch_sequences):
            ids, mask = pad(sequences.ids[first : first + batch_sequences])
            inputs = {"input_ids": torch.from_numpy(ids).long().to(device)}
            if not mask.all():
                inputs["attention_mask"] = torch.from_numpy(mask).to(device)
            rows.append(model(**inputs).logits.float().softmax(-1).cpu().numpy())
    return np.concatenate(rows)


def _arguments(settings: FinetuneSettings, sequences: int, passing: Path) -> TrainingArguments:
    """Return the Trainer's arguments for so many training sequences; it writes into the folder `passing`."""
    steps_per_epoch = -(-sequences // settings.batch_sequences)
    return TrainingArguments(
        output_dir=str(passing),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_sequences,
        per_device_eval_batch_size=4 * settings.batch_sequences,
        learning_rate=settings.optimizer.learning_rate,
        weight_decay=settings.optimizer.weight_decay,
        adam_beta1=settings.optimizer.adam_beta1,
        adam_beta2=settings.optimizer.adam_beta2,
        max_grad_norm=settings.optimizer.max_gradient_norm,
        bf16=settings.precision == "bf16",
        fp16=settings.precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_strategy="no",
        eval_strategy="steps",
        eval_steps=-(-steps_per_epoch // settings.evaluations_per_epoch),
        save_strategy="best",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model=settings.selection,
        greater_is_better=True,
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
    )


class _BothStrands(torch.utils.data.Dataset):
    """Training sequences, each read from a random strand every time."""

    def __init__(self, sequences: LabelledSequences, seed: int):
        self.sequences, self.rng = sequences, np.random.default_rng((seed, 1))

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        ids, label = self.sequences[index]
        return (reverse_complement(ids) if self.rng.random() < 0.5 else ids), label


class _Progress(TrainerCallback):
    """A live bar on a terminal; a line for each evaluation elsewhere."""

    def __init__(self, console: Console, selection: str):
        self.console, self.selection = console, selection
        self.bar: Progress | None = None
        self.now = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar."""
        if self.console.is_terminal and not self.console.quiet:
            now = TextColumn("{task.fields[now]}")
            columns = [TextColumn("  fine-tuning"), BarColumn(), MofNCompleteColumn(), now]
            self.bar = Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=self.console)
            self.task = self.bar.add_task("", total=state.max_steps, now="")
            self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step, now=self.now)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kw: Any) -> None:
        """Tell the scores."""
        score = metrics[f"eval_{self.selection}"]
        self.now = f"validation {self.selection} {score:.4f}"
        if self.bar is None:
            self.console.print(
                f"  epoch {state.epoch:.1f}: validation loss {metrics['eval_loss']:.4f}, "
                f"{self.selection} {score:.4f}",
                highlight=False,
            )

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _scores(prediction: Any) -> dict[str, float]:
    """Return the scores of one evaluation from logits (n, K)."""
    logits = torch.from_numpy(prediction.predictions).float()
    scores = score_classifier(prediction.label_ids, logits.softmax(-1).numpy(), resamples=0)
    return {name: getattr(scores, name) for name in Evaluation._fields[2:]}


def _check_labels(part: LabelledSequences, classes: int, name: str) -> None:
    low, high = int(np.min(part.labels)), int(np.max(part.labels))
    if low < 0 or high >= classes:
        raise InputError(
            f"{name} labels run from {low} to {high}, and the model has {classes} classes, "
            f"0 to {classes - 1}; give the model as many classes as there are labels"
        )
