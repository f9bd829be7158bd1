"""Windows of a genome for pretraining: which there are, and the n-th example of a run.

An example is a pure function of (seed, its number in the run): workers, processes, batch size and a
restart do not change what it holds.

B windows in a batch, L window length in bp.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.masking import MaskingSettings, mask_ids
from convnova.data.splits import check_chromosomes
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import N, reverse_complement

_CHUNK_WINDOWS = 4096


@dataclass(frozen=True)
class WindowSettings:
    """Which parts of the genome are read, in windows of what length, and how they are varied."""

    window_bp: int = 1024
    """Length of a window in bp."""
    intervals: Path | None = None
    """BED file with a fourth column train, valid or test (HyenaDNA's `sequences_human.bed` form); without
    it whole chromosomes are used."""
    validation_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes held out to follow and choose between runs."""
    test_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes held out to be scored once, at the end."""
    one_window_per_interval: bool = False
    """Whether only the first window of each interval is used, as HyenaDNA's and the released loader do;
    otherwise every interval is cut into windows side by side."""
    windows_per_epoch: int | None = None
    """Draw this many windows at random for an epoch instead of taking each one once."""
    max_shift_bp: int | None = None
    """Largest random shift of a training window to either side; default half a window. Windows never leave
    their chromosome or interval."""
    reverse_complement: bool = True
    """Whether half of the training windows are read from the opposite strand."""
    max_n_share: float = 0.1
    """Leave out windows with a larger share of N than this, before they are shifted."""
    soft_mask_weight: float = 1.0
    """Weight in the training loss of bases written in lower case, usually repeats (GPN uses 0.1)."""

    def __post_init__(self) -> None:
        if self.window_bp < 1:
            raise InputError(f"window_bp must be at least 1, got {self.window_bp}")
        if self.intervals is not None and (self.validation_chromosomes or self.test_chromosomes):
            raise InputError("give the splits either by an interval file or by chromosomes, not both")
        check_chromosomes(self.validation_chromosomes, self.test_chromosomes)
        if self.windows_per_epoch is not None and self.windows_per_epoch < 1:
            raise InputError(f"windows_per_epoch must be at least 1, got {self.windows_per_epoch}")
        if self.max_shift_bp is not None and self.max_shift_bp < 0:
            raise InputError(f"max_shift_bp must be at least 0, got {self.max_shift_bp}")
        for name in ("max_n_share", "soft_mask_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    @property
    def shift_bp(self) -> int:
        """Largest shift of a training window to either side, in bp."""
        return self.window_bp // 2 if self.max_shift_bp is None else self.max_shift_bp


class WindowTable(NamedTuple):
    """One row a window, each column (n,): chromosome index, start, and the limits that it may shift in."""

    chromosome: NDArray[np.int64]
    start: NDArray[np.int64]
    region_start: NDArray[np.int64]
    region_end: NDArray[np.int64]

    def rows(self, index: Any) -> "WindowTable":
        """Return the rows chosen by an index array, mask or slice."""
        return WindowTable(*(column[index] for column in self))

    def __len__(self) -> int:
        return len(self.start)


def tile(genome: Genome, regions: Sequence[Interval], settings: WindowSettings) -> WindowTable:
    """Return the windows of some regions side by side; the last of a region is moved back to fit into it.

    Regions shorter than a window, and windows with too much N, are left out.

    Raises:
        InputError: when no window is left.
    """
    width = settings.window_bp
    columns = []
    for region in (region for region in regions if region.width >= width):
        starts = np.minimum(np.arange(region.start, region.end, width), region.end - width)
        starts = starts[:1] if settings.one_window_per_interval else starts
        same = (genome.index_of(region.chromosome), region.start, region.end)
        chromosome, first, end = (np.full(len(starts), value, dtype=np.int64) for value in same)
        columns.append((chromosome, starts, first, end))
    if not columns:
        longest = max((region.width for region in regions), default=0)
        raise InputError(
            f"a window of {width} bp is longer than every region (the longest of {len(regions)} has "
            f"{longest} bp); lower window_bp or give longer sequences"
        )
    table = WindowTable(*(np.concatenate(column) for column in zip(*columns, strict=True)))
    kept = table.rows(_n_share(genome, table, width) <= settings.max_n_share)
    if not len(kept):
        raise InputError(
            f"all {len(table)} windows hold more than {settings.max_n_share:.0%} N; "
            "raise max_n_share or check the genome"
        )
    return kept


def _n_share(genome: Genome, table: WindowTable, width: int) -> NDArray[np.float64]:
    shares = [
        (genome.windows(chunk.chromosome, chunk.start, width).ids == N).mean(axis=1)
        for chunk in (table.rows(slice(i, i + _CHUNK_WINDOWS)) for i in range(0, len(table), _CHUNK_WINDOWS))
    ]
    return np.concatenate(shares)


class PretrainingWindows:
    """A map-style data set: example n of a run of several epochs, masked.

    Batches hold the arrays `input_ids` and `labels`, int64 (B, L), and `loss_weights`, float32 (B, L), when
    soft-masked bases weigh less. Held-out windows are neither shifted nor reversed, and their masks never
    change.
    """

    def __init__(
        self,
        genome: Genome,
        table: WindowTable,
        settings: WindowSettings,
        masking: MaskingSettings,
        seed: int,
        epochs: int = 1,
        is_training: bool = True,
    ):
        self.genome, self.table, self.settings, self.masking = genome, table, settings, masking
        self.seed, self.epochs, self.is_training = seed, epochs, is_training
        self._order: tuple[int, NDArray[np.int64]] | None = None

    @property
    def windows_per_epoch(self) -> int:
        """Number of examples in one epoch."""
        drawn = self.settings.windows_per_epoch if self.is_training else None
        return len(self.table) if drawn is None else drawn

    def __len__(self) -> int:
        return self.epochs * self.windows_per_epoch

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        """Return one example as a batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return a batch; PyTorch's DataLoader calls this with the indices of the batch."""
        rngs = [np.random.default_rng((self.seed, self.is_training, index)) for index in indices]
        rows = self.table.rows(np.array([self._row(index) for index in indices]))
        windows = self.genome.windows(rows.chromosome, self._starts(rows, rngs), self.settings.window_bp)
        ids, is_soft_masked = windows.ids, windows.is_soft_masked
        if self.is_training and self.settings.reverse_complement:
            is_reversed = np.array([rng.random() < 0.5 for rng in rngs])
            ids[is_reversed] = reverse_complement(ids[is_reversed])
            is_soft_masked[is_reversed] = is_soft_masked[is_reversed, ::-1]
        masked = [mask_ids(row, self.masking, rng) for row, rng in zip(ids, rngs, strict=True)]
        batch = {
            "input_ids": np.stack([m.input_ids for m in masked]).astype(np.int64),
            "labels": np.stack([m.labels for m in masked]),
        }
        if self.is_training and self.settings.soft_mask_weight != 1:
            weight = np.float32(self.settings.soft_mask_weight)
            batch["loss_weights"] = np.where(is_soft_masked, weight, np.float32(1))
        return batch

    def true_ids(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return the unmasked ids (B, L) of held-out windows."""
        rows = self.table.rows(np.array(indices))
        return self.genome.windows(rows.chromosome, rows.start, self.settings.window_bp).ids

    def _row(self, index: int) -> int:
        """Return the window of example `index`: each epoch has its own order, or its own random draw."""
        epoch, position = divmod(index, self.windows_per_epoch)
        if not self.is_training:
            return position
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, 2, epoch))
            n = len(self.table)
            drawn = self.settings.windows_per_epoch
            self._order = (epoch, rng.permutation(n) if drawn is None else rng.integers(0, n, drawn))
        return int(self._order[1][position])

    def _starts(self, rows: WindowTable, rngs: Sequence[np.random.Generator]) -> NDArray[np.int64]:
        if not self.is_training or self.settings.shift_bp == 0:
            return rows.start
        shift = self.settings.shift_bp
        shifted = rows.start + np.array([rng.integers(-shift, shift + 1) for rng in rngs])
        return np.clip(shifted, rows.region_start, rows.region_end - self.settings.window_bp)
