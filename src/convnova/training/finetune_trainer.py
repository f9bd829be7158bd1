"""The Trainer of fine-tuning: it scores the averaged weights on validation and keeps the best of them.

One path makes every prediction, here, on the test part and for new sequences: `convnova.inference.predict`.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, TrainerState

from convnova.data.labelled import AugmentedBatches, LabelledPart
from convnova.errors import InputError
from convnova.evaluation.scores import goodness, score
from convnova.inference.predict import predict
from convnova.model.modeling_convnova import sequence_loss
from convnova.precision import resolve_precision
from convnova.training.arguments import KEPT_CHECKPOINTS
from convnova.training.choice import Choice, ChoosingTrainer
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.label_scale import LabelScale
from convnova.training.label_weights import positive_weights
from convnova.training.mixup import mix


class FinetuneTrainer(ChoosingTrainer):
    """A Trainer that keeps, in memory, the weights that did best on validation.

    Nothing is written while it trains but checkpoints, where these are wanted, so a full disk or a kill
    leaves no half-written model.
    """

    def __init__(
        self,
        settings: FinetuneSettings,
        selection: str,
        train: LabelledPart,
        validation: LabelledPart,
        output: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            args=finetune_arguments(settings, len(train), output),
            train_dataset=train,
            eval_dataset=validation,
            optimizer_settings=settings.optimizer,
            selection=selection,
            averaging=settings.weight_averaging,
            patience=settings.patience,
            **kwargs,
        )
        is_regression = self.model.config.problem_type == "regression"
        self.scale = LabelScale.of(train) if is_regression else None
        """What training labels are brought to; scores are of values in their own units."""
        if self.scale is not None:
            self.train_dataset = self.scale.standardise(train)
        self.model_accepts_loss_kwargs = False  # the loss is the mean over its batch
        self.remove_callback(PrinterCallback)
        self.use(settings)

    def use(self, settings: FinetuneSettings) -> None:
        """Begin anew with these settings, as if no evaluation had been made."""
        self.settings, self.optimizer_settings = settings, settings.optimizer
        self.seed = settings.seed + int(os.environ.get("RANK", 0))
        self.data_collator = AugmentedBatches(settings.augmentation, self.seed)
        self.positive_weights = None
        if settings.label_weighting != "none":
            weights = positive_weights(self.train_dataset, settings.label_weighting)
            self.positive_weights = torch.from_numpy(weights).to(self.args.device)
        if self.average is not None:
            self.average.decay = settings.weight_averaging
        self.choice, self.patience = Choice(self.choice.selection), settings.patience

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Return the model's loss, of mixtures where these are wanted."""
        labels, mixed = inputs.pop("labels"), None
        if self.settings.mixup:
            rng = np.random.default_rng((self.seed, 2, self.state.global_step))
            mixed = mix(inputs, self.settings.mixup, rng)
            inputs = mixed.inputs
        outputs = model(**inputs)
        loss = self._loss(outputs.logits, labels)
        if mixed is not None:
            other = self._loss(outputs.logits, labels[mixed.partner])
            loss = mixed.share * loss + (1 - mixed.share) * other
        return (loss, outputs) if return_outputs else loss

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, with label smoothing and weights of positives where these are wanted."""
        if self.positive_weights is None:
            problem = self.model.config.problem_type
            return sequence_loss(problem, logits, labels, self.settings.label_smoothing)
        logits, weights = logits.float(), self.positive_weights
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), pos_weight=weights)

    def scores_now(self) -> dict[str, float]:
        """Return the scores on validation, by name, of values in their own units."""
        validation, config = self.eval_dataset, self.model.config
        predictions = predict(self.model, validation.ids, self.settings.average_strands)
        if self.scale is not None:
            predictions = self.scale.restore(predictions)
        return score(config.problem_type, validation.labels, predictions)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / TRAINER_STATE_NAME))
        self.data_collator.batches = state.global_step

    def goodness(self) -> float:
        """Return how good the model is now, on validation; the higher the better."""
        return goodness(self.choice.selection, self.scores_now())


def finetune_arguments(
    settings: FinetuneSettings, sequences: int, output: Path | None = None
) -> TrainingArguments:
    """Return the settings in the words of the Transformers Trainer, for so many training sequences.

    `output` is the folder for checkpoints, None where there will be none.

    Raises:
        InputError: for a batch that the processes cannot share, or a precision that this machine lacks.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    per_process, remainder = divmod(settings.batch_sequences, processes)
    if remainder:
        raise InputError(
            f"batch_sequences {settings.batch_sequences} cannot be shared by {processes} processes; "
            f"give a multiple of {processes}"
        )
    steps_per_epoch = -(-sequences // settings.batch_sequences)
    steps = min(settings.epochs * steps_per_epoch, settings.most_steps or sys.maxsize)
    evaluation_steps = -(-steps_per_epoch // settings.evaluations_per_epoch)
    precision = resolve_precision(settings.precision)
    has_gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(output or tempfile.gettempdir()),  # the Trainer makes this folder
        max_steps=steps,
        per_device_train_batch_size=per_process,
        learning_rate=settings.optimizer.learning_rate,
        weight_decay=settings.optimizer.weight_decay,
        adam_beta1=settings.optimizer.adam_beta1,
        adam_beta2=settings.optimizer.adam_beta2,
        max_grad_norm=settings.optimizer.max_gradient_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not has_gpu,
        remove_unused_columns=False,
        logging_steps=evaluation_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=evaluation_steps,
        save_strategy="no",  # by the clock, see SaveByTheClock, or not at all
        save_total_limit=KEPT_CHECKPOINTS,
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        ddp_backend="gloo" if processes > 1 and not has_gpu else None,
    )
    # Without torchrun the Trainer would spread over all GPUs by DataParallel and multiply the batch.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
