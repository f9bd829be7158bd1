"""Names of a model's outputs: as a user asks for them, and as files and fields of other formats have them."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count

from convnova.data.table import some
from convnova.errors import InputError, nearest


def chosen(wanted: Sequence[str], names: Sequence[str], what: str) -> list[int]:
    """Return the outputs of some names, in their order; all where none is named.

    Args:
        wanted: names that a user asks for.
        names: of all outputs of the model.
        what: an output is, as an error says it.

    Raises:
        InputError: for one that is not among them, or named twice.
    """
    places = {name: index for index, name in enumerate(names)}
    for name in wanted:
        if name not in places:
            similar = nearest(name, names)
            hint = f"did you mean {similar[0]!r}?" if similar else f"the model has {some(names)}"
            raise InputError(f"there is no {what} {name!r}; {hint}")
    check_once(wanted, what)
    return [places[name] for name in wanted or names]


def check_once(wanted: Sequence[str], what: str) -> None:
    """Check that no name is asked for twice; an error calls it `what`.

    Raises:
        InputError: when one is.
    """
    if twice := [name for name, times in Counter(wanted).items() if times > 1]:
        raise InputError(f"{what} {twice[0]!r} is named twice; name each once")


def file_names(names: Sequence[str]) -> list[str]:
    """Return a name for a file of each: letters, digits and ``. _ + = @ -``, none twice in any case."""
    plain = [re.sub(r"[^\w.+=@-]+", "_", name, flags=re.ASCII).lstrip(".") or "track" for name in names]
    made: dict[str, str] = {}
    for name in plain:
        free = next(one for one in _tries(name) if one.lower() not in made)
        made[free.lower()] = free
    return list(made.values())


def field_names(names: Sequence[str]) -> list[str]:
    """Return what outputs are called in INFO: letters, digits, ``_`` and ``.``, each another."""
    made: list[str] = []
    for name in names:
        plain = re.sub("[^0-9A-Za-z.]+", "_", strand_in_words(name))
        made.append(next(one for one in _tries(plain) if one not in made))
    return [f"convnova_{name}" for name in made]


def strand_in_words(name: str) -> str:
    """Return the name of a label with the strand at its end in words: ``exon_plus`` for ``exon+``."""
    return re.sub("-$", "_minus", re.sub(r"\+$", "_plus", name))


def _tries(name: str) -> chain[str]:
    return chain([name], (f"{name}_{number}" for number in count(2)))
