"""`convnova finetune`: labelled sequences to a model of the task and an honest test score."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from convnova.data.splits import SPLITS
from convnova.data.task import LabelledTask, load_task
from convnova.errors import InputError
from convnova.evaluation.scores import METRIC_NAMES, SELECTION
from convnova.inference.classify import score_lines
from convnova.inference.saved_task import TASK_NAME, SavedTask
from convnova.inference.tables import prediction_table, write_table
from convnova.training.arguments import quiet_libraries, resolve_precision
from convnova.training.checkpoints import LOCK_NAME, sole_writer, write_model
from convnova.training.finetune import Finetuned
from convnova.training.learn import Measured, learn, measure, starting_point
from convnova.training.record import RECORD_NAME, SCORES_NAME, run_record
from convnova.training.report import say
from convnova.training.task_figures import write_task_figures
from convnova.training.task_settings import FinetuneTaskSettings
from convnova.training.weights import WEIGHTS_NAME
from convnova.writing import write_json

PREDICTIONS_NAME = "test_predictions.csv"


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
    console = console or Console()
    quiet_libraries()
    resolve_precision(settings.training.precision)
    _check_output(settings.output)
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
        on_leakage=settings.leakage,
    )
    start = starting_point(settings.model, settings.network, task)
    _describe(console, settings, task, start.config)
    settings.output.mkdir(parents=True, exist_ok=True)
    with sole_writer(settings.output):
        made = learn(task, settings.model, settings.network, settings.training, console)
        if made.weights is not None:
            say(console, f"weights: {made.weights}")
        test = None if task.test is None else measure(made, task, settings.training.average_strands)
        if int(os.environ.get("RANK", 0)) == 0:
            _write(settings, task, made, test)
            _report(console, settings.output, task, made, test)
    return TaskScores(made, test)


def _check_output(output: Path) -> None:
    if (output / WEIGHTS_NAME).exists():
        raise InputError(f"{output} holds a finished model; choose another output folder")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose another output folder")
    known = (LOCK_NAME, RECORD_NAME)
    if output.exists() and any(path.name not in known for path in output.iterdir()):
        raise InputError(f"{output} is not an empty folder; choose another output folder")


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
    metric = settings.training.selection or SELECTION[task.scheme.problem_type]
    strands = "both strands" if settings.training.augmentation.reverse_complement else "the strand given"
    averaged = "averaged over both strands" if settings.training.average_strands else "of the strand given"
    say(
        console,
        f"chosen by {METRIC_NAMES[metric]} on validation; trained on {strands}, predictions {averaged}",
    )
    say(
        console,
        f"{settings.model}: receptive field {config.receptive_field} bp, {settings.training.method}, "
        f"{settings.training.epochs} epochs -> {settings.output}",
    )


def _write(
    settings: FinetuneTaskSettings, task: LabelledTask, made: Finetuned, test: Measured | None
) -> None:
    """Write everything, the weights last: where they are, the run is finished."""
    output, saved = settings.output, SavedTask(task.scheme, made.selection, settings.training.average_strands)
    curve = [{"epoch": e.epoch, "training_loss": e.training_loss} | e.scores for e in made.evaluations]
    scores: dict[str, Any] = {
        "metric": made.selection,
        "validation": curve[made.evaluations.index(made.best)],
    }
    truth = None if task.test is None else task.test.labels
    if test is not None:
        interval = {"metric": made.selection} | test.interval._asdict()
        scores["test"] = {"sequences": len(test.predictions), "scores": test.scores, "interval": interval}
        frame = prediction_table(task.tables["test"], task.scheme, test.predictions, truth)
        write_table(frame, output / PREDICTIONS_NAME)
    scores["evaluations"] = curve
    facts = {
        "parameters": made.model.num_parameters(),
        "receptive_field": made.model.config.receptive_field,
        "weights": None if made.weights is None else made.weights._asdict(),
    }
    data = {split: task.tables[split].source for split in SPLITS if split in task.tables}
    quality = {"notes": list(task.notes), "quality": task.report.as_dict()}
    record = run_record(settings, data | quality, facts) | {"training_seconds": made.seconds}
    write_json(output / RECORD_NAME, record)
    saved = SavedTask(task.scheme, made.selection, settings.training.average_strands)
    write_json(output / TASK_NAME, saved.to_dict())
    write_json(output / SCORES_NAME, scores)
    write_task_figures(output, made, task.scheme, truth, None if test is None else test.predictions)
    write_model(made.model, output)


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
