"""The records of a FASTA file, one at a time; every way the file can be wrong is told in one line.

dnaio reads the file rather than pyfaidx: it takes plain gzip as well as bgzip, accepts lines of uneven
length, and writes no index beside the user's file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dnaio

from convnova.errors import InputError
from convnova.genome.files import reading


class Record(NamedTuple):
    """One FASTA record."""

    name: str
    """First word of the header."""
    sequence: str
    """Letters as they are in the file, line breaks removed."""


def read_fasta(path: Path) -> Iterator[Record]:
    """Yield the records of a FASTA file (plain, gzip or bgzip) in its order.

    Letters are not checked here: ``convnova.sequence.encode`` does that.

    Raises:
        InputError: when the file is missing, is no FASTA, ends early, has no record, or has a record
            without a name or a sequence, or with the name of an earlier one.
    """
    seen: set[str] = set()
    for number, (header, sequence) in enumerate(fasta_records(path), start=1):
        name = header.split(maxsplit=1)[0] if header.strip() else ""
        if not name:
            raise InputError(
                f"{path}, record {number}: the header has no name; write one after '>', as in '>chr1'"
            )
        if name in seen:
            raise InputError(
                f"{path}, record {number}: a second record is named {name!r}; "
                "names (the first word of the header) must differ, so rename or remove one"
            )
        if not sequence:
            raise InputError(
                f"{path}, record {name!r}: it has no sequence; remove the record or complete the file"
            )
        seen.add(name)
        yield Record(name, sequence)
    if not seen:
        raise InputError(
            f"{path}: the file has no FASTA record; a record is a line '>name' and lines of letters"
        )


def fasta_records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the whole header and the sequence of each record, however many there are and whatever they hold.

    Raises:
        InputError: when the file is missing, is no FASTA, or ends early.
    """
    # open_threads=0: no helper process, so that errors come from here and nothing outlives a failure.
    with reading(path, "a FASTA file"), dnaio.open(path, fileformat="fasta", open_threads=0) as reader:
        try:
            for record in reader:
                yield record.name, record.sequence
        except dnaio.FileFormatError as error:
            # dnaio numbers lines from 0, and knows no line for a letter that is not ASCII.
            place = f"{path}, line {error.line + 1}" if error.line is not None else str(path)
            what = "a header '>name' was expected here" if error.line is not None else error.message
            raise InputError(f"{place}: {what}; give a FASTA file, plain, gzip or bgzip") from None
