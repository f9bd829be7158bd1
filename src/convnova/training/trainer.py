"""The Transformers Trainer, held to what a long pretraining run needs.

What differs from the Trainer's own ways: examples come in the order of the data set, which is itself a
function of the seed; the loss is divided by the weight of predicted bases over all processes; the schedule
is the published one; a checkpoint appears whole or not at all; validation is scored base by base.
"""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from convnova.data.masking import NO_LABEL
from convnova.errors import InputError
from convnova.evaluation.masked_lm import score_model, summarise
from convnova.training.settings import OptimizerSettings

FIRST_LEARNING_RATE = 1e-6


def learning_rate_factor(step: int, total_steps: int, settings: OptimizerSettings) -> float:
    """Return the learning rate at a step as a share of the highest: linear warm-up, then a cosine."""
    warmup_steps = math.ceil(settings.warmup_share * total_steps)
    if step < warmup_steps:
        first = FIRST_LEARNING_RATE / settings.learning_rate
        return first + (1 - first) * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * progress))


class PretrainingTrainer(Trainer):
    """A Trainer for `PretrainingWindows`; `optimizer_settings` fixes the optimiser and its schedule."""

    def __init__(self, *args: Any, optimizer_settings: OptimizerSettings, **kwargs: Any):
        super().__init__(*args, data_collator=_as_tensors, **kwargs)
        self.optimizer_settings = optimizer_settings

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        """Return the weight of all predicted bases of this step, over its passes and over all processes."""
        total = torch.zeros((), device=device)
        for batch in batch_samples:
            is_labelled = batch["labels"] != NO_LABEL
            weights = batch.get("loss_weights")
            total += (is_labelled if weights is None else weights * is_labelled).sum().to(device)
        return self.accelerator.reduce(total, "sum").clamp(min=1)

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """Return the parameters with weight decay: matrices and kernels, or all of them as released."""
        is_released = self.optimizer_settings.decay_protocol == "released"
        return [name for name, parameter in model.named_parameters() if is_released or parameter.dim() > 1]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return the published schedule, per step."""
        if self.lr_scheduler is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: learning_rate_factor(step, num_training_steps, self.optimizer_settings),
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return and log the scores of the validation windows; every process computes the same."""
        with self.compute_loss_context_manager():
            scores = summarise(
                "", score_model(self.model, self.eval_dataset, self.args.per_device_eval_batch_size)
            )
        metrics = {
            "eval_loss": scores.nats_per_base,
            "eval_bits_per_base": scores.bits_per_base,
            "eval_accuracy": scores.accuracy,
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint into a folder of another name, then rename it: readers see all of it or none."""
        run_folder = Path(self.args.output_dir)
        name = f"checkpoint-{self.state.global_step}"
        staging = run_folder / "incomplete"
        self._staging, is_writer = staging, self.args.should_save
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if is_writer:
                _flush_to_disk(staging / name)
                shutil.rmtree(run_folder / name, ignore_errors=True)
                (staging / name).rename(run_folder / name)
        except (
            OSError,
            RuntimeError,
        ) as error:  # safetensors and torch.save report a full disk in their own ways
            raise InputError(
                f"{run_folder / name}: the checkpoint could not be written ({error}); free some space, then go on "
                "from the checkpoint before it with --resume true"
            ) from error
        finally:
            del self._staging
            if is_writer:
                shutil.rmtree(staging, ignore_errors=True)
        if is_writer:
            rotate_checkpoints(
                output_dir=str(run_folder), save_total_limit=self.args.save_total_limit, use_mtime=True
            )

    def _get_output_dir(self, trial: Any) -> str:
        return str(getattr(self, "_staging", self.args.output_dir))


def _as_tensors(batch: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _flush_to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
