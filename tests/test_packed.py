import numpy as np
import pytest

from convnova.data.packed import join, pack
from convnova.errors import InputError
from convnova.sequence import decode, encode

WORDS = ["ACGT", "", "T", "NNA"]


def words(packed):
    return [decode(ids) for ids in packed]


def test_sequences_come_back_as_they_went_in():
    packed = pack(encode(word) for word in WORDS)
    assert words(packed) == WORDS
    assert packed.lengths.tolist() == [4, 0, 1, 3]
    assert decode(packed[-1]) == "NNA"
    assert words(packed[1:3]) == ["", "T"]
    with pytest.raises(IndexError):
        packed[4]


def test_sequences_without_a_known_base_are_told():
    packed = pack(encode(word) for word in ["ACGT", "NN", "NNA", "N", ""])
    assert packed.is_unknown.tolist() == [False, True, False, True, True]


@pytest.mark.parametrize(
    ("indices", "taken"),
    [
        ([3, 0, 0], ["NNA", "ACGT", "ACGT"]),
        (np.array([False, True, True, False]), ["", "T"]),
        (np.array([-1]), ["NNA"]),
        ([], []),
    ],
)
def test_take_matches_picking_one_by_one(indices, taken):
    assert words(pack(encode(word) for word in WORDS).take(indices)) == taken


def test_join_puts_parts_one_after_another():
    part = pack([encode("AC"), encode("G")])
    assert words(join([part, pack([]), part])) == ["AC", "G", "AC", "G"]


def test_stacked_is_a_view_of_sequences_of_one_length():
    ids = np.stack([encode("ACGT"), encode("TTTT")])
    packed = pack(ids)
    assert np.shares_memory(packed.stacked(), packed.codes)
    np.testing.assert_array_equal(packed.stacked(), ids)
    with pytest.raises(InputError, match="sequences of 0 to 4 bp"):
        pack(encode(word) for word in WORDS).stacked()
