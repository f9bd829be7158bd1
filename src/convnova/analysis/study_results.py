"""What studies find: the rows of their tables, and of their figures."""

from typing import NamedTuple

from convnova.evaluation.published import Published
from convnova.evaluation.statistics import PairedComparison, Spread
from convnova.model.variants import Variant


class AblationRow(NamedTuple):
    """What a variant reached on a task."""

    task: str
    metric: str
    study: str
    variant: Variant
    parameters: int
    """Of the backbone."""
    channels: int
    receptive_field_bp: int
    scores: Spread
    """Over seeds, as fractions."""
    against_full: PairedComparison | None
    """Variant minus full model, seed by seed; None for the full model itself."""
    published: Published | None
    """Score of this variant in the paper."""


class FieldScore(NamedTuple):
    """What a receptive field brings on a task."""

    task: str
    metric: str
    share: float
    """The field that was asked for, as a share of the length of a sequence."""
    field_bp: int
    """Of the network that was trained."""
    length_bp: int
    """Of the median training sequence."""
    kernel_size: int
    dilations: tuple[int, ...]
    """One a block; they grow evenly, which those of the paper do not."""
    channels: int
    parameters: int
    scores: Spread
    """Over seeds, as fractions."""
    interval: tuple[float, float]
    """95 % interval of the mean; NaN with one seed."""
    against_full_length: PairedComparison | None
    """Minus the field of the whole length, or the widest where that was not trained, seed by seed; None for
    that field itself."""
