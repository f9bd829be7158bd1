"""Names and groups of tracks that come as columns: a list, one name a line in the order of the columns."""

from collections import Counter
from pathlib import Path

from convnova.errors import InputError
from convnova.genome.files import read_lines

DEEPSEA_TRACKS = 919
_DEEPSEA_GROUPS = {"DHS": 125, "TF": 690, "histone": 104}
"""How many columns of each kind, in their order.

Source: ljw-struggle/Bioinfor-DeepATT, README (0-124, 125-814, 815-918); uci-cbcl/DanQ, aucs.txt.
"""


def read_names(path: Path, tracks: int) -> list[str]:
    """Return the names of a list; a number before a name and a header are passed over.

    The published list of DeepSEA has some names more than once: the second of them gets `` #2``, and so on.

    Raises:
        InputError: when a name is empty, or there are not as many as tracks.
    """
    names = []
    for number, line in read_lines(path, "a list of names"):
        name = line.rstrip("\r").split("\t")[-1].strip()
        if line.strip() and not name:
            raise InputError(f"{path}, line {number}: the track has no name; write one a line")
        if name:
            names.append(name)
    names = names[1:] if len(names) == tracks + 1 else names
    if len(names) != tracks:
        raise InputError(f"{path}: {len(names)} names, and there are {tracks} tracks; give one a line")
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        names[index] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return names


def deepsea_groups(names: list[str]) -> list[str]:
    """Return the group of each of DeepSEA's columns; empty where there are not 919.

    Raises:
        InputError: when names like ``cell|assay|treatment`` are in another order than the columns, as in the
            paper's Supplementary Table 2, which has factors first.
    """
    if len(names) != DEEPSEA_TRACKS:
        return [""] * len(names)
    groups = [group for group, count in _DEEPSEA_GROUPS.items() for _ in range(count)]
    for number, (name, group) in enumerate(zip(names, groups, strict=True), start=1):
        parts = name.split("|")
        if len(parts) > 1 and (parts[1] == "DNase") != (group == "DHS"):
            raise InputError(
                f"name {number} is {name!r}, and column {number} is of group {group}: the list has another "
                "order than the columns; give predictor.names of DeepSEA"
            )
    return groups
