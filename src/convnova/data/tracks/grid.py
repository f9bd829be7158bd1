"""The bins of a genome, side by side and numbered through all chromosomes, and which of them are usable.

::

    chrI   |  0  |  1  |  2  | (what is left at the end is no bin)
    chrII  |  3  |  4  |

    window    |-------------|        centred on its bin; beyond a chromosome end it reads N
    bin             |=|

n peaks, b bins.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, split_regions
from convnova.data.tracks.settings import TrackSettings
from convnova.data.windows import WindowSettings
from convnova.genome import Genome, Interval, read_bed
from convnova.sequence import N

NOT_USED = -1
_CHUNK_BINS = 2**14


class Touched(NamedTuple):
    """Bins that intervals touch, once for each of both."""

    bins: NDArray[np.int64]
    bases: NDArray[np.int64]
    """That the interval covers of the bin."""


@dataclass(frozen=True, eq=False)
class BinGrid:
    """All whole bins of a genome."""

    bin_bp: int
    sizes: NDArray[np.int64]
    """Length of each chromosome in bp."""
    firsts: NDArray[np.int64]
    """Number of the first bin of each chromosome, and last how many bins there are."""

    @classmethod
    def of(cls, genome: Genome, bin_bp: int) -> "BinGrid":
        """Return the bins of a genome."""
        sizes = np.array(list(genome.chromosome_sizes.values()), dtype=np.int64)
        return cls(bin_bp, sizes, np.concatenate([[0], np.cumsum(sizes // bin_bp)]))

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def chromosomes(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the chromosome of each bin, (b,)."""
        return np.searchsorted(self.firsts, bins, side="right") - 1

    def starts(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first base of each bin on its chromosome, (b,)."""
        return (bins - self.firsts[self.chromosomes(bins)]) * self.bin_bp

    def touched(
        self, chromosome: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> Touched:
        """Return the bins that n intervals touch, interval by interval; ends without a bin are left out."""
        first, last = start // self.bin_bp, (end - 1) // self.bin_bp
        last = np.minimum(last, self.sizes[chromosome] // self.bin_bp - 1)
        counts = np.maximum(last - first + 1, 0)
        row = np.repeat(np.arange(len(start)), counts)
        bins = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        left = bins * self.bin_bp
        bases = np.minimum(end[row], left + self.bin_bp) - np.maximum(start[row], left)
        return Touched(self.firsts[chromosome[row]] + bins, bases)


class UsableBins(NamedTuple):
    """Which bins may be examples."""

    split: NDArray[np.int8]
    """Place in `SPLITS` of each bin, or `NOT_USED`."""
    notes: tuple[str, ...]
    """How the genome is split, and what is left out, one sentence each."""


def usable_bins(grid: BinGrid, genome: Genome, settings: TrackSettings) -> UsableBins:
    """Return the split of each bin, without excluded regions and windows with too much N.

    A window that reaches into another split of its own chromosome is left out too.

    Raises:
        InputError: for a held-out chromosome or an excluded region that the genome does not have.
    """
    split, notes = _split_bins(grid, genome, settings)
    for is_out, why in (
        (_excluded(grid, genome, settings.excluded), f"touch a region of {settings.excluded}"),
        (_n_share(grid, genome, settings.window_bp) > settings.max_n_share, "have too much N around them"),
    ):
        if count := int((is_out & (split != NOT_USED)).sum()):
            notes.append(f"{count:,} of {len(grid):,} bins {why} and are left out")
        split[is_out] = NOT_USED
    return UsableBins(split, tuple(notes))


def _split_bins(grid: BinGrid, genome: Genome, settings: TrackSettings) -> tuple[NDArray[np.int8], list[str]]:
    held_out = settings.validation_chromosomes, settings.test_chromosomes
    regions = split_regions(
        genome, WindowSettings(validation_chromosomes=held_out[0], test_chromosomes=held_out[1])
    )
    split = np.full(len(grid), NOT_USED, dtype=np.int8)
    # How far a window reaches to the left and to the right of its bin, as `window_starts` has it.
    left = max(settings.window_bp // 2 - settings.bin_bp // 2, 0)
    right = max(settings.window_bp - settings.bin_bp - left, 0)
    for place, name in enumerate(SPLITS):
        for region in regions[name]:
            index, size = genome.index_of(region.chromosome), genome.chromosome_sizes[region.chromosome]
            # Where a chromosome goes on in another split, windows stay on their side.
            low = region.start + (left if region.start > 0 else 0)
            high = region.end - (right if region.end < size else 0)
            first = grid.firsts[index] + -(-low // settings.bin_bp)
            last = grid.firsts[index] + min(high // settings.bin_bp, size // settings.bin_bp)
            split[first : max(first, last)] = place
    shown = {name: ", ".join(map(_place, regions[name])) for name in SPLITS[1:]}
    words = "; ".join(f"{name}: {places or 'none'}" for name, places in shown.items())
    return split, [words + ("" if any(held_out) else " (about 5 % of the genome each, as none are given)")]


def _place(region: Interval) -> str:
    return region.chromosome if region.start == 0 else str(region)


def _excluded(grid: BinGrid, genome: Genome, path: Path | None) -> NDArray[np.bool_]:
    """Return which bins touch a region of a BED file, (b,)."""
    is_excluded = np.zeros(len(grid), dtype=bool)
    if path is not None:
        regions = read_bed(path, genome)
        columns = [(genome.index_of(one.chromosome), one.start, one.end) for one in regions]
        is_excluded[grid.touched(*np.array(columns, dtype=np.int64).T).bins] = True
    return is_excluded


def _n_share(grid: BinGrid, genome: Genome, window_bp: int) -> NDArray[np.float32]:
    """Return the share of N in the window of each bin, (b,)."""
    shares = np.zeros(len(grid), dtype=np.float32)
    for index, name in enumerate(genome.chromosome_sizes):
        for first in range(int(grid.firsts[index]), int(grid.firsts[index + 1]), _CHUNK_BINS):
            bins = np.arange(first, min(first + _CHUNK_BINS, int(grid.firsts[index + 1])))
            starts = window_starts(grid.starts(bins), grid.bin_bp, window_bp)
            ids = genome.fetch(Interval(name, int(starts[0]), int(starts[-1]) + window_bp))
            before = np.concatenate([[0], np.cumsum(ids == N)])
            offsets = starts - starts[0]
            shares[bins] = (before[offsets + window_bp] - before[offsets]) / window_bp
    return shares


def window_starts(
    starts: NDArray[np.int64], width: NDArray[np.int64] | int, window_bp: int
) -> NDArray[np.int64]:
    """Return where the windows around intervals begin, as `Interval.resize` has it."""
    return starts + width // 2 - window_bp // 2
