"""How much of a held-out part is in training too, by stretches of 96 bases, on either strand.

Chromosomes share repeats, so some of it is natural; gene sets whose loci overlap are not.

L length in bp.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_windows import LabelledBases
from convnova.sequence import Ids, N, reverse_complement

STRETCH_BP = 96
_CHUNK_BP = 2**22
_WORD_BP = 32  # as many bases as 64 bits hold
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


def shared_shares(held_out: Sequence[LabelledBases], train: LabelledBases) -> list[float]:
    """Return, for each held-out part, the share of its stretches, side by side, that training has on either
    strand; 0 for a part without stretches.

    Stretches with N do not count. Equal stretches always have equal hashes; two different ones share a hash
    of 64 bits about once in 10^19 comparisons.
    """
    tiles = [np.concatenate([_tiles(ids) for ids in _chunks(part)]) for part in held_out]
    known = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *tiles]))
    if not len(known):
        return [0.0] * len(tiles)
    is_found = np.zeros(len(known), dtype=bool)
    for ids in _chunks(train):
        for strand in (ids, reverse_complement(ids)):
            hashes, is_whole = _hashes(strand)
            places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            is_found[places[is_whole & (known[places] == hashes)]] = True
    found = [is_found[np.searchsorted(known, part)] for part in tiles]
    return [float(part.mean()) if len(part) else 0.0 for part in found]


def _chunks(part: LabelledBases) -> Iterator[Ids]:
    """Yield the bases of a part, pieces of a region overlapping by a stretch less one base."""
    for index, region in enumerate(part.regions):
        for start in range(0, region.width, _CHUNK_BP):
            yield part.fetch(index, start, min(start + _CHUNK_BP + STRETCH_BP - 1, region.width))


def _tiles(ids: Ids) -> NDArray[np.uint64]:
    hashes, is_whole = _hashes(ids)
    return hashes[::STRETCH_BP][is_whole[::STRETCH_BP]]


def _hashes(ids: Ids) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the hash of the stretch that begins at each base, and whether it has no N, (L - 95,) each."""
    n = len(ids) - STRETCH_BP + 1
    if n <= 0:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=bool)
    words, width = (ids & 3).astype(np.uint64), 1
    while width < _WORD_BP:  # a word of twice the bases is two words side by side
        words, width = (words[:-width] << np.uint64(2 * width)) | words[width:], 2 * width
    hashes = np.zeros(n, dtype=np.uint64)
    for part, factor in enumerate(_FACTORS):
        hashes ^= words[part * _WORD_BP : part * _WORD_BP + n] * factor
    unknown = np.concatenate([[0], np.cumsum(ids == N)])
    return hashes, unknown[STRETCH_BP:] == unknown[:-STRETCH_BP]
