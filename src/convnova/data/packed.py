"""Sequences of any lengths in two arrays, so that a million of them cost no million objects.

    codes    A C G T T A C C C G …        all sequences, one after another
    offsets  0       4     7   …          where each begins, and the end of the last

n sequences, L length in bp.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.sequence import Ids, N


@dataclass(frozen=True, eq=False)
class PackedSequences(Sequence[Ids]):
    """n sequences as one array of ids; a sequence is a view of it."""

    codes: Ids
    """Ids of all sequences, one after another, uint8."""
    offsets: NDArray[np.int64]
    """Where each sequence begins in `codes`, and last where the last one ends, (n + 1,)."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Ids: ...
    @overload
    def __getitem__(self, index: slice) -> "PackedSequences": ...
    def __getitem__(self, index: int | slice) -> "Ids | PackedSequences":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        index = range(len(self))[index]  # negative ones count from the end; outside is an IndexError
        return self.codes[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each sequence in bp, (n,)."""
        return np.diff(self.offsets)

    @property
    def is_unknown(self) -> NDArray[np.bool_]:
        """Whether a sequence has no base but N, (n,)."""
        known = np.concatenate([[0], np.cumsum(self.codes != N)])
        return known[self.offsets[1:]] == known[self.offsets[:-1]]

    def take(self, indices: NDArray[np.integer] | NDArray[np.bool_] | Sequence[int]) -> "PackedSequences":
        """Return the sequences at some indices, in their order, or where a mask (n,) is true."""
        chosen = np.arange(len(self))[np.asarray(indices)] if len(indices) else np.empty(0, dtype=np.int64)
        offsets = _offsets(self.lengths[chosen])
        # Base i of the result lies in `codes` as far behind the begin of its sequence as there.
        shift = np.repeat(self.offsets[chosen] - offsets[:-1], np.diff(offsets))
        return PackedSequences(self.codes[np.arange(offsets[-1]) + shift], offsets)

    def stacked(self) -> Ids:
        """Return a view of all sequences as one array (n, L).

        Raises:
            InputError: when their lengths differ.
        """
        lengths = self.lengths
        if len(lengths) and lengths.min() != lengths.max():
            raise InputError(
                f"sequences of {lengths.min()} to {lengths.max()} bp; this needs sequences of one length"
            )
        return self.codes.reshape(len(self), -1)


def pack(sequences: Ids | Iterable[Ids]) -> PackedSequences:
    """Return sequences packed: one array (n, L), or arrays of their own lengths."""
    if isinstance(sequences, PackedSequences):
        return sequences
    if isinstance(sequences, np.ndarray):
        return PackedSequences(sequences.ravel(), np.arange(len(sequences) + 1) * sequences.shape[1])
    arrays = list(sequences)
    codes = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.uint8)
    return PackedSequences(codes, _offsets(np.array([len(array) for array in arrays], dtype=np.int64)))


def join(parts: Sequence[PackedSequences]) -> PackedSequences:
    """Return the sequences of all parts, one part after another."""
    lengths = np.concatenate([part.lengths for part in parts])
    return PackedSequences(np.concatenate([part.codes for part in parts]), _offsets(lengths))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
