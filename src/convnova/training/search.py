"""Search of settings: trials of one task, each judged by its best score on validation.

The test part is never looked at. Trials lie in a database in the output folder: a
search that was stopped goes on with the trials that are missing, and these are the ones it would have made.
"""

import copy
import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from transformers import TrainerCallback, set_seed

from convnova.console import say
from convnova.data.labelled import LabelledSequences, checksum
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.evaluation.scores import SELECTION
from convnova.training.finetune import make_model, make_words
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.finetune_trainer import FinetuneTrainer, finetune_arguments
from convnova.training.learn import starting_point
from convnova.training.record import flat, plain
from convnova.training.task_settings import FinetuneTaskSettings
from convnova.writing import whole_file, write_text

TRIALS = 20
"""Trainings of a search where nothing else is wanted."""
STUDY_NAME, TRIALS_NAME, RECIPE_NAME = "search.sqlite3", "trials.csv", "recipe.yaml"
SEARCH_NAMES = (STUDY_NAME, f"{STUDY_NAME}-journal", TRIALS_NAME, RECIPE_NAME)
"""What a search, or one that was killed, leaves in the output folder."""

LEARNING_RATES, WEIGHT_DECAYS = (1e-4, 5e-3), (1e-3, 1.0)
"""Between which they are drawn, by their logarithm."""
BATCHES, DECAYS = (32, 64, 128, 256), (0.0, 0.99, 0.999)
"""Sequences in a step; decays of the averaged weights."""
HIGHEST_DROPOUT = 0.3
_OF_A_TRIAL = (
    *("learning_rate", "weight_decay", "per_device_train_batch_size"),
    *("max_steps", "eval_steps", "logging_steps"),
)


def check_search(settings: FinetuneTaskSettings) -> None:
    """Check, before any data are read, that a search can be made.

    Raises:
        InputError: when Optuna is not installed, several processes run, or there is nothing to search.
    """
    _optuna()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError("search runs in one process; start it without torchrun")
    if settings.training.method == "logistic-regression":
        raise InputError(
            "search is for gradient descent, which method logistic-regression does without; leave one out"
        )


def search(settings: FinetuneTaskSettings, task: LabelledTask, console: Console) -> FinetuneTaskSettings:
    """Return the settings with those of the best trial in them, after as many trials as are wanted.

    Args:
        settings: of the run, with the number of trials; its output folder holds them.
        task: to learn from and to choose on.
        console: where a line for each trial goes.

    Raises:
        InputError: when the trials in the output folder are of other settings or data.
    """
    if task.validation is None:
        raise InputError("the task has no validation part; hold out a share of train to choose on")
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(settings.output / STUDY_NAME).resolve()}")
    try:
        named = {"study_name": "convnova", "storage": storage, "load_if_exists": True}
        study = optuna.create_study(direction="maximize", **named)
        _check_same(study, settings, task.train, task.validation)
        over = optuna.trial.TrialState.COMPLETE
        for trial in study.trials:
            if trial.state == optuna.trial.TrialState.RUNNING:  # of a process that was killed
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        done = sum(trial.state == over for trial in study.trials)
        wanted = settings.trials or TRIALS
        say(console, f"search: {wanted} trials, {done} made before; chosen on validation")
        if done < wanted:
            trainer = _trainer(settings, task, task.validation, console)
            trainer.hyperparameter_search(
                hp_space=trainer.begin_trial,
                compute_objective=lambda metrics: trainer.choice.best_value,
                hp_name=lambda trial: str(trial.number),
                n_trials=wanted - done,
                direction="maximize",
                backend="optuna",
                pruner=optuna.pruners.NopPruner(),
                **named,
            )
        finished = [trial for trial in study.trials if trial.state == over]
        _write_trials(settings.output / TRIALS_NAME, finished)
        best = max(finished, key=lambda trial: trial.value)
    finally:
        storage.remove_session()
        storage.engine.dispose()
    chosen = with_parameters(settings, best.params)
    write_recipe(chosen, settings.output / RECIPE_NAME)
    say(console, f"best: trial {best.number}, {_shown(best.params)} -> {settings.output / RECIPE_NAME}")
    return chosen


def with_parameters(settings: FinetuneTaskSettings, parameters: dict[str, Any]) -> FinetuneTaskSettings:
    """Return settings with the parameters of a trial."""
    network = replace(settings.network, dropout=parameters["dropout"])
    return replace(settings, network=network, training=_training(settings.training, parameters))


def write_recipe(settings: FinetuneTaskSettings, path: Path) -> None:
    """Write settings as a recipe for `convnova finetune --config`: all but the data and the output folder."""
    left_out = ("train", "validation", "test", "output", "search", "trials")
    recipe = {name: value for name, value in plain(settings).items() if name not in left_out}
    write_text(
        path,
        "# convnova finetune --config recipe.yaml --train TRAIN --test TEST --output OUTPUT\n"
        + yaml.safe_dump(recipe, sort_keys=False),
    )


class _SearchTrainer(FinetuneTrainer):
    """A Trainer whose settings change from trial to trial."""

    base: FinetuneSettings
    """What no trial changes."""

    def begin_trial(self, trial: Any) -> dict[str, Any]:
        """Take over the settings of a trial, and return them in the words of the Transformers Trainer."""
        settings = _training(self.base, suggest(trial, self.base.seed, len(self.train_dataset)))
        self.use(settings)
        set_seed(settings.seed)  # as fine-tuning begins, so that the best trial can be had again
        arguments = finetune_arguments(settings, len(self.train_dataset))
        return {name: getattr(arguments, name) for name in _OF_A_TRIAL}


def suggest(trial: Any, seed: int, sequences: int) -> dict[str, Any]:
    """Return the parameters of a trial, the same each time that it is asked for.

    Args:
        trial: of Optuna.
        seed: of the run; with the trials that were finished before, it fixes the parameters.
        sequences: to train on; no batch is more than a quarter of them.
    """
    optuna = _optuna()
    finished = trial.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    trial.study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + len(finished))
    batches = [size for size in BATCHES if 4 * size <= sequences] or [min(BATCHES)]
    return {
        "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
        "weight_decay": trial.suggest_float("weight_decay", *WEIGHT_DECAYS, log=True),
        "batch_sequences": trial.suggest_categorical("batch_sequences", batches),
        "dropout": trial.suggest_float("dropout", 0.0, HIGHEST_DROPOUT, step=0.05),
        "weight_averaging": trial.suggest_categorical("weight_averaging", DECAYS),
    }


def _trainer(
    settings: FinetuneTaskSettings, task: LabelledTask, validation: LabelledSequences, console: Console
) -> _SearchTrainer:
    training, train = settings.training, task.train
    start = starting_point(settings.model, settings.network, task)
    make_words(start.config, train)

    def model_init(trial: Any) -> Any:
        config = copy.deepcopy(start.config)
        if trial is not None:
            config.dropout = suggest(trial, training.seed, len(train))["dropout"]
        return make_model(start.pretrained, config, train, training)[0]

    # Averaged weights are there in any case; a decay of 0 makes them the last ones.
    first = replace(training, weight_averaging=training.weight_averaging or max(DECAYS))
    selection = training.selection or SELECTION[start.config.problem_type]
    trainer = _SearchTrainer(first, selection, train, validation, model_init=model_init)
    trainer.base = training
    trainer.add_callback(_Tell(trainer, console))
    return trainer


class _Tell(TrainerCallback):
    """A line for each trial."""

    def __init__(self, trainer: _SearchTrainer, console: Console):
        self.trainer, self.console = trainer, console

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        best, name = self.trainer.choice.best, self.trainer.choice.selection
        assert best is not None
        score, shown = f"validation {name} {best.scores[name]:.4f}", _shown(state.trial_params)
        say(self.console, f"  trial {state.trial_name}: {score}, {shown}")


def _training(training: FinetuneSettings, parameters: dict[str, Any]) -> FinetuneSettings:
    optimizer = replace(
        training.optimizer,
        learning_rate=parameters["learning_rate"],
        weight_decay=parameters["weight_decay"],
    )
    return replace(
        training,
        optimizer=optimizer,
        batch_sequences=parameters["batch_sequences"],
        weight_averaging=parameters["weight_averaging"],
    )


def _check_same(
    study: Any, settings: FinetuneTaskSettings, train: LabelledSequences, validation: LabelledSequences
) -> None:
    """Refuse to go on with trials of other settings or data; note those of a new search."""
    now = {
        name: json.dumps(value)
        for name, value in flat(plain(settings)).items()
        if name.partition(".")[0] in ("model", "network", "training")
    }
    now |= {"train": checksum(train), "validation": checksum(validation)}
    before = study.user_attrs.get("settings")
    if before is None:
        study.set_user_attr("settings", now)
        return
    for name, value in now.items():
        if before.get(name, value) != value:
            is_data = name in ("train", "validation")
            what = f"on another {name}" if is_data else f"with {name} {before[name]}, and now it is {value}"
            raise InputError(
                f"{settings.output} holds a search {what}; give the same, or choose another output folder"
            )


def _write_trials(path: Path, trials: list[Any]) -> None:
    """Write a row for each trial."""
    names = list(trials[0].params)
    with whole_file(path) as staging, staging.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "value", *names])
        writer.writerows([one.number, one.value, *(one.params[name] for name in names)] for one in trials)


def _shown(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in parameters.items())


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("search needs Optuna; install it with: pip install 'convnova[search]'") from None
    return optuna
