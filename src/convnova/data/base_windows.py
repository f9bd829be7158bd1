"""Windows of sequences whose every base has a label, for training: scored bases, and context on both sides.

    region     ──────────────────────────────────────────────
    window           ┌─context─┬────── scored ──────┬─context─┐
    labels            -100 …    id id id id id …     -100 …

A scored base is shown all that the network can see of its region, so that training and whole-genome
prediction see the same. Beyond the ends of a region nothing is shown (attention mask 0), as in prediction.

An example is a pure function of (seed, its number in the run), as in `convnova.data.windows`.

B windows in a batch, W scored bases, c context on one side, K labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_labels import LabelSet
from convnova.data.masking import NO_LABEL
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import Ids, N, reverse_complement

UNKNOWN = 255
"""Label of a base that is neither trained on nor scored."""
PIECE_BP = 250_000
"""Longest stretch of a sample of regions: most genes are shorter, and four of them make a megabase."""


@dataclass(frozen=True)
class BaseWindowSettings:
    """How labelled bases are cut into training windows."""

    window_bp: int = 8192
    """Scored bases of a window."""
    context_bp: int | None = None
    """Bases on either side that are shown and not scored; default all that the network sees, half its
    receptive field."""
    background_share: float = 1.0
    """Share of the windows without a gene that an epoch takes, drawn anew for each."""
    reverse_complement: bool = True
    """Whether half of the windows are read from the opposite strand, with the labels of that strand."""

    def __post_init__(self) -> None:
        if self.window_bp < 1:
            raise InputError(f"window_bp must be at least 1, got {self.window_bp}")
        if self.context_bp is not None and self.context_bp < 0:
            raise InputError(f"context_bp must be at least 0, got {self.context_bp}")
        if not 0 <= self.background_share <= 1:
            raise InputError(f"background_share must be between 0 and 1, got {self.background_share}")


class LabelledBases(NamedTuple):
    """Regions of a genome and the label of each of their bases."""

    genome: Genome
    regions: tuple[Interval, ...]
    """Read on their strand; no base outside them is shown to a model."""
    labels: tuple[NDArray[np.uint8], ...]
    """Label of each base of each region, on the strand of the region; `UNKNOWN` where there is none."""

    @property
    def total_bp(self) -> int:
        """Bases of all regions."""
        return sum(region.width for region in self.regions)

    def fetch(self, index: int, start: int, end: int) -> Ids:
        """Return the ids of a stretch inside a region, counted from its begin on its strand."""
        region = self.regions[index]
        first = region.end - end if region.strand == "-" else region.start + start
        return self.genome.fetch(Interval(region.chromosome, first, first + end - start, region.strand))

    def region_fetch(self, index: int) -> Callable[[int, int], Ids]:
        """Return what gives the ids of a stretch of one region."""
        return partial(self.fetch, index)

    def spread(self, most_bp: int) -> "LabelledBases":
        """Return pieces with at most so many bases, evenly spread: human chr22 begins with 16 Mb of N.

        A piece is contiguous, so genes lie in it whole: a region, or an equal part of one that is longer than
        `PIECE_BP`.
        """
        total = self.total_bp
        if total <= most_bp:
            return self
        longest = min(PIECE_BP, most_bp)
        pieces: list[tuple[int, int, int]] = []
        for index, region in enumerate(self.regions):
            count = -(-region.width // longest)
            edges = [number * region.width // count for number in range(count + 1)]
            pieces += [(index, *ends) for ends in pairwise(edges)]
        wanted = len(pieces) * most_bp // total
        regions, labels, left = [], [], most_bp
        for number in range(wanted):
            index, start, end = pieces[(2 * number + 1) * len(pieces) // (2 * wanted)]
            if end - start <= left:
                region = self.regions[index]
                first = region.end - end if region.strand == "-" else region.start + start
                regions.append(replace(region, start=first, end=first + end - start))
                labels.append(self.labels[index][start:end])
                left -= end - start
        return LabelledBases(self.genome, tuple(regions), tuple(labels))

    def counts(self, labels: int) -> NDArray[np.int64]:
        """Return how many bases have each label, (K,)."""
        counts = np.zeros(256, dtype=np.int64)
        for one in self.labels:
            counts += np.bincount(one, minlength=256)
        return counts[:labels]


class BaseWindows:
    """A map-style data set: example n of a run of several epochs.

    Batches hold the arrays `input_ids` and `labels`, int64 (B, W + 2c), `loss_weights`, float32 of that
    shape, when labels weigh differently, and `attention_mask` where a window reaches beyond its region.
    """

    def __init__(
        self,
        bases: LabelledBases,
        label_set: LabelSet,
        settings: BaseWindowSettings,
        context_bp: int,
        weights: NDArray[np.float32] | None = None,
        seed: int = 0,
        epochs: int = 1,
    ):
        """Take the training part and how to cut it.

        Args:
            bases: the training part.
            label_set: meaning of the labels.
            settings: how to cut.
            context_bp: c, settled: `settings.context_bp` may leave it open.
            weights: of each label in the loss, (K,); default all alike.
            seed: of order, shifts, strands and background windows.
            epochs: passes over the windows.
        """
        self.bases, self.settings, self.context = bases, settings, context_bp
        self.width_bp = settings.window_bp + 2 * context_bp
        self.is_weighted = weights is not None
        self.weights = np.zeros(256, dtype=np.float32)
        self.weights[: len(label_set.labels)] = 1 if weights is None else weights
        self.opposite = np.full(256, UNKNOWN, dtype=np.uint8)
        self.opposite[: len(label_set.labels)] = label_set.opposite
        self.seed, self.epochs = seed, epochs
        self._rows = _cut(bases, settings.window_bp)
        has_gene = np.array([_has_gene(bases, row, settings.window_bp, label_set) for row in self._rows])
        self._genic, self._background = np.flatnonzero(has_gene), np.flatnonzero(~has_gene)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    @property
    def windows_per_epoch(self) -> int:
        """Number of examples in one epoch."""
        return len(self._genic) + round(self.settings.background_share * len(self._background))

    def __len__(self) -> int:
        return self.epochs * self.windows_per_epoch

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        """Return one example as a batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return a batch; PyTorch's DataLoader calls this with the indices of the batch."""
        examples = [self._example(index) for index in indices]
        ids, labels, is_real = (np.stack(arrays) for arrays in zip(*examples, strict=True))
        batch = {
            "input_ids": ids.astype(np.int64),
            "labels": np.where(labels == UNKNOWN, NO_LABEL, labels.astype(np.int64)),
        }
        if self.is_weighted:
            batch["loss_weights"] = self.weights[labels]
        if not is_real.all():
            batch["attention_mask"] = is_real.astype(np.int64)
        return batch

    def _example(self, index: int) -> tuple[Ids, NDArray[np.uint8], NDArray[np.bool_]]:
        """Return ids, labels and whether a base is real, each (W + 2c,)."""
        rng = np.random.default_rng((self.seed, index))
        region, start = self._rows[self._row(index)]
        width, context = self.settings.window_bp, self.context
        length = self.bases.regions[region].width
        shift = int(rng.integers(-(width // 2), width // 2 + 1))
        start = max(0, min(start + shift, length - width))
        total = self.width_bp
        first, last = max(0, start - context), min(length, start + width + context)
        shown = slice(first - (start - context), last - (start - context))
        scored = slice(context, context + min(width, length - start))
        ids, labels = np.full(total, N, dtype=np.uint8), np.full(total, UNKNOWN, dtype=np.uint8)
        is_real = np.zeros(total, dtype=bool)
        ids[shown], is_real[shown] = self.bases.fetch(region, first, last), True
        labels[scored] = self.bases.labels[region][start : start + width]
        if self.settings.reverse_complement and rng.random() < 0.5:
            ids, is_real, labels = reverse_complement(ids), is_real[::-1], self.opposite[labels[::-1]]
        return ids, labels, is_real

    def _row(self, index: int) -> int:
        """Return the window of example `index`; each epoch has its own order and background windows."""
        epoch, position = divmod(index, self.windows_per_epoch)
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, 2**32 + epoch))
            drawn = self.windows_per_epoch - len(self._genic)
            background = rng.choice(self._background, drawn, replace=False)
            self._order = epoch, rng.permutation(np.concatenate([self._genic, background]))
        return int(self._order[1][position])


def _cut(bases: LabelledBases, width: int) -> list[tuple[int, int]]:
    """Return region and start of windows side by side; the last of a region is moved back to fit into it."""
    return [
        (index, max(0, min(start, region.width - width)))
        for index, region in enumerate(bases.regions)
        for start in range(0, region.width, width)
    ]


def _has_gene(bases: LabelledBases, row: tuple[int, int], width: int, label_set: LabelSet) -> bool:
    region, start = row
    labels = bases.labels[region][start : start + width]
    return bool(((labels != label_set.background) & (labels != UNKNOWN)).any())


def label_weights(counts: NDArray[np.int64], power: float) -> NDArray[np.float32]:
    """Return the weight of each label in the loss, (K,): frequency to the power of -`power`, mean 1 a base.

    Labels that do not occur weigh nothing.

    Args:
        counts: bases of each label, (K,).
        power: 0 weighs every base alike, 1 every label alike, 0.5 lies between.
    """
    occurs = counts > 0
    weights = np.where(occurs, np.where(occurs, counts, 1.0) ** -power, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)
