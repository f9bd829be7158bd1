"""The records of a FASTA file, one at a time; every way the file can be wrong is told in one line.

dnaio reads the file rather than pyfaidx: it takes plain gzip as well as bgzip, accepts lines of uneven
length, and writes no index beside the user's file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dnaio

from convnova.errors import InputError


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
    for number, (header, sequence) in enumerate(_read(path), start=1):
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


def _read(path: Path) -> Iterator[tuple[str, str]]:
    """Yield header and sequence as dnaio has them, its errors and the decompressor's told as `InputError`."""
    try:
        # open_threads=0: no helper process, so that errors come from here and nothing outlives a failure.
        with dnaio.open(path, fileformat="fasta", open_threads=0) as reader:
            for record in reader:
                yield record.name, record.sequence
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; give the path of a FASTA file (plain, gzip or bgzip)"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give the path of a FASTA file in it") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read the file; change its mode or copy it") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: not a FASTA file but binary data; give FASTA, plain, gzip or bgzip"
        ) from None
    except EOFError:
        raise InputError(
            f"{path}: the compressed file ends early or is damaged; copy or download it again"
        ) from None
    except dnaio.FileFormatError as error:
        where = f"{path}, line {error.line + 1}" if error.line is not None else str(path)
        what = "expected a header '>name'" if error.line is not None else error.message
        raise InputError(f"{where}: not a FASTA file: {what}; give FASTA, plain, gzip or bgzip") from None
    except Exception as error:
        # Which class a damaged gzip raises depends on the library that xopen found (isal, zlib-ng or zlib).
        raise InputError(f"{path}: cannot be read ({error}); copy or download the file again") from error
