"""Figures of a fine-tuned model: how it learned, and what it reached on test."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.data.label_scheme import LabelScheme
from convnova.evaluation.scores import METRIC_NAMES, metrics_library
from convnova.training.figures import COLOURS, new_figure, png, styled
from convnova.training.finetune import Finetuned

LEARNING_NAME, TEST_NAME = "learning_curve.png", "test.png"
_MOST_CLASSES = 12  # in one picture


def write_task_figures(
    output: Path,
    made: Finetuned,
    scheme: LabelScheme,
    labels: NDArray[Any] | None,
    predictions: NDArray[np.float32] | None,
) -> list[Path]:
    """Draw the figures of a task into a folder, and return their paths; none where matplotlib is missing.

    Args:
        output: the folder.
        made: the model and its looks at validation.
        scheme: what labels mean.
        labels: of the test part, as the scheme encodes them; None where there is none.
        predictions: for the test part, as `predict` returns them.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    drawn = {}
    if len(made.evaluations) > 1:
        drawn[LEARNING_NAME] = learning_figure(made)
    if labels is not None and predictions is not None:
        draw = {"single-label": class_figure, "multi-label": label_figure, "regression": value_figure}
        drawn[TEST_NAME] = draw[scheme.kind](scheme, labels, predictions)
    for name, content in drawn.items():
        (output / name).write_bytes(content)
    return [output / name for name in drawn]


@styled
def learning_figure(made: Finetuned) -> bytes:
    """Return training and validation loss, and the score that the model was chosen by, as PNG."""
    epochs = [one.epoch for one in made.evaluations]
    score = [one.scores[made.selection] for one in made.evaluations]
    figure, (losses, scores) = new_figure(6.4, 5.2, 2, sharex=True)
    losses.plot(epochs, [one.training_loss for one in made.evaluations], color=COLOURS[2], label="training")
    losses.plot(
        epochs,
        [one.scores["loss"] for one in made.evaluations],
        "o-",
        ms=4,
        color=COLOURS[0],
        label="validation",
    )
    losses.set(ylabel="loss", title="Learning the task")
    losses.legend(fontsize=8)
    scores.plot(epochs, score, "o-", ms=4, color=COLOURS[0])
    chosen = made.best.scores[made.selection]
    label = f"chosen: {chosen:.3f}"
    scores.plot(made.best.epoch, chosen, "o", ms=11, mfc="none", mec=COLOURS[1], ls="", label=label)
    scores.xaxis.get_major_locator().set_params(integer=True)
    scores.set(xlabel="epoch", ylabel=f"{METRIC_NAMES[made.selection]}, validation")
    scores.legend(fontsize=8, loc="lower right")
    return png(figure)


@styled
def class_figure(scheme: LabelScheme, labels: NDArray[Any], probabilities: NDArray[np.float32]) -> bytes:
    """Return the ROC curves of the classes, and how often each is called what, as PNG."""
    metrics = metrics_library()
    figure, (roc, confusion) = new_figure(9.2, 4.2, 1, ncols=2)
    classes = [1] if scheme.num_labels == 2 else list(range(min(scheme.num_labels, _MOST_CLASSES)))
    words = [f"class {name}" if name.isdecimal() else name for name in scheme.names]
    for column in classes:
        if 0 < (is_class := labels == column).sum() < len(labels):
            _add_roc(roc, metrics, is_class, probabilities[:, column], words[column])
    _finish_roc(roc)
    counts = metrics.confusion_matrix(labels, probabilities.argmax(1), labels=range(scheme.num_labels))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    confusion.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if scheme.num_labels <= _MOST_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{count:,}\n{shares[row, column]:.0%}"
            confusion.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
        ticks = range(scheme.num_labels)
        confusion.set_xticks(ticks, scheme.names, rotation=30 if max(map(len, scheme.names)) > 6 else 0)
        confusion.set_yticks(ticks, scheme.names)
    confusion.spines[:].set_visible(False)
    confusion.set(xlabel="called", ylabel="true", title="Test sequences")
    return png(figure)


@styled
def label_figure(scheme: LabelScheme, labels: NDArray[Any], probabilities: NDArray[np.float32]) -> bytes:
    """Return the ROC curves of independent labels as PNG, at most twelve."""
    metrics = metrics_library()
    figure, roc = new_figure(5.2, 4.6)
    for column, name in list(enumerate(scheme.names))[:_MOST_CLASSES]:
        if 0 < labels[:, column].sum() < len(labels):
            _add_roc(roc, metrics, labels[:, column] > 0, probabilities[:, column], name)
    _finish_roc(roc)
    return png(figure)


@styled
def value_figure(scheme: LabelScheme, labels: NDArray[Any], values: NDArray[np.float32]) -> bytes:
    """Return predicted against true values as PNG, a panel for each value, at most four."""
    labels = labels.reshape(len(labels), -1)
    panels = min(scheme.num_labels, 4)
    figure, axes = new_figure(4.2 * panels, 4.2, 1, ncols=panels, squeeze=False)
    for column, axis in enumerate(axes[0]):
        axis.scatter(labels[:, column], values[:, column], s=8, alpha=0.4, color=COLOURS[0], lw=0)
        low, high = np.min(labels[:, column]), np.max(labels[:, column])
        axis.plot([low, high], [low, high], color=COLOURS[2], lw=1, ls="--")
        axis.set(xlabel="true", ylabel="predicted", title=f"{scheme.names[column]}, test sequences")
    return png(figure)


def _add_roc(axes: Any, metrics: Any, truth: NDArray[np.bool_], chance: NDArray[Any], name: str) -> None:
    false_positive, true_positive, _ = metrics.roc_curve(truth, chance)
    area = metrics.auc(false_positive, true_positive)
    axes.plot(false_positive, true_positive, lw=1.8, label=f"{name}: {area:.3f}")


def _finish_roc(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color=COLOURS[2], lw=1, ls="--")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve (area)")
    axes.set_aspect("equal")
    axes.legend(fontsize=8, loc="lower right")
