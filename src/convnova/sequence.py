"""The DNA alphabet in one place: text to ids and back, complement, reverse complement, one-hot.

An id is one byte: A 0, C 1, G 2, T 3, and N 4 for every base that is not known. Ids may be batched: the
last axis is always the position along the sequence, except for one-hot arrays, where the last axis is the
channel and the one before it the position.

L length in bp, ``...`` any batch axes.
"""

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError

ALPHABET = "ACGTN"
N = 4
IUPAC_AMBIGUOUS = "RYSWKMBDHVN"

Ids = NDArray[np.uint8]

_INVALID = 255


def _encoding_table() -> Ids:
    table = np.full(256, _INVALID, dtype=np.uint8)
    for letters, code in [("A", 0), ("C", 1), ("G", 2), ("TU", 3), (IUPAC_AMBIGUOUS, N)]:
        for letter in letters + letters.lower():
            table[ord(letter)] = code
    return table


_ENCODING = _encoding_table()
_DECODING = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, N], dtype=np.uint8)
_COMPLEMENT_TEXT = str.maketrans("ACGTUNRYSWKMBDHVacgtunryswkmbdhv", "TGCAANYRSWMKVHDBtgcaanyrswmkvhdb")


def encode(text: str | bytes, name: str = "sequence") -> Ids:
    """Return the ids of a sequence, uint8 of shape (L,).

    Upper and lower case are the same, U reads as T, and every IUPAC ambiguity code becomes N.

    Args:
        text: letters of one sequence, without white space.
        name: how an error calls the sequence.

    Raises:
        InputError: at the first letter that is no IUPAC nucleotide code; its position is counted from 1.
    """
    try:
        raw = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, dtype=np.uint8)
    except UnicodeEncodeError as error:
        raise _bad_letter(name, error.start, error.object[error.start]) from None
    ids = _ENCODING[raw]
    if (invalid := ids == _INVALID).any():
        position = int(invalid.argmax())
        raise _bad_letter(name, position, chr(raw[position]))
    return ids


def _bad_letter(name: str, position: int, letter: str) -> InputError:
    return InputError(
        f"{name}, position {position + 1}: {letter!r} is not a nucleotide; "
        f"allowed are ACGTU and the IUPAC codes {IUPAC_AMBIGUOUS}, in either case"
    )


def decode(ids: NDArray[np.integer]) -> str:
    """Return the upper-case letters of ids of shape (L,)."""
    return _DECODING[ids].tobytes().decode("ascii")


def soft_mask(text: str | bytes) -> NDArray[np.bool_]:
    """Return where a sequence is written in lower case (soft-masked), shape (L,)."""
    raw = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, dtype=np.uint8)
    return raw >= ord("a")


def complement(ids: Ids) -> Ids:
    """Return the complementary base at each position, not reversed; N stays N. Shape (..., L)."""
    return _COMPLEMENT[ids]


def reverse_complement(ids: Ids) -> Ids:
    """Return the opposite strand read 5' to 3', shape (..., L)."""
    return _COMPLEMENT[ids[..., ::-1]]


def complement_text(text: str) -> str:
    """Return the complementary letters, not reversed; case and IUPAC codes are kept."""
    return text.translate(_COMPLEMENT_TEXT)


def reverse_complement_text(text: str) -> str:
    """Return the opposite strand read 5' to 3'; case and IUPAC codes are kept."""
    return complement_text(text)[::-1]


def one_hot(ids: NDArray[np.integer], channels: int = 5) -> NDArray[np.float32]:
    """Return float32 of shape (..., L, channels); with 4 channels N is a row of zeros."""
    return np.eye(len(ALPHABET), channels, dtype=np.float32)[ids]


def complement_one_hot(x: NDArray) -> NDArray:
    """Return the complement of a one-hot array of shape (..., L, 4 or 5), not reversed."""
    return x[..., _COMPLEMENT[: x.shape[-1]]]


def reverse_complement_one_hot(x: NDArray) -> NDArray:
    """Return the opposite strand of a one-hot array of shape (..., L, 4 or 5), read 5' to 3'."""
    return complement_one_hot(x[..., ::-1, :])
