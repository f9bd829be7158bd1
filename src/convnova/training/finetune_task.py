"""`convnova finetune`: labelled sequences to a model of the task and an honest test score."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from convnova.console import say
from convnova.data.task import LabelledTask, load_task
from convnova.evaluation.scores import METRIC_NAMES
from convnova.inference.classify import score_lines
from convnova.precision import resolve_precision
from convnova.training.arguments import quiet_libraries
from convnova.training.checkpoints import sole_writer
from convnova.training.finetune import Finetuned
from convnova.training.learn import Measured, learn, measure, starting_point
from convnova.training.record import SCORES_NAME
from convnova.training.search import check_search, search
from convnova.training.start import check_model, field_of
from convnova.training.task_output import check_output, effort, protocol, write_output
from convnova.training.task_settings import FinetuneTaskSettings


class TaskScores(NamedTuple):
    """What a fine-tuned model reached."""

    made: Finetuned
    """The model, and its scores on validation, which it was chosen by."""
    test: Measured | None
    """Read once; None where there is no test part."""


def finetune_task(settings: FinetuneTaskSettings, console: Console | None = None) -> TaskScores:
    """Read, check, train, choose on validation, and score once on test; all of it lands in the output folder.

    Raises:
        InputError: for files, labels, a model or an output folder that cannot be used.
    """
    is_main = int(os.environ.get("RANK", 0)) == 0
    console = (console or Console()) if is_main else Console(quiet=True)
    quiet_libraries()
    resolve_precision(settings.training.precision)
    check_model(settings.model, settings.network)
    check_output(settings.output)
    if settings.search == "optuna":
        check_search(settings)
    task = load_task(
        settings.train,
        settings.validation,
        settings.test,
        read=settings.read,
        kind=settings.kind,
        names=tuple(settings.class_names) if settings.class_names else None,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        seed=settings.training.seed,
        on_leakage=settings.on_leakage,
    )
    start = starting_point(settings.model, settings.network, task)
    _describe(console, settings, task, start.config)
    settings.output.mkdir(parents=True, exist_ok=True)
    with sole_writer(settings.output) if is_main else nullcontext():
        check_output(settings.output)  # again: another process may have finished there in the meantime
        if settings.search == "optuna":
            settings = search(settings, task._replace(test=None), console)
        made = learn(task, settings.model, settings.network, settings.training, console)
        if made.weights is not None:
            say(console, f"weights: {made.weights}")
        test = None if task.test is None else measure(made, task, settings.training.average_strands)
        if is_main:
            write_output(settings, task, made, test)
            _report(console, settings.output, task, made, test)
    return TaskScores(made, test)


def _describe(console: Console, settings: FinetuneTaskSettings, task: LabelledTask, config: Any) -> None:
    """Print what was found in the data, and what will be done with it."""
    for line in (*task.notes, *task.report.lines()):
        say(console, line)
    lengths = task.train.ids.lengths
    if lengths.min() != lengths.max():
        say(
            console,
            f"sequences of {lengths.min()} to {lengths.max()} bp are padded; padding changes no result",
        )
    say(console, protocol(settings.training, task))
    say(
        console,
        f"{settings.model}: {field_of(config)}, {effort(settings.training)} -> {settings.output}",
    )


def _report(
    console: Console, output: Path, task: LabelledTask, made: Finetuned, test: Measured | None
) -> None:
    """Print what was reached, and what to do next."""
    best = made.best
    say(
        console,
        f"validation (chosen, epoch {best.epoch:g}): "
        f"{METRIC_NAMES[made.selection]} {best.scores[made.selection]:.4f}",
    )
    if test is not None:
        first, second = score_lines(test.scores, made.selection, test.interval, len(test.predictions))
        say(console, f"test (read once): {first}")
        say(console, f"  {second}")
    else:
        say(console, "no test sequences were given; score some with:")
        say(console, f"  convnova evaluate --model {output} --test test.csv")
    say(console, f"The model, {SCORES_NAME} and figures are in {output}. For new sequences:")
    say(console, f"  convnova classify --model {output} --input new.fa --output new.csv")
