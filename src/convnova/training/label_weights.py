"""What rare labels need: more weight in the loss, and a head that knows at the start how rare they are.

n sequences, K labels.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convnova.data.labelled import LabelledPart


def positive_weights(train: LabelledPart, weighting: Literal["balanced", "sqrt"]) -> NDArray[np.float32]:
    """Return the weight of a positive of each label, (K,), where a negative has 1.

    It is negatives / positives over the training sequences, or the square root of that; 1 for a label that
    all of them have, or none.
    """
    positives = train.label_totals
    negatives = len(train) - positives
    is_both = (positives > 0) & (negatives > 0)
    ratio = np.divide(negatives, positives, out=np.ones_like(positives), where=is_both)
    return (ratio if weighting == "balanced" else np.sqrt(ratio)).astype(np.float32)


def begin_at(head: nn.Linear, logits: NDArray[np.floating]) -> None:
    """Let the head of a model begin at these logits, (K,), in place; its weights stay as they are.

    Without it the first thousand steps go into biases: a label that one base in ten thousand has is far from
    the share at which a random head begins. Source: Lin et al. 2017, "Focal Loss for Dense Object
    Detection", section 3.3.
    """
    with torch.no_grad():
        head.bias.copy_(torch.from_numpy(logits))


def positive_logits(train: LabelledPart, weights: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """Return the logit of each independent label, (K,), that fits its share of the training sequences.

    `weights` are those of positives in the loss, (K,), None where they are 1.
    """
    positives = train.label_totals + 0.5
    odds = positives / (len(train) - positives + 1)
    return np.log(odds if weights is None else odds * weights)


def base_logits(
    counts: NDArray[np.int64], weighting_power: float, opposite: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the logit of each label of bases, (K,), that fits its share of the weighted loss.

    Where half of the windows are read from the other strand, a label is seen as often as its opposite, so
    both have the mean of their counts.

    Args:
        counts: bases of each label in the training part, (K,).
        weighting_power: a base weighs the count of its label to the power of minus this (`label_weights`).
        opposite: id of each label on the other strand, (K,); None where no window is read from it.
    """
    seen = counts if opposite is None else (counts + counts[opposite]) / 2
    return np.log(seen + 1.0) - weighting_power * np.log(counts + 1.0)
