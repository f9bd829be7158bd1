"""Chromosomes by other names: with or without ``chr``, in Roman or Arabic numerals, M or MT.

::

    1   chr1   Chr1   chr_1   I   chrI          M   MT   chrM   Mito
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

Unknown = Literal["refuse", "leave-out"]
"""What to do with chromosomes that a genome does not have, under any of their names."""
LEAVE_OUT = "; or leave out what lies elsewhere, with unknown_chromosomes leave-out"
"""Said after the error of one of these."""

_PREFIX = re.compile("^chr_?", re.IGNORECASE)
_MITOCHONDRION = ("m", "mt", "mito")
_ROMAN_ONES = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_ARABIC_OF = {"X" * (number // 10) + _ROMAN_ONES[number % 10]: str(number) for number in range(1, 40)}

Keys = dict[str, str]
"""What each name is compared by."""


def match_each(names: Iterable[str], known: Collection[str]) -> dict[str, str | None]:
    """Return the known name of each name; None for one that has none, or that two names would have.

    One rule serves all names, that which finds the most, the first of these: as they are; whatever stands for
    ``chr`` left out; Roman numerals read as numbers, on a side that has no others. So X is not taken for a
    Roman ten beside a chromosome 1.
    """
    names = list(dict.fromkeys(names))
    found: list[dict[str, str | None]] = []
    for rule in _RULES:
        by_key, keys = _by_key(rule(known)), rule(names)
        uses = Counter(keys.values())
        found.append({name: by_key.get(key) if uses[key] == 1 else None for name, key in keys.items()})
    return max(found, key=lambda each: sum(other is not None for other in each.values()))


def match_names(names: Iterable[str], known: Collection[str]) -> dict[str, str] | None:
    """Return the known name of each name; None where `match_each` finds none for one of them."""
    found = match_each(names, known)
    own = {name: other for name, other in found.items() if other is not None}
    return own if len(own) == len(found) else None


def renamings(found: Mapping[str, str | None], where: str) -> list[str]:
    """Return the sentence about chromosomes that have another name somewhere; none where all have the same.

    Args:
        found: the name there of each name, as `match_each` returns it.
        where: as the sentence says it, ``the genome``.
    """
    words = [f"{name} is {other}" for name, other in found.items() if other not in (None, name)]
    if not words:
        return []
    more = f", ... ({len(words)} in all)" if len(words) > 3 else ""
    return [f"chromosomes are called otherwise in {where}: {', '.join(words[:3])}{more}"]


def similar_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name that most likely means the same chromosome, if there is one."""
    return match_each([name], known)[name]


def _by_key(keys: Keys) -> dict[str, str]:
    """Return the names by their keys, without those keys that two of them share."""
    uses = Counter(keys.values())
    return {key: name for name, key in keys.items() if uses[key] == 1}


def _same(names: Iterable[str]) -> Keys:
    return {name: name for name in names}


def _stems(names: Iterable[str]) -> Keys:
    stems = {name: _PREFIX.sub("", name) for name in names}
    return {name: "M" if stem.lower() in _MITOCHONDRION else stem for name, stem in stems.items()}


def _numbers(names: Iterable[str]) -> Keys:
    stems = _stems(names)
    if any(stem.isdecimal() for stem in stems.values()):
        return stems
    return {name: _ARABIC_OF.get(stem, stem) for name, stem in stems.items()}


_RULES: tuple[Callable[[Iterable[str]], Keys], ...] = (_same, _stems, _numbers)
