"""The lines of GFF3, GTF and the old GFF: nine columns separated by tabs, of which eight are the same in all.

::

    chromosome  source  type  start  end  score  strand  phase  attributes

They count from 1 and include the end; `read_features` turns that into 0-based half-open, here and nowhere
else.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from sys import intern
from urllib.parse import unquote

from convnova.errors import InputError
from convnova.genome.drafts import Feature, Kind
from convnova.genome.files import parse_int, read_lines
from convnova.genome.interval import STRANDS

_PHASES = {".": 0, "0": 0, "1": 1, "2": 2}


def read_features(
    path: Path, form: str, kind_of: Callable[[str], Kind | None]
) -> Iterator[tuple[Feature, str]]:
    """Yield each feature with its attributes, as text, up to the sequences that may follow.

    Args:
        path: the file, plain or gzip.
        form: name of the format, for errors.
        kind_of: what a type (column 3) is; lines of which it is None are passed over.

    Raises:
        InputError: at the first bad line, by its number.
    """
    for number, line in read_lines(path, f"a {form} file"):
        if line[:1] in ("#", ">", ""):
            if line.startswith(("##FASTA", ">")):
                return
            continue
        place = f"line {number}"
        try:
            columns = line.split("\t")
            if len(columns) != 9:
                if line.isspace():
                    continue
                raise InputError(
                    f"{form} has 9 columns, separated by tabs; this line has {len(columns)}, "
                    "so correct it or give another file"
                )
            if kind := kind_of(columns[2]):
                yield _parse(columns, place, kind, form), columns[8]
        except InputError as error:
            raise InputError(f"{path}, {place}: {error}") from None


def _parse(columns: list[str], place: str, kind: Kind, form: str) -> Feature:
    chromosome, _, _, start_text, end_text, _, strand, phase, _ = columns
    start, end = parse_int(start_text, "start"), parse_int(end_text, "end")
    if not 1 <= start <= end:
        raise InputError(f"start {start}, end {end}; {form} counts from 1 and its start is not after its end")
    if strand == "?":  # stranded, but it is not known which
        strand = "."
    if strand not in STRANDS:
        raise InputError(f"strand {strand!r} is not allowed; use one of {' '.join(STRANDS)} ?")
    if phase not in _PHASES:
        raise InputError(f"phase {phase!r} (column 8) is not allowed; use one of {' '.join(_PHASES)}")
    if "%" in chromosome:
        chromosome = unquote(chromosome)
    return Feature(place, kind, intern(chromosome), start - 1, end, strand, _PHASES[phase])
