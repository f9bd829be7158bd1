"""What a model reaches on labelled bases, in one pass over them and constant memory.

L length in bp, K labels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_labels import LabelSet
from convnova.data.base_windows import UNKNOWN, LabelledBases
from convnova.evaluation.confusion import LabelScores, confusion, scores_of_confusion
from convnova.inference.tiles import Tile, log_probabilities, predict_bases


class BaseScores(NamedTuple):
    """Scores of a model over all bases of some regions whose label is known."""

    scores: dict[str, float]
    """`mcc` over all labels, `f1` (mean over those that occur), `accuracy`, and `loss` in nats a base."""
    by_label: tuple[LabelScores, ...]
    """In the order of the labels."""
    confusion: NDArray[np.int64]
    """Bases of each label (row) that are called each label (column), (K, K)."""


def score_bases(
    model: Any,
    bases: LabelledBases,
    label_set: LabelSet,
    both_strands: bool,
    each_tile: Callable[[int, Tile], None] | None = None,
) -> BaseScores:
    """Return the scores of a model with a head for each base; its mode is restored.

    Args:
        model: the model.
        bases: regions and the labels of their bases.
        label_set: meaning of the labels.
        both_strands: whether to average probabilities over both strands.
        each_tile: is called with the index of the region and each tile of it, to use the same pass.
    """
    k = len(label_set.labels)
    opposite = np.array(label_set.opposite) if both_strands else None
    matrix, nats, known = np.zeros((k, k), dtype=np.int64), 0.0, 0
    for index, region in enumerate(bases.regions):
        for tile in predict_bases(model, bases.region_fetch(index), region.width, opposite):
            labels = bases.labels[index][tile.start : tile.start + len(tile.ids)]
            is_known = labels != UNKNOWN
            truth, probabilities = labels[is_known], tile.probabilities[is_known]
            matrix += confusion(truth, probabilities.argmax(axis=1), k)
            of_truth = np.take_along_axis(probabilities, truth[:, None].astype(np.int64), axis=1)
            nats -= float(log_probabilities(of_truth).sum(dtype=np.float64))
            known += len(truth)
            if each_tile is not None:
                each_tile(index, tile)
    result = scores_of_confusion(matrix, label_set.labels)
    f1 = float(np.mean([one.f1 for one in result.labels if one.n]))
    scores = {"mcc": result.mcc, "f1": f1, "accuracy": result.accuracy, "loss": nats / known}
    return BaseScores(scores, result.labels, matrix)
