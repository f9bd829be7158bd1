"""How much more a positive of each independent label weighs in the loss than a negative.

n sequences, K labels.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
