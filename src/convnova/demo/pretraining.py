"""The demo's masked language model: the recipe fitted to this machine, trained or reused."""

from dataclasses import replace
from typing import Any

import torch
from jsonargparse import ArgumentParser
from rich.console import Console

from convnova.demo.settings import DemoSettings
from convnova.demo.steps import Steps, checksum
from convnova.errors import InputError, TerminatedError
from convnova.precision import resolve_precision
from convnova.training.pretrain import pretrain
from convnova.training.record import plain
from convnova.training.settings import PretrainSettings


def pretrain_settings(settings: DemoSettings, console: Console) -> PretrainSettings:
    """Return the settings of the recipe, with the demo's genome and folders."""
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(PretrainSettings)
    flags = [f"--config={settings.recipe}", f"--genome={settings.genome}"]
    flags += [f"--output={settings.output / 'pretrained'}", f"--cache={settings.output / 'cache'}"]
    if resolve_precision("auto") == "fp32" and not torch.cuda.is_available():
        console.print("This processor has no bf16 instructions: fp32, and half the pretraining epochs.")
        flags += ["--epochs=1"]
    values = vars(parser.instantiate(parser.parse_args(flags)))
    return PretrainSettings(**{name: value for name, value in values.items() if name != "config"})


def held_out(pretraining: PretrainSettings) -> dict[str, list[str]]:
    """Return the chromosomes of the validation and of the test part.

    Raises:
        InputError: when the recipe names none.
    """
    windows = pretraining.windows
    if not windows.validation_chromosomes or not windows.test_chromosomes:
        raise InputError("the demo's recipe must name validation_chromosomes and test_chromosomes")
    return {"validation": windows.validation_chromosomes, "test": windows.test_chromosomes}


def pretrain_once(settings: PretrainSettings, steps: Steps) -> None:
    """Pretrain, go on with an interrupted run, or reuse a finished one."""
    timing = settings.output.parent / "pretraining.json"

    def run() -> list[dict[str, Any]]:
        has_begun = (settings.output / "run.json").exists()
        if has_begun:
            steps.console.print("  going on with an interrupted run", style="green")
        try:
            return [row._asdict() for row in pretrain(replace(settings, resume=has_begun))]
        except TerminatedError as end:
            message = "stopped, and saved; the same command goes on from here"
            raise TerminatedError(message, end.status) from None

    key = plain(settings) | {"genome": settings.genome.name, "data": checksum(settings.genome)}
    steps.stage("pretraining", timing, key, run)
