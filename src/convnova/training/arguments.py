"""The settings of a run in the words of the Transformers Trainer, checked against this machine."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.integrations import TensorBoardCallback
from transformers.utils import logging as transformers_logging

from convnova.errors import InputError
from convnova.precision import resolve_precision
from convnova.training.settings import RunSettings

KEPT_CHECKPOINTS = 2


def training_arguments(
    output: Path, settings: RunSettings, windows: int, has_validation: bool
) -> TrainingArguments:
    """Return the settings in the words of the Transformers Trainer.

    Args:
        output: folder of the run.
        settings: how to train.
        windows: training windows in all, over all epochs.
        has_validation: whether there is something to score on the way.

    Raises:
        InputError: for a batch that the processes cannot share, less than one batch, or a precision that this
            machine does not have.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    per_pass, remainder = divmod(settings.batch_windows, processes * settings.accumulation_steps)
    if remainder:
        raise InputError(
            f"batch_windows {settings.batch_windows} is not a multiple of processes x accumulation_steps, "
            f"{processes} x {settings.accumulation_steps}"
        )
    steps = windows // settings.batch_windows
    if steps == 0:
        raise InputError(
            f"{windows} training windows in all do not fill one batch of "
            f"{settings.batch_windows}; lower batch_windows or raise epochs"
        )
    precision = resolve_precision(settings.precision)
    has_gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=per_pass,
        per_device_eval_batch_size=max(per_pass, 16),
        gradient_accumulation_steps=settings.accumulation_steps,
        learning_rate=settings.optimizer.learning_rate,
        weight_decay=settings.optimizer.weight_decay,
        adam_beta1=settings.optimizer.adam_beta1,
        adam_beta2=settings.optimizer.adam_beta2,
        max_grad_norm=settings.optimizer.max_gradient_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not has_gpu,
        torch_compile=settings.compile,
        dataloader_num_workers=settings.workers,
        logging_steps=settings.log_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if has_validation and settings.evaluations else "no",
        eval_steps=max(1, -(-steps // max(settings.evaluations, 1))),
        save_strategy="no",  # by the clock, see SaveByTheClock
        save_total_limit=KEPT_CHECKPOINTS,
        report_to=[name for name in settings.trackers if name != "tensorboard"] or "none",
        disable_tqdm=True,
        seed=settings.seed,
        ddp_backend="gloo" if processes > 1 and not has_gpu else None,
        ddp_find_unused_parameters=False,
    )
    # Without torchrun the Trainer would spread over all GPUs by DataParallel and multiply the batch.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def tracker_callbacks(output: Path, trackers: Sequence[str]) -> list[TensorBoardCallback]:
    """Return the TensorBoard writer, if one is wanted; the Trainer makes those of the other trackers.

    Raises:
        InputError: for a tracker that is not installed.
    """
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"tracker {name} is not installed; install it with: pip install {name}")
    if "tensorboard" not in trackers:
        return []
    callback = TensorBoardCallback()
    callback.logging_dir = str(output / "tensorboard")
    return [callback]


def quiet_libraries() -> None:
    """Keep Transformers' own bars and warnings off the screen; this package tells what matters."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
