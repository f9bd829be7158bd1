"""Windows that parts of a data set share: bases of a held-out part that another part shows as well.

n rows.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from convnova.data.splits import SPLITS, Split

_FAR_BP = 2**40  # between chromosomes on one axis; no window reaches so far


def shared_windows(
    chromosomes: NDArray[np.integer], starts: NDArray[np.integer], splits: NDArray[np.integer], window_bp: int
) -> dict[tuple[Split, Split], int]:
    """Return, for two parts of which windows overlap, how many of the second overlap one of the first.

    Args:
        chromosomes: number of each row's chromosome, (n,).
        starts: first base of each row's window, (n,).
        splits: place of each row in `SPLITS`, (n,).
        window_bp: length of a window.
    """
    places = chromosomes.astype(np.int64) * _FAR_BP + starts
    by_split = [np.sort(places[splits == number]) for number in range(len(SPLITS))]
    shared: dict[tuple[Split, Split], int] = {}
    for first, second in combinations(range(len(SPLITS)), 2):
        if count := int(_is_near(by_split[second], by_split[first], window_bp).sum()):
            shared[SPLITS[first], SPLITS[second]] = count
    return shared


def _is_near(places: NDArray[np.int64], others: NDArray[np.int64], window_bp: int) -> NDArray[np.bool_]:
    """Return whether each place is less than a window away from one of the others, which are sorted."""
    if not len(others):
        return np.zeros(len(places), dtype=bool)
    right = np.searchsorted(others, places)
    nearest = [others[np.clip(right + side, 0, len(others) - 1)] for side in (-1, 0)]
    return np.abs(np.stack(nearest) - places).min(axis=0) < window_bp
