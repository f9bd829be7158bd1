"""Chromosomes by other names: with or without ``chr``, in Roman or Arabic numerals, M or MT.

::

    1   chr1   Chr1   chr_1   I   chrI          M   MT   chrM   Mito
"""

import re
from collections.abc import Callable, Collection, Iterable

_PREFIX = re.compile("^chr_?", re.IGNORECASE)
_MITOCHONDRION = ("m", "mt", "mito")
_ROMAN_ONES = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_ARABIC_OF = {"X" * (number // 10) + _ROMAN_ONES[number % 10]: str(number) for number in range(1, 40)}


def match_names(names: Iterable[str], known: Collection[str]) -> dict[str, str] | None:
    """Return the known name of each name; None where one has none, or two have the same.

    One rule serves all names, the first of these: as they are, whatever stands for ``chr`` left out, and
    numerals read as numbers. So X is not taken for a Roman ten beside a chromosome 10.
    """
    names = list(names)
    for rule in (str, _stem, _number):
        by_key = _by_key(known, rule)
        keys = [rule(name) for name in names]
        if all(key in by_key for key in keys) and len(set(keys)) == len(keys):
            return {name: by_key[key] for name, key in zip(names, keys, strict=True)}
    return None


def similar_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name that most likely means the same chromosome, if there is one."""
    found = (_by_key(known, rule).get(rule(name)) for rule in (_stem, _number))
    return next((other for other in found if other is not None), None)


def _by_key(known: Collection[str], rule: Callable[[str], str]) -> dict[str, str]:
    """Return the known names by their keys, without those keys that two of them share."""
    by_key: dict[str, str] = {}
    shared = set()
    for name in known:
        if by_key.setdefault(key := rule(name), name) != name:
            shared.add(key)
    return {key: name for key, name in by_key.items() if key not in shared}


def _stem(name: str) -> str:
    stem = _PREFIX.sub("", name)
    return "M" if stem.lower() in _MITOCHONDRION else stem


def _number(name: str) -> str:
    return _ARABIC_OF.get(stem := _stem(name), stem)
