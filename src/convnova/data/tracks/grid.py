"""The bins of a genome, side by side and numbered through all chromosomes.

::

    chrI   |  0  |  1  |  2  | (what is left at the end is no bin)
    chrII  |  3  |  4  |

    window    |-------------|        centred on its bin; beyond a chromosome end it reads N
    bin             |=|

b bins.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.genome import Genome


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


def window_starts(
    starts: NDArray[np.int64], width: NDArray[np.int64] | int, window_bp: int
) -> NDArray[np.int64]:
    """Return where the windows around intervals begin, as `Interval.resize` has it."""
    return starts + width // 2 - window_bp // 2
