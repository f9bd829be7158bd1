"""Values to learn on a common scale: mean 0 and standard deviation 1 in training, whatever their unit.

A head starts near 0 and moves by about the learning rate a step, so values around 1,000 would take thousands
of steps to reach. The head is linear, so the scale goes into it in the end and the model gives values again.

n sequences, K values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.data.labelled import LabelledPart, Sequences
from convnova.sequence import Ids

Values = NDArray[np.float32]


class LabelScale(NamedTuple):
    """Mean and standard deviation of each value over the training sequences."""

    mean: Values
    """(K,)."""
    sd: Values
    """(K,)."""

    @classmethod
    def of(cls, part: LabelledPart) -> "LabelScale":
        """Return the scale of labels (n,) or (n, K); a value that never changes keeps its unit."""
        mean = sum(block.sum(axis=0) for block in _blocks(part)) / len(part)
        sd = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for block in _blocks(part)) / len(part))
        return cls(mean.astype(np.float32), np.where(sd > 0, sd, 1).astype(np.float32))

    def standardise(self, part: LabelledPart) -> "StandardisedPart":
        """Return the sequences with labels on the common scale."""
        return StandardisedPart(part, self)

    def restore(self, predictions: Values) -> Values:
        """Return values (n, K) in their own units."""
        return predictions * self.sd + self.mean

    @torch.no_grad()
    def fold_into(self, head: Any) -> None:
        """Change a linear head, in place, to one that gives values in their own units."""
        sd, mean = (torch.from_numpy(values).to(head.weight) for values in (self.sd, self.mean))
        head.weight.mul_(sd.unsqueeze(1))
        head.bias.mul_(sd).add_(mean)


@dataclass(frozen=True, eq=False)
class StandardisedPart:
    """Sequences whose labels are brought to a common scale when they are read."""

    part: LabelledPart
    scale: LabelScale

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> tuple[Ids, Values]:
        ids, label = self.part[index]
        return ids, self._scaled(np.asarray(label))

    @property
    def ids(self) -> Sequences:
        """Ids of each sequence."""
        return self.part.ids

    @property
    def labels(self) -> Values:
        """Labels on the common scale, in the shape that they have."""
        return self._scaled(self.part.labels)

    @property
    def label_totals(self) -> NDArray[np.float64]:
        """Sum of each value on the common scale, (K,)."""
        return (self.part.label_totals - len(self) * self.scale.mean) / self.scale.sd

    def label_blocks(self) -> Iterator[Values]:
        """Yield the labels of consecutive sequences on the common scale."""
        return map(self._scaled, self.part.label_blocks())

    def _scaled(self, labels: Values) -> Values:
        values = labels.reshape(-1, len(self.scale.mean))
        return ((values - self.scale.mean) / self.scale.sd).reshape(labels.shape)


def _blocks(part: LabelledPart) -> Iterator[NDArray[np.float64]]:
    """Yield labels as rows of values, (b, K)."""
    return (labels.reshape(len(labels), -1).astype(np.float64) for labels in part.label_blocks())
