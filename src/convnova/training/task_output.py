"""The output folder of `convnova finetune`.

search.sqlite3, ...     of a search of settings, which comes before all else
task.json               what the model's outputs mean; there first, so it tells an unfinished run
trained_sequences.npy   a hash of each sequence that was trained or chosen on
test_predictions.csv    for each test sequence
run.json                settings, data, versions, machine
scores.json             validation by epoch, test once (and for each of three classes or labels and more)
*.png                   learning curve, test
model.safetensors, ...  the model; there last, so where it is, the run is finished
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.data.labelled import checksum
from convnova.data.splits import SPLITS
from convnova.data.task import LabelledTask
from convnova.errors import InputError
from convnova.evaluation.scores import METRIC_NAMES, SELECTION, score_by_label
from convnova.inference.saved_task import TASK_NAME, TRAINED_NAME, SavedTask, write_trained
from convnova.inference.tables import prediction_table, write_table
from convnova.training.checkpoints import LOCK_NAME, remove_incomplete, write_model
from convnova.training.choice import Evaluation
from convnova.training.finetune import Finetuned
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.learn import Measured, Task
from convnova.training.record import RECORD_NAME, SCORES_NAME, model_facts, run_record
from convnova.training.search import SEARCH_NAMES
from convnova.training.task_figures import LEARNING_NAME, TEST_NAME, write_task_figures
from convnova.training.task_settings import FinetuneTaskSettings
from convnova.training.weights import WEIGHTS_NAME
from convnova.writing import write_json

PREDICTIONS_NAME = "test_predictions.csv"
_NAMES = (TRAINED_NAME, RECORD_NAME, SCORES_NAME, PREDICTIONS_NAME, LEARNING_NAME, TEST_NAME)


def check_output(output: Path) -> None:
    """Check that a folder is new, empty, or that of a run which did not finish.

    Raises:
        InputError: when it is not.
    """
    if (output / WEIGHTS_NAME).exists():
        raise InputError(f"{output} holds a finished model; choose another output folder")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose another output folder")
    names = {path.name for path in output.iterdir()} if output.exists() else set()
    is_unfinished_run = TASK_NAME in names  # it is written first, the weights last
    if not is_unfinished_run and names - {LOCK_NAME, f"{TASK_NAME}.incomplete", *SEARCH_NAMES}:
        raise InputError(f"{output} is not an empty folder; choose another output folder")


def protocol(training: FinetuneSettings, task: Task) -> str:
    """Return in one sentence how a score comes about."""
    metric = training.selection or SELECTION[task.scheme.problem_type]
    strands = "both strands" if training.augmentation.reverse_complement else "the strand given"
    averaged = "averaged over both strands" if training.average_strands else "of the strand given"
    read = "" if task.test is None else ", test read once"
    return (
        f"chosen by {METRIC_NAMES[metric]} on validation{read}; trained on {strands}, predictions {averaged}"
    )


def effort(training: FinetuneSettings) -> str:
    """Return what will be trained and for how long, in words."""
    if training.method == "logistic-regression":
        return "regression on frozen embeddings"
    what = "whole model" if training.method == "whole-model" else "head on the frozen backbone"
    return f"{what}, {training.epochs} epoch{'s' if training.epochs > 1 else ''}"


def write_output(
    settings: FinetuneTaskSettings, task: LabelledTask, made: Finetuned, test: Measured | None
) -> None:
    """Write the folder of a run, the task first and the weights last.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    output = settings.output
    lengths = np.unique(task.train.ids.lengths)
    saved = SavedTask(
        task.scheme,
        made.selection,
        settings.training.average_strands,
        settings.read.max_length_bp,
        settings.read.too_long,
        int(lengths[0]) if len(lengths) == 1 else None,
    )
    remove_unfinished(output, _NAMES)
    write_json(output / TASK_NAME, saved.to_dict())
    write_trained(output, *(part.ids for part in (task.train, task.validation) if part is not None))
    curve = [curve_row(evaluation) for evaluation in made.evaluations]
    scores: dict[str, Any] = {
        "metric": made.selection,
        "protocol": protocol(settings.training, task),
        "validation": curve[made.evaluations.index(made.best)],
    }
    truth = None if task.test is None else task.test.labels
    if test is not None and truth is not None:
        interval = {"metric": made.selection} | test.interval._asdict()
        scores["test"] = {"sequences": len(test.predictions), "scores": test.scores, "interval": interval}
        if len(task.scheme.names) > 2:
            by_label = score_by_label(task.scheme.problem_type, truth, test.predictions)
            scores["test"]["by_label"] = _by_name(task.scheme.names, by_label)
        frame = prediction_table(task.tables["test"], task.scheme, test.predictions, truth)
        write_table(frame, output / PREDICTIONS_NAME)
    scores["evaluations"] = curve
    data = {
        split: {"source": task.tables[split].source, "checksum": checksum(part)}
        for split in SPLITS
        if (part := getattr(task, split)) is not None
    }
    quality = {"notes": list(task.notes), "quality": task.report.as_dict()}
    record = run_record(settings, data | quality, model_facts(made.model, made.weights))
    record["training_seconds"] = made.seconds
    write_json(output / RECORD_NAME, record)
    write_json(output / SCORES_NAME, scores)
    write_task_figures(output, made, task.scheme, truth, None if test is None else test.predictions)
    write_model(made.model, output)


def remove_unfinished(output: Path, names: Iterable[str]) -> None:
    """Remove what a run that was killed while it wrote has left: files of these names."""
    remove_incomplete(output)
    for name in names:
        (output / name).unlink(missing_ok=True)


def _by_name(names: tuple[str, ...], scores: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, Any]]:
    """Return the scores of each class, label or value; those that are not defined are left out."""
    return {
        name: {metric: float(values[i]) for metric, values in scores.items() if not math.isnan(values[i])}
        for i, name in enumerate(names)
    }


def curve_row(evaluation: Evaluation) -> dict[str, Any]:
    """Return a look at validation, its scores beside the epoch."""
    return {"epoch": evaluation.epoch, "training_loss": evaluation.training_loss} | evaluation.scores
