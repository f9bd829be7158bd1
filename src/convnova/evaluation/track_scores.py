"""Scores of many tracks: each on its own, and their mean and median by group.

A track that is positive everywhere in the test set, or nowhere, has no AUROC. It is listed and left out of
every mean, and never counted as 0.5.

n bins, T tracks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.evaluation.scores import score_by_label
from convnova.writing import whole_file

ALL = "all"
"""Name of the group of all tracks."""


class TrackScores(NamedTuple):
    """AUROC and AUPRC of each of T tracks; NaN where they are not defined."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Empty where none is known."""
    positives: NDArray[np.int64]
    """Bins where the track is positive, (T,)."""
    bins: int
    auroc: NDArray[np.float64]
    auprc: NDArray[np.float64]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Tracks that are positive nowhere, or everywhere."""
        return tuple(name for name, value in zip(self.names, self.auroc, strict=True) if np.isnan(value))

    def table(self) -> pl.DataFrame:
        """Return a row a track; scores are null where they are not defined."""
        return pl.DataFrame(
            {
                "track": self.names,
                "group": self.groups,
                "positives": self.positives,
                "bins": np.full(len(self.names), self.bins),
                "auroc": self.auroc,
                "auprc": self.auprc,
            }
        ).with_columns(pl.col("auroc", "auprc").fill_nan(None))


class GroupScores(NamedTuple):
    """Scores over the tracks of a group whose scores are defined."""

    group: str
    tracks: int
    auroc_mean: float
    auroc_median: float
    auprc_mean: float
    auprc_median: float


def score_tracks(
    names: Sequence[str], groups: Sequence[str], labels: NDArray[Any], predictions: NDArray[Any]
) -> TrackScores:
    """Return the scores of each track.

    Args:
        names: of T tracks.
        groups: of each, such as TF, DHS or histone; empty where none is known.
        labels: 0 or 1, (n, T).
        predictions: probabilities, (n, T).

    Raises:
        InputError: for shapes that do not fit, or when no track has both positives and negatives.
    """
    if not len(names) == len(groups) == labels.shape[-1]:
        raise InputError(
            f"{len(names)} names and {len(groups)} groups for labels {labels.shape}; give one of each a track"
        )
    scores = score_by_label("multi_label_classification", labels, predictions)
    positives = labels.sum(axis=0, dtype=np.int64)
    return TrackScores(tuple(names), tuple(groups), positives, len(labels), scores["auroc"], scores["auprc"])


def by_group(scores: TrackScores) -> Iterator[GroupScores]:
    """Yield the mean and median over all tracks, then over those of each group, if there are groups."""
    is_scored, groups = ~np.isnan(scores.auroc), np.array(scores.groups)
    for group in (ALL, *(group for group in dict.fromkeys(scores.groups) if group)):
        rows = is_scored & (np.ones_like(is_scored) if group == ALL else groups == group)
        if rows.any():
            auroc, auprc = scores.auroc[rows], scores.auprc[rows]
            means = (float(function(one)) for one in (auroc, auprc) for function in (np.mean, np.median))
            yield GroupScores(group, int(rows.sum()), *means)


def lines(scores: TrackScores) -> list[str]:
    """Return the scores of the groups, and what is left out, one sentence each."""
    said = [
        f"{one.group}, {one.tracks:,} tracks: "
        f"AUROC mean {one.auroc_mean:.4f}, median {one.auroc_median:.4f}; "
        f"AUPRC mean {one.auprc_mean:.4f}, median {one.auprc_median:.4f}"
        for one in by_group(scores)
    ]
    if scores.left_out:
        said.append(
            f"{len(scores.left_out):,} tracks are left out, with no positive or no negative among "
            f"{scores.bins:,} bins: {', '.join(scores.left_out)}"
        )
    return said


def write_track_scores(scores: TrackScores, path: Path) -> None:
    """Write a CSV with a row for each track, whole or not at all."""
    with whole_file(path) as staging:
        scores.table().write_csv(staging)
