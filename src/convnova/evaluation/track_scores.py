"""Scores of many tracks: each on its own, and their mean and median by group.

A track that is the same in all bins of the test set, such as one that is positive nowhere, has no score. It
is listed and left out of every mean, and never counted as an AUROC of 0.5.

n bins, T tracks.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.evaluation.scores import score_by_label

ALL = "all"
"""Name of the group of all tracks."""
TRACK_METRICS = {"multi_label_classification": ("auroc", "auprc"), "regression": ("pearson", "spearman")}
"""What each track is scored by, for peaks and for signals."""


class TrackScores(NamedTuple):
    """Scores of each of T tracks."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Empty where none is known."""
    positives: NDArray[np.int64]
    """Bins where the track is above 0, (T,)."""
    bins: int
    by_metric: dict[str, NDArray[np.float64]]
    """As `TRACK_METRICS` has them, each (T,); NaN where they are not defined."""

    @property
    def is_scored(self) -> NDArray[np.bool_]:
        """Whether a track is not the same in all bins, (T,)."""
        return ~np.isnan(next(iter(self.by_metric.values())))

    @property
    def left_out(self) -> list[str]:
        """Tracks without scores."""
        return [name for name, is_scored in zip(self.names, self.is_scored, strict=True) if not is_scored]

    def table(self) -> pl.DataFrame:
        """Return a row a track; scores are null where they are not defined."""
        columns = {"track": self.names, "group": self.groups, "positives": self.positives}
        columns |= {"bins": np.full(len(self.names), self.bins)} | self.by_metric
        return pl.DataFrame(columns).with_columns(pl.col(*self.by_metric).fill_nan(None))


class GroupScores(NamedTuple):
    """Scores over the tracks of a group whose scores are defined."""

    group: str
    tracks: int
    mean: dict[str, float]
    """By metric."""
    median: dict[str, float]


def score_tracks(
    names: Sequence[str],
    groups: Sequence[str],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    problem_type: str = "multi_label_classification",
) -> TrackScores:
    """Return the scores of each track.

    Args:
        names: of T tracks.
        groups: of each, such as TF, DHS or histone; empty where none is known.
        labels: 0 or 1, or signals, (n, T).
        predictions: probabilities, or signals, (n, T).
        problem_type: a key of `TRACK_METRICS`.

    Raises:
        InputError: for shapes that do not fit, or when every track is the same in all bins.
    """
    if not len(names) == len(groups) == labels.shape[-1]:
        raise InputError(
            f"{len(names)} names and {len(groups)} groups for labels {labels.shape}; give one of each a track"
        )
    scores = score_by_label(problem_type, labels, predictions)
    by_metric = {metric: scores[metric] for metric in TRACK_METRICS[problem_type]}
    return TrackScores(tuple(names), tuple(groups), (labels > 0).sum(axis=0), len(labels), by_metric)


def by_group(scores: TrackScores) -> Iterator[GroupScores]:
    """Yield the mean and median over all tracks, then over those of each group, if there are groups."""
    groups = np.array(scores.groups)
    for group in (ALL, *(group for group in dict.fromkeys(scores.groups) if group)):
        rows = scores.is_scored if group == ALL else scores.is_scored & (groups == group)
        if rows.any():
            of_group = {metric: values[rows] for metric, values in scores.by_metric.items()}
            mean, median = (
                {metric: float(function(values)) for metric, values in of_group.items()}
                for function in (np.mean, np.median)
            )
            yield GroupScores(group, int(rows.sum()), mean, median)
