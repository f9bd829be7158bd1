"""Signals of bigWig files, as the mean over each bin; what a file does not cover is 0.

b bins, T tracks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.data.tracks.grid import BinGrid
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.bigwig import bigwig_library
from convnova.genome.files import at_place, reading
from convnova.genome.names import LEAVE_OUT

_MAGIC = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
"""First bytes of a bigWig file, in either order of bytes."""

LARGEST = float(np.finfo(np.float16).max)


class SignalFile:
    """A bigWig file that was checked against a genome."""

    def __init__(self, path: Path, genome: Genome, settings: TrackSettings):
        self.path, self.log1p = path, settings.log1p
        self.reader = _open(path)
        with reading(path, "a bigWig file"):
            chromosomes = self.reader.chroms()
        own = genome.own_names(chromosomes)
        self.names = {genome.index_of(found): name for name, found in own.items() if found is not None}
        """What the file calls the chromosomes of the genome, by their number."""
        self.renamed = {name: found for name, found in own.items() if found not in (None, name)}
        self.unknown = [name for name, found in own.items() if found is None]
        for name, found in own.items():
            if found is None and settings.unknown_chromosomes == "refuse":
                with at_place(str(path), LEAVE_OUT):
                    genome.index_of(name)
            if found is not None and (size := genome.chromosome_sizes[found]) != chromosomes[name]:
                raise InputError(
                    f"{path}: {name} has {chromosomes[name]} bp, and {size} in {genome.path.name}; "
                    "give signals and a genome of one assembly"
                )

    def means(self, chromosome: int, start: int, end: int, bins: int) -> NDArray[np.float16]:
        """Return the mean of each of some equal bins of a stretch, (bins,).

        Raises:
            InputError: when a mean is too large to be stored.
        """
        if chromosome not in self.names:
            return np.zeros(bins, dtype=np.float16)
        with reading(self.path, "a bigWig file"):
            means = self.reader.values(
                self.names[chromosome], start, end, bins, "mean", exact=True, uncovered=0.0, fillna=None
            )
        means = np.nan_to_num(means)
        if self.log1p:
            if means.min() <= -1:
                raise InputError(f"{self.path}: a mean is {means.min():g}, which has no log1p; leave it out")
            means = np.log1p(means)
        if (largest := float(np.abs(means).max())) > LARGEST:
            raise InputError(
                f"{self.path}: a mean is {largest:g}, and the largest that is stored {LARGEST:g}; set log1p"
            )
        return means.astype(np.float16)


def signals_of(files: Sequence[SignalFile], grid: BinGrid, bins: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return the signal of each track in each of some sorted bins, (b, T)."""
    signals = np.empty((len(bins), len(files)), dtype=np.float16)
    chromosomes, starts = grid.chromosomes(bins), grid.starts(bins)
    # Bins side by side are read at once.
    breaks = np.flatnonzero((np.diff(bins) != 1) | (np.diff(chromosomes) != 0)) + 1
    for rows in np.split(np.arange(len(bins)), breaks):
        first, last = starts[rows[0]], starts[rows[-1]] + grid.bin_bp
        for column, file in enumerate(files):
            signals[rows, column] = file.means(int(chromosomes[rows[0]]), int(first), int(last), len(rows))
    return signals


def _open(path: Path) -> Any:
    library = bigwig_library()
    with reading(path, "a bigWig file"):
        with path.open("rb") as file:  # the library prints a line of its own about other files
            if file.read(4) not in _MAGIC:
                raise InputError(
                    f"{path}: it does not begin like a bigWig file; give it whole, as it was made"
                )
        return library.open(str(path))
