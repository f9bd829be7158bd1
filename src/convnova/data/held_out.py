"""What is held out of labelled sequences by a seed: a share for validation or for test.

Identical sequences, on either strand, never end on both sides. Classes keep their shares; values and
independent labels are drawn at random.

n sequences, g groups of identical sequences.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from convnova.data.duplicates import same_sequence_groups
from convnova.data.labelled import LabelledSequences
from convnova.errors import InputError


def draw_share(sequences: LabelledSequences, share: float, seed: int) -> NDArray[np.bool_]:
    """Return which sequences are held out, (n,): about `share` of each class, and the same for the same seed.

    Raises:
        InputError: when the share is not between 0 and 1, or leaves nothing on one side.
    """
    if not 0 < share < 1:
        raise InputError(f"the share to hold out must be between 0 and 1, got {share}")
    groups = same_sequence_groups([sequences.ids])[0]
    is_chosen = np.zeros(groups.max() + 1, dtype=bool)
    for members, sizes in _shuffled_strata(sequences, groups, seed):
        missing = max(round(share * sizes.sum()), 1) if len(members) > 1 else 0
        for group, size in zip(members, sizes, strict=True):
            if missing == 0:
                break
            if size <= missing:
                is_chosen[group] = True
                missing -= size
    is_held_out = is_chosen[groups]
    if is_held_out.all() or not is_held_out.any():
        raise InputError(
            f"{share:g} of {len(sequences)} sequences ({len(is_chosen)} different ones) leaves nothing to "
            "train on or to hold out; give more sequences, or files for each part"
        )
    return is_held_out


def _shuffled_strata(
    sequences: LabelledSequences, groups: NDArray[np.int64], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for each class its groups in random order, and how many sequences each of them has."""
    members, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    is_single_label = np.issubdtype(sequences.labels.dtype, np.integer)
    strata = sequences.labels[first] if is_single_label else np.zeros(len(first), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for stratum in np.unique(strata):
        order = rng.permutation(np.flatnonzero(strata == stratum))
        yield members[order], sizes[order]
