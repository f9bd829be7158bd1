"""The trainings of a study: each network on each task with each seed, a result file each.

OUTPUT/trials/H3/no-gate/seed0/result.json      scores, settings, checksums, machine

A finished trial is never repeated, and several processes may work on one folder.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from convnova.analysis.study_settings import StudySettings
from convnova.analysis.study_tasks import StudyTask
from convnova.benchmark.claims import Claims
from convnova.benchmark.jobs import as_name, is_finished, origin_of
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.suite import on_its_strand
from convnova.console import duration, say
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.variants import unmatched
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.learn import learn, measure
from convnova.training.record import plain, session
from convnova.training.start import check_model, start
from convnova.training.task_settings import TaskNetworkSettings
from convnova.writing import write_json


@dataclass(frozen=True)
class Trial:
    """One training."""

    task: StudyTask
    name: str
    """Of the network."""
    source: str
    """``preset:NAME`` or ``scratch:FOLDER``."""
    network: TaskNetworkSettings
    """What is changed of it."""
    seed: int
    training: FinetuneSettings

    def folder(self, output: Path) -> Path:
        """Return where the result goes."""
        parts = as_name(self.task.name), as_name(self.name), f"seed{self.seed}"
        return output.joinpath("trials", *parts)

    def record(self) -> dict[str, Any]:
        """Return what has to be the same for a result to be this trial's."""
        facts = {"task": self.task.name, "name": self.name, "seed": self.seed}
        facts |= {"source": origin_of(self.source)}
        settings = {"network": plain(self.network), "training": plain(self.training)}
        return facts | settings | {"data": self.task.checksums}

    def __str__(self) -> str:
        return f"{self.task.name}, {self.name}, seed {self.seed}"


def full_model(model: str, network: TaskNetworkSettings) -> ConvNovaConfig:
    """Return the configuration that a study takes apart.

    Raises:
        InputError: when it is no ConvNova.
    """
    check_model(model, network)
    config = start(model, network, ("0", "1")).config
    if not isinstance(config, ConvNovaConfig):
        raise InputError(f"{model}: only ConvNova has these variants; give preset:nt-0.5m, for instance")
    return config


def say_unmatched(full: ConvNovaConfig, networks: dict[str, dict[str, Any]], console: Console) -> None:
    """Say which networks could not be brought to the parameters of the full model."""
    if found := unmatched(full, networks):
        shares = ", ".join(f"{name} differs by {share:+.0%}" for name, share in found.items())
        say(
            console,
            f"hidden_size {full.hidden_size} is too small to match parameters within 5 %: {shares}",
        )


def trials_of(
    settings: StudySettings, tasks: Sequence[StudyTask], networks: dict[str, dict[str, Any]]
) -> list[Trial]:
    """Return the trials of some networks, seed by seed, so that a study that is stopped has whole seeds.

    Args:
        settings: of the study.
        tasks: what to train on.
        networks: what is changed of the full model, by the name of the network.
    """
    return [
        Trial(task, name, settings.model, replace(settings.network, **changes), seed, training)
        for seed in range(settings.seeds)
        for training in [replace(settings.training, seed=seed)]
        for task in tasks
        for name, changes in networks.items()
    ]


def run_trials(trials: Sequence[Trial], settings: StudySettings, console: Console) -> list[dict[str, Any]]:
    """Run those trials that are missing, and return the results of all.

    Raises:
        InputError: when data or a network do not fit, or the folder holds results of other settings.
    """
    output = settings.output
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    missing = [trial for trial in trials if not is_finished(trial, output)]
    say(console, f"{len(trials)} trainings, {len(trials) - len(missing)} finished before -> {output}")
    claims = Claims(missing, output)
    try:
        for trial in claims.in_turn():
            result = run_trial(trial)
            write_json(trial.folder(output) / RESULT_NAME, result)
            claims.give_back(trial)
            score = f"test {result['metric']} {result['score']:.4f} (validation {result['validation']:.4f})"
            say(console, f"{trial}: {score}, {duration(result['seconds'])}  [{claims.how_far()}]")
    finally:
        claims.close()
    return [json.loads((trial.folder(output) / RESULT_NAME).read_text()) for trial in trials]


def run_trial(trial: Trial) -> dict[str, Any]:
    """Train, choose on validation, score the test part once, and return what came of it."""
    parts = trial.task.load(trial.seed)
    metric, network = trial.task.metric, trial.network
    training = replace(trial.training, selection=trial.training.selection or metric)
    if trial.task.has_strand:
        network, training = on_its_strand(network, training)
    made = learn(parts, trial.source, network, training)
    measured = measure(made, parts, training.average_strands)
    assert parts.test is not None
    config = made.model.config
    return {
        **{"task": trial.task.name, "name": trial.name, "seed": trial.seed, "metric": metric},
        "score": measured.scores[metric],
        "scores": measured.scores,
        "validation": made.best.scores[made.selection],
        "epoch": made.best.epoch,
        "parameters": made.model.base_model.num_parameters(),
        "receptive_field_bp": config.receptive_field,
        "hidden_size": config.hidden_size,
        "kernel_size": config.kernel_size,
        "length_bp": int(np.median(parts.train.ids.lengths)),
        "sequences": {"train": len(parts.train), "test": len(parts.test)},
        "seconds": round(made.seconds, 1),
        "job": trial.record(),
        **{name: value for name, value in session().items() if name != "command"},
    }
