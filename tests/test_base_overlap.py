"""How much of a held-out part is in training too."""

from pathlib import Path

import numpy as np
import pytest

from convnova.data import base_overlap
from convnova.data.base_overlap import STRETCH_BP, shared_shares
from convnova.data.base_windows import LabelledBases
from convnova.genome import Genome, Interval
from convnova.sequence import N, decode, reverse_complement


def bases(*sequences):
    genome = Genome.of_sequences(Path("toy"), [(str(index), ids) for index, ids in enumerate(sequences)])
    regions = tuple(Interval(name, 0, size) for name, size in genome.chromosome_sizes.items())
    return LabelledBases(genome, regions, tuple(np.zeros(region.width, np.uint8) for region in regions))


def slow_share(held_out, train):
    texts = [decode(strand) for ids in train for strand in (ids, reverse_complement(ids))]
    tiles = [
        tile
        for ids in held_out
        for start in range(0, len(ids) - STRETCH_BP + 1, STRETCH_BP)
        if "N" not in (tile := decode(ids[start : start + STRETCH_BP]))
    ]
    return sum(any(tile in text for text in texts) for tile in tiles) / len(tiles)


@pytest.mark.parametrize("chunk_bp", [96, 500, 2**22])
def test_matches_bruteforce(monkeypatch, chunk_bp):
    rng = np.random.default_rng(0)
    train = [rng.integers(0, 4, size, dtype=np.uint8) for size in (3000, 700, 50)]
    copied = train[0][500:1700], reverse_complement(train[1]), rng.integers(0, 4, 960, dtype=np.uint8)
    held_out = [ids.copy() for ids in (*copied, train[2])]
    held_out[0][300] = N
    monkeypatch.setattr(base_overlap, "_CHUNK_BP", chunk_bp)
    share, own = shared_shares([bases(*held_out), bases(*train)], bases(*train))
    if chunk_bp % STRETCH_BP == 0 or chunk_bp > 3000:  # otherwise stretches lie elsewhere in a chunk
        assert share == slow_share(held_out, train)
    assert 0.5 < share < 0.75
    assert own == 1


def test_nothing_is_shared_with_another_sequence_and_all_with_itself():
    rng = np.random.default_rng(1)
    one, other = (bases(rng.integers(0, 4, 5000, dtype=np.uint8)) for _ in range(2))
    unknown = bases(np.full(200, N, dtype=np.uint8))
    assert shared_shares([one, unknown], other) == [0, 0]
    assert shared_shares([one, unknown], one) == [1, 0]
    assert shared_shares([unknown], one) == [0]
    assert shared_shares([], one) == []
