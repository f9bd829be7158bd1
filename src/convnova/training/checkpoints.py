"""Folders that appear whole or not at all: they are filled under another name, then renamed.

A run that is killed while it writes leaves ``incomplete`` behind, which nothing reads and the next run
removes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from transformers import PreTrainedModel

from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.tokenization_convnova import ConvNovaTokenizer
from convnova.training.weights import WEIGHTS_NAME

STAGING_NAME = "incomplete"
LOCK_NAME = ".lock"


@contextmanager
def staging_folder(run: Path, what: str, is_writer: bool = True) -> Iterator[Path]:
    """Give a folder inside a run's to fill; it is gone afterwards, so what shall stay is moved out of it.

    Args:
        run: folder of the run.
        what: what is written, as the error calls it.
        is_writer: whether this process makes and removes the folder; others only write into it.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    staging = run / STAGING_NAME
    try:
        if is_writer:
            staging.mkdir(parents=True, exist_ok=True)
        yield staging
    except (OSError, RuntimeError, SafetensorError) as error:
        # A full disk is an OSError to Python, a RuntimeError to torch.save, a SafetensorError to safetensors.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        free_mb = shutil.disk_usage(run).free / 1e6 if run.exists() else 0.0
        raise InputError(
            f"{run}: {what} could not be written ({reason}; {free_mb:.1f} MB are free there); what was saved "
            "before it is whole: free some space, then run it again (pretraining goes on with --resume)"
        ) from error
    finally:
        if is_writer:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Keep a second process out of a run's folder; the lock ends with the process, however that ends.

    Its file stays but in a folder where nothing else was written, as by a run that was refused.

    Raises:
        InputError: when another process trains there.
    """
    lock = FileLock(run / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{run}: another process is at work on this run; wait for it, or choose another output folder"
        ) from None
    try:
        yield
    finally:
        if all(path.name == LOCK_NAME for path in run.glob("*")):
            (run / LOCK_NAME).unlink(missing_ok=True)
        lock.release()


def write_model(model: PreTrainedModel, output: Path) -> None:
    """Write a model and its tokenizer; its weights come last, so where they are, the model is whole.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    with staging_folder(output, "the model") as staging:
        model.save_pretrained(staging)
        if isinstance(model.config, ConvNovaConfig):
            ConvNovaTokenizer().save_pretrained(staging)
        flush_to_disk(staging)
        (staging / WEIGHTS_NAME).chmod(0o644)  # safetensors makes it readable to its owner alone
        for path in sorted(staging.iterdir(), key=lambda path: path.name == WEIGHTS_NAME):
            path.replace(output / path.name)


def flush_to_disk(folder: Path) -> None:
    """Wait until the files of a folder, and their names, are on the disk."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_incomplete(run: Path) -> None:
    """Remove what a killed run had begun to write."""
    shutil.rmtree(run / STAGING_NAME, ignore_errors=True)
    for path in run.glob("*.incomplete"):
        path.unlink(missing_ok=True)


def check_finite(model: torch.nn.Module, step: int) -> None:
    """Check that every weight is a number: a broken model must not replace a good checkpoint.

    Raises:
        InputError: when one is not.
    """
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise InputError(
                f"weight {name} is not a number at step {step}; lower the learning rate or use precision "
                "fp32, and start again (the last checkpoint is from before it)"
            )
