"""What all Trainers here share: the published schedule and weight decay, and checkpoints that are whole."""

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from convnova.training.checkpoints import check_finite, flush_to_disk, staging_folder
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


class ScheduledTrainer(Trainer):
    """A Trainer whose `optimizer_settings` fix the schedule and what decays; its checkpoints are whole."""

    lr_scheduler: Any

    def __init__(self, *args: Any, optimizer_settings: OptimizerSettings, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.optimizer_settings = optimizer_settings

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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint into a folder of another name, then rename it: readers see all of it or none."""
        check_finite(self.model, self.state.global_step)
        run, is_writer = Path(self.args.output_dir), self.args.should_save
        name = f"checkpoint-{self.state.global_step}"
        with staging_folder(run, name, is_writer) as staging:
            self._checkpoint_parent = staging
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if is_writer:
                self.save_more(staging / name)
                flush_to_disk(staging / name)
                shutil.rmtree(run / name, ignore_errors=True)
                (staging / name).rename(run / name)
        del self._checkpoint_parent
        if is_writer:
            rotate_checkpoints(output_dir=str(run), save_total_limit=self.args.save_total_limit)

    def save_more(self, checkpoint: Path) -> None:
        """Write into a checkpoint what this Trainer needs besides the Transformers Trainer's own state."""

    def _get_output_dir(self, trial: Any) -> str:
        """Return where `_save_checkpoint` of the Trainer puts the folder of a checkpoint."""
        return str(getattr(self, "_checkpoint_parent", self.args.output_dir))
