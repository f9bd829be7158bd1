"""Which bins of a genome may be examples: their split, what is excluded, and windows with too much N.

b bins.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, split_regions
from convnova.data.table import counted
from convnova.data.tracks.grid import BinGrid, window_starts
from convnova.data.tracks.peaks import read_peaks
from convnova.data.tracks.settings import TrackSettings
from convnova.data.windows import WindowSettings
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.names import renamings
from convnova.sequence import N

NOT_USED = -1
_CHUNK_BINS = 2**14


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
    is_excluded, found = _excluded(grid, genome, settings)
    notes += found
    for is_out, why in (
        (is_excluded, f"touch a region of {settings.excluded}"),
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


def _excluded(grid: BinGrid, genome: Genome, settings: TrackSettings) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which bins touch a region that is excluded, (b,), and what to say about its chromosomes."""
    is_excluded = np.zeros(len(grid), dtype=bool)
    if settings.excluded is None:
        return is_excluded, []
    regions = read_peaks(settings.excluded, genome, settings)
    if not len(regions.start) and not regions.unknown:
        raise InputError(
            f"{settings.excluded}: no region in the file; write one a line: chromosome, start, end"
        )
    is_excluded[grid.touched(regions.chromosome, regions.start, regions.end).bins] = True
    notes = renamings(regions.renamed, "the genome") + unknown_note(regions.unknown, "region")
    return is_excluded, [f"{settings.excluded.name}: {note}" for note in notes]


def unknown_note(unknown: Mapping[str, int], what: str) -> list[str]:
    """Return the sentence about how many were left out of each chromosome; none where there is none.

    Args:
        unknown: how many, by chromosome.
        what: was left out, in the singular.
    """
    words = ", ".join(f"{name} ({counted(count, what)})" for name, count in unknown.items())
    return [f"left out, as the genome does not have them: {words}"] if words else []


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
