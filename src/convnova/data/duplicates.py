"""Which sequences are the same, on either strand.

n sequences.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from convnova.data.packed import PackedSequences
from convnova.sequence import complement


def strand_keys(sequences: PackedSequences) -> list[bytes]:
    """Return for each sequence bytes that are the same for it and its reverse complement, and no other."""
    forward = sequences.codes.tobytes()
    opposite = complement(sequences.codes[::-1]).tobytes()
    offsets, end = sequences.offsets.tolist(), len(forward)
    return [min(forward[first:last], opposite[end - last : end - first]) for first, last in pairwise(offsets)]


def strand_hashes(sequences: PackedSequences) -> NDArray[np.uint64]:
    """Return a number for each sequence, (n,), that is the same for its reverse complement."""
    digests = (hashlib.blake2b(key, digest_size=8).digest() for key in strand_keys(sequences))
    return np.frombuffer(b"".join(digests), "<u8")


def same_sequence_groups(parts: Sequence[PackedSequences]) -> list[NDArray[np.int64]]:
    """Return a number for each sequence of each part, equal where the sequences are, on either strand."""
    seen: dict[bytes, int] = {}
    return [
        np.fromiter((seen.setdefault(key, len(seen)) for key in strand_keys(part)), np.int64, len(part))
        for part in parts
    ]
