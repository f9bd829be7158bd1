"""Fine-tuned models on sequences from files: their scores, or their predictions."""

from dataclasses import replace
from typing import Any

import polars as pl
from rich.console import Console

from convnova.console import say
from convnova.data.read_settings import ReadSettings
from convnova.data.reading import read_sequences
from convnova.data.table import SequenceTable, counted
from convnova.errors import InputError
from convnova.evaluation.bootstrap import Interval, bootstrap_interval
from convnova.evaluation.scores import METRIC_NAMES, score
from convnova.inference.compute import make_ready
from convnova.inference.predict import predict
from convnova.inference.saved_task import TASK_NAME, SavedTask, TaskModel, count_trained, load_task_model
from convnova.inference.settings import ClassifySettings, EvaluateSettings
from convnova.inference.tables import check_format, prediction_table, write_table
from convnova.writing import check_other, write_json


def evaluate(settings: EvaluateSettings, console: Console | None = None) -> dict[str, Any]:
    """Return the scores of a fine-tuned model on labelled sequences, and print them.

    Raises:
        InputError: for a folder without such a model, a file that cannot be read, or labels that do not fit.
    """
    console = console or Console()
    if settings.output is not None and (settings.output / TASK_NAME).exists():
        raise InputError(f"{settings.output} holds a fine-tuned model; choose another output folder")
    model, task = _load(settings)
    table = with_known_bases(read_sequences(settings.test, as_trained(settings.read, task)))
    labels = task.scheme.encode(table)
    predictions = predict(model, table.ids, task.average_strands)
    problem = task.scheme.problem_type
    try:
        scores = score(problem, labels, predictions)
    except InputError as error:
        raise InputError(f"{table.source}: {error}") from None
    interval = bootstrap_interval(problem, task.metric, labels, predictions)
    trained = count_trained(settings.model, table.ids)
    result = {
        "test": {
            "source": table.source,
            "sequences": len(table),
            "trained_on": trained,
            "scores": scores,
            "interval": {"metric": task.metric} | interval._asdict(),
            "both_strands": task.average_strands,
        }
    }
    lines = score_lines(scores, task.metric, interval, len(table))
    if trained:
        lines.append(
            f"{trained:,} of {counted(len(table))} were trained or chosen on (either strand): no test score"
        )
    for line in (*table.notes, *lines):
        say(console, line)
    if settings.output is not None:
        settings.output.mkdir(parents=True, exist_ok=True)
        write_table(
            prediction_table(table, task.scheme, predictions, labels), settings.output / "predictions.csv"
        )
        write_json(settings.output / "scores.json", result)
    return result


def classify(settings: ClassifySettings, console: Console | None = None) -> pl.DataFrame:
    """Return the predictions of a fine-tuned model for new sequences, and write them.

    Raises:
        InputError: for a folder without such a model, or files that cannot be read or written.
    """
    console = console or Console()
    check_format(settings.output)
    check_other(settings.output, settings.input)
    model, task = _load(settings)
    read = replace(as_trained(settings.read, task), read_labels=False)
    table = with_known_bases(read_sequences(settings.input, read))
    if settings.output.suffix == ".bed" and table.intervals is None:
        raise InputError(f"{settings.output}: BED needs intervals of a genome; write .csv for sequences")
    frame = prediction_table(table, task.scheme, predict(model, table.ids, task.average_strands))
    write_table(frame, settings.output)
    made = f"{table.source}: {counted(len(table))} -> {settings.output}"
    if "prediction" in frame.columns:
        counts = frame["prediction"].value_counts(sort=True).head(10).rows()
        made += " (" + ", ".join(f"{name or 'none'} {count:,}" for name, count in counts) + ")"
    for line in (*table.notes, made):
        say(console, line)
    return frame


def score_lines(scores: dict[str, float], metric: str, interval: Interval, n: int) -> list[str]:
    """Return scores for people: the task's own first, with its interval."""
    own = f"{METRIC_NAMES[metric]} {scores[metric]:.4f}"
    lines = [f"{own}  ({interval.coverage:.0%} {interval.low:.4f} to {interval.high:.4f}, {n:,} sequences)"]
    rest = [f"{METRIC_NAMES[name]} {value:.4f}" for name, value in scores.items() if name != metric]
    return [*lines, "  ".join(rest)]


def with_known_bases(table: SequenceTable) -> SequenceTable:
    """Return a table with a note on its sequences that are only N: a prediction says nothing of them.

    Raises:
        InputError: when all of them are.
    """
    unknown = int(table.ids.is_unknown.sum())
    if not unknown:
        return table
    if unknown == len(table):
        raise InputError(
            f"{table.source}: its sequences are only N, so there is nothing to read; give others"
        )
    note = f"{unknown:,} of {counted(len(table))} are only N: what is predicted says nothing of them"
    return replace(table, notes=(*table.notes, note))


def as_trained(read: ReadSettings, task: SavedTask) -> ReadSettings:
    """Return how to read, with the limit of length that the model was trained with where none is given."""
    if read.max_length_bp is not None or task.max_length_bp is None:
        return read
    return replace(read, max_length_bp=task.max_length_bp, too_long=task.too_long)


def _load(settings: EvaluateSettings | ClassifySettings) -> TaskModel:
    """Return the model on the best device, and its task with the strands that are wanted."""
    model, task = load_task_model(settings.model)
    make_ready(model, settings)
    if settings.both_strands is not None:
        task = replace(task, average_strands=settings.both_strands)
    return TaskModel(model, task)
