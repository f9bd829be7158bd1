"""What a track data set is built from: which files, and the name and group of each track."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from convnova.errors import InputError
from convnova.genome.files import read_lines

Form = Literal["peaks", "signal", "deepsea", "coordinates"]

SUFFIXES: dict[Form, tuple[str, ...]] = {
    "peaks": (".bed", ".narrowpeak", ".broadpeak"),
    "signal": (".bw", ".bigwig"),
    "deepsea": (".mat",),
    "coordinates": (".csv",),
}
_TABLES = (".tsv", ".txt", ".tab")
_HEADER = ("name", "file")


class Track(NamedTuple):
    """One experiment."""

    name: str
    path: Path
    group: str
    """What it is scored with: TF, DHS, histone and so on; empty where none is given."""


class Sources(NamedTuple):
    """The files of a data set, all of one form."""

    form: Form
    tracks: tuple[Track, ...]


def find_sources(given: Sequence[str]) -> Sources:
    """Return the files behind a folder, a table or names of files.

    Raises:
        InputError: when there is none, they are of several forms, or a name is missing or there twice.
    """
    if len(given) == 1 and Path(given[0]).suffix.lower() in _TABLES:
        tracks = read_track_table(Path(given[0]))
    else:
        tracks = [Track(_stem(path), path, "") for text in given for path in _expand(Path(text))]
    if not tracks:
        raise InputError("no tracks are given; name a folder, files, or a table of them")
    forms = {form_of(track.path): track.path for track in tracks}
    if len(forms) > 1:
        (one, first), (other, second), *_ = forms.items()
        raise InputError(
            f"{first} is a file of {one} and {second} of {other}; give files of one form, or a table of those"
        )
    first_of: dict[str, Track] = {}
    for track in tracks:
        if not track.name:
            raise InputError(f"{track.path}: the file name leaves no name for the track; rename the file")
        if track.name in first_of:
            raise InputError(
                f"two tracks are named {track.name!r}, {first_of[track.name].path} and {track.path}; "
                "give a table with names of their own (name, file, group, separated by tabs)"
            )
        first_of[track.name] = track
    return Sources(next(iter(forms)), tuple(tracks))


def read_track_table(path: Path) -> list[Track]:
    """Return the tracks of a table of names, files and groups (optional); files lie beside the table.

    Raises:
        InputError: at the first line without name or file.
    """
    tracks: list[Track] = []
    for number, line in read_lines(path, "a table of tracks"):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line.strip() or line.startswith("#") or (not tracks and tuple(cells[:2]) == _HEADER):
            continue
        if len(cells) < 2 or not cells[0] or not cells[1]:
            what = "name" if len(cells) > 1 and cells[1] else "file"
            raise InputError(
                f"{path}, line {number}: the track has no {what}; write name, file and group, "
                "separated by tabs"
            )
        file = path.parent / cells[1]
        if not file.exists():
            raise InputError(f"{path}, line {number}: {file}: no such file; correct the table")
        tracks.append(Track(cells[0], file, cells[2] if len(cells) > 2 else ""))
    return tracks


def form_of(path: Path) -> Form:
    """Return what a file holds, by its ending.

    Raises:
        InputError: when it has another ending.
    """
    if (form := _form(path)) is None:
        endings = ", ".join(ending for endings in SUFFIXES.values() for ending in endings)
        raise InputError(f"{path}: not known by its ending, which are {endings} (also with .gz); rename it")
    return form


def _form(path: Path) -> Form | None:
    name = path.name.lower().removesuffix(".gz")
    return next((form for form, endings in SUFFIXES.items() if name.endswith(endings)), None)


def _expand(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give BED, narrowPeak or bigWig files")
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.is_file() and _form(one) is not None)
    if not found:
        raise InputError(f"{path}: no BED, narrowPeak, bigWig, .mat or CSV file in this folder; give another")
    return found


def _stem(path: Path) -> str:
    """Return a file's name without what says that it is a file of tracks."""
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    endings = [ending for endings in SUFFIXES.values() for ending in endings]
    return next((name[: -len(end)] for end in endings if name.lower().endswith(end)), name)
