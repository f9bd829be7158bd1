import numpy as np
import pytest

from convnova import sequence
from convnova.errors import InputError

RANDOM = np.random.default_rng(0).integers(0, 5, (3, 50), dtype=np.uint8)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ACGTN", [0, 1, 2, 3, 4]),
        ("acgtn", [0, 1, 2, 3, 4]),
        ("UuTt", [3, 3, 3, 3]),
        ("RYSWKMBDHVN", [4] * 11),
        ("ryswkmbdhvn", [4] * 11),
        ("", []),
        (b"GATTACA", [2, 0, 3, 3, 0, 1, 0]),
    ],
)
def test_encode(text, ids):
    assert sequence.encode(text).tolist() == ids


@pytest.mark.parametrize(
    ("text", "position", "letter"),
    [
        ("ACXT", 3, "'X'"),
        ("AC GT", 3, "' '"),
        ("ACGT-", 5, "'-'"),
        ("é", 1, "'é'"),
        ("ACG\n", 4, r"'\\n'"),
        ("*A", 1, r"'\*'"),
    ],
)
def test_encode_names_record_and_position_of_a_bad_letter(text, position, letter):
    with pytest.raises(
        InputError, match=f"^chrI, position {position}: {letter} is not a nucleotide; allowed are"
    ):
        sequence.encode(text, name="chrI")


def test_decode_reverses_encode():
    assert sequence.decode(sequence.encode("GATTACANRu")) == "GATTACANNT"


def test_soft_mask_is_lower_case():
    assert sequence.soft_mask("ACgtNn").tolist() == [False, False, True, True, False, True]


def test_complement_keeps_n_and_order():
    assert sequence.decode(sequence.complement(sequence.encode("AACGTN"))) == "TTGCAN"


def test_reverse_complement_of_known_sequence():
    assert sequence.decode(sequence.reverse_complement(sequence.encode("GTATGTN"))) == "NACATAC"


@pytest.mark.parametrize("operation", [sequence.complement, sequence.reverse_complement])
def test_ids_are_their_own_inverse_and_batched_equals_one_by_one(operation):
    assert (operation(operation(RANDOM)) == RANDOM).all()
    assert (operation(RANDOM) == np.stack([operation(row) for row in RANDOM])).all()


@pytest.mark.parametrize("channels", [4, 5])
@pytest.mark.parametrize(
    ("on_ids", "on_one_hot"),
    [
        (sequence.complement, sequence.complement_one_hot),
        (sequence.reverse_complement, sequence.reverse_complement_one_hot),
    ],
)
def test_one_hot_operations_match_ids(channels, on_ids, on_one_hot):
    for ids in (RANDOM, RANDOM[0]):
        expected = sequence.one_hot(on_ids(ids), channels)
        assert (on_one_hot(sequence.one_hot(ids, channels)) == expected).all()


def test_one_hot_with_four_channels_leaves_n_empty():
    assert sequence.one_hot(sequence.encode("TN"), 4).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_text_operations_match_ids_and_keep_case_and_codes():
    text = "".join(sequence.ALPHABET[i] for i in RANDOM[0])
    assert (
        sequence.encode(sequence.reverse_complement_text(text)).tolist()
        == sequence.reverse_complement(RANDOM[0]).tolist()
    )
    assert sequence.encode(sequence.complement_text(text)).tolist() == sequence.complement(RANDOM[0]).tolist()
    assert sequence.reverse_complement_text("AcgtRYn") == "nRYacgT"


def test_inputs_are_not_edited():
    before = RANDOM.copy()
    sequence.reverse_complement(RANDOM)
    sequence.complement(RANDOM)
    assert (before == RANDOM).all()
