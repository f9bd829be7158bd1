"""Figures of a gene finder: how it learned, and which labels it takes for which."""

import numpy as np
from numpy.typing import NDArray

from convnova.evaluation.scores import METRIC_NAMES
from convnova.training.choice import Evaluation
from convnova.training.figures import COLOURS, new_figure, png, styled

LEARNING_NAME, CONFUSION_NAME = "learning_curve.png", "test_confusion.png"


@styled
def learning_figure(evaluations: list[Evaluation], best: Evaluation, selection: str) -> bytes:
    """Return the score on validation and the loss over the epochs as PNG; the chosen look is circled."""
    epochs = [one.epoch for one in evaluations]
    figure, (scores, losses) = new_figure(6.4, 5.2, 2, sharex=True)
    scores.plot(epochs, [one.scores[selection] for one in evaluations], "o-", ms=4, color=COLOURS[0])
    label = f"chosen: {best.scores[selection]:.3f}"
    scores.plot(
        best.epoch, best.scores[selection], "o", ms=11, mfc="none", mec=COLOURS[1], ls="", label=label
    )
    scores.set(ylabel=f"{METRIC_NAMES[selection]}, validation", title="Learning genes, base by base")
    scores.legend(fontsize=8, loc="lower right")
    losses.plot(epochs, [one.scores["loss"] for one in evaluations], "o-", ms=4, color=COLOURS[0])
    losses.set(xlabel="epoch", ylabel="validation, nats per base")
    return png(figure)


@styled
def confusion_figure(confusion: NDArray[np.int64], names: tuple[str, ...]) -> bytes:
    """Return, as PNG, the share of the bases of each label (row) that are called each label (column)."""
    rows = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, rows, out=np.zeros(confusion.shape), where=rows > 0)
    figure, axes = new_figure(1.8 + 0.55 * len(names), 1.4 + 0.5 * len(names))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color=colour)
    labels = [f"{name} ({count:,})" for name, count in zip(names, rows[:, 0], strict=True)]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.set(xlabel="called", ylabel="annotated (bases)", title="Test: what bases are called")
    axes.spines[:].set_visible(False)
    return png(figure)
