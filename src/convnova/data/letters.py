"""Many sequences of letters to packed ids at once: one lookup on all bytes, one search for what is wrong.

n sequences.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from convnova.data.packed import PackedSequences
from convnova.data.read_settings import ReadSettings
from convnova.data.table import Places, counted
from convnova.errors import InputError
from convnova.sequence import IUPAC_AMBIGUOUS, encode

_AMBIGUOUS = np.frombuffer((IUPAC_AMBIGUOUS + IUPAC_AMBIGUOUS.lower()).encode(), dtype=np.uint8)
_AMBIGUOUS = _AMBIGUOUS[~np.isin(_AMBIGUOUS, [ord("N"), ord("n")])]
_WHITE_SPACE = [ord(letter) for letter in " \t\r\n"]
_MISSING = ["NaN", "nan", "NA"]  # these are nucleotide codes, but not meant so
_NO_BASE = frozenset("EFILPQXZ*")
"""Letters of proteins that no nucleotide code uses."""


class Packed(NamedTuple):
    """Packed sequences, and what was changed on the way."""

    ids: PackedSequences
    notes: tuple[str, ...]


def pack_letters(letters: pl.Series, places: Places, settings: ReadSettings) -> Packed:
    """Return the ids of n sequences given as text; white space around them is dropped, cropping is not done.

    Raises:
        InputError: at the first sequence that is missing, empty, or has anything but nucleotide codes.
    """
    _check_none_empty(letters, places)
    raw = _bytes(letters)
    counts = np.bincount(raw, minlength=256)
    if counts[_WHITE_SPACE].any():
        letters = letters.str.strip_chars()
        _check_none_empty(letters, places)
        raw = _bytes(letters)
        counts = np.bincount(raw, minlength=256)
    offsets = np.concatenate([[0], np.cumsum(letters.str.len_bytes().to_numpy(), dtype=np.int64)])
    try:
        ids = encode(raw.tobytes())
    except InputError:
        raise _bad_letter(letters, places) from None
    notes = []
    if n_uracil := int(counts[[ord("U"), ord("u")]].sum()):
        notes.append(f"{n_uracil:,} U read as T")
    if counts[_AMBIGUOUS].any():
        rows = np.searchsorted(offsets, np.flatnonzero(np.isin(raw, _AMBIGUOUS)), side="right") - 1
        found = {chr(code): int(counts[code] + counts[code + 32]) for code in _AMBIGUOUS if code < ord("a")}
        shown = ", ".join(f"{letter} {count:,}" for letter, count in found.items() if count)
        if settings.ambiguous == "refuse":
            raise InputError(
                f"{places.place(int(rows[0]))}: IUPAC ambiguity codes ({shown}); replace them, "
                "or set ambiguous to as-n"
            )
        notes.append(f"IUPAC ambiguity codes ({shown}) in {counted(len(np.unique(rows)))} became N")
    return Packed(PackedSequences(ids, offsets), tuple(notes))


def _bytes(letters: pl.Series) -> np.ndarray:
    return np.frombuffer("".join(letters.to_list()).encode(), dtype=np.uint8)


def _check_none_empty(letters: pl.Series, places: Places) -> None:
    is_missing = letters.is_in(_MISSING).to_numpy()
    if is_missing.any():
        row = int(is_missing.argmax())
        raise InputError(f"{places.place(row)}: the sequence is missing ({letters[row]}); remove it")
    is_empty = (letters.is_null() | (letters.str.len_bytes() == 0)).to_numpy()
    if is_empty.any():
        place = places.place(int(is_empty.argmax()))
        raise InputError(f"{place}: the sequence is empty; remove it or give its bases")


def _bad_letter(letters: pl.Series, places: Places) -> InputError:
    """Return the error of the first sequence that cannot be encoded."""
    is_bad = (~letters.str.contains(f"^[ACGTUacgtu{IUPAC_AMBIGUOUS}{IUPAC_AMBIGUOUS.lower()}]*$")).to_numpy()
    row = int(is_bad.argmax())
    text = letters[row]
    hint = "remove or correct it"
    if any(letter.isspace() for letter in text):
        hint = "write the sequence without white space in it"
    elif any(letter.isdigit() for letter in text):
        hint = "write the sequence without digits"
    elif any(letter in _NO_BASE for letter in text.upper()):
        hint = "this reads like a protein; give DNA"
    try:
        encode(text, places.place(row))
    except InputError as error:
        return InputError(f"{error}; {hint}")
    return InputError(f"{places.place(row)}: the sequence cannot be read")


def crop(ids: PackedSequences, places: Places, settings: ReadSettings) -> Packed:
    """Return sequences of at most `max_length_bp`, by the rule of the settings.

    Raises:
        InputError: at the first longer one, when longer ones are refused.
    """
    longest, lengths = settings.max_length_bp, ids.lengths
    if longest is None or not len(ids) or lengths.max() <= longest:
        return Packed(ids, ())
    is_long = lengths > longest
    if settings.too_long == "refuse":
        row = int(is_long.argmax())
        raise InputError(
            f"{places.place(row)}: the sequence has {lengths[row]:,} bp, at most {longest:,} are "
            f"allowed ({is_long.sum():,} of {len(ids):,} are longer); raise max_length_bp, "
            "or set too_long to keep-center"
        )
    spare = np.maximum(lengths - longest, 0)
    dropped = {"keep-start": np.zeros_like(spare), "keep-center": spare // 2, "keep-end": spare}
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, longest))])
    begins = ids.offsets[:-1] + dropped[settings.too_long]
    shift = np.repeat(begins - offsets[:-1], np.diff(offsets))
    n_long = int(is_long.sum())
    verb = "was" if n_long == 1 else "were"
    note = f"{counted(n_long)} {verb} cropped to {longest:,} bp ({settings.too_long})"
    return Packed(PackedSequences(ids.codes[np.arange(offsets[-1]) + shift], offsets), (note,))
