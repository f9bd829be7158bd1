"""Files that hold sequences and little else: FASTA, one sequence a line, a folder of files for each class.

n sequences.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from convnova.data.letters import pack_letters
from convnova.data.read_settings import ReadSettings
from convnova.data.table import Places, SequenceTable
from convnova.errors import InputError
from convnova.genome.fasta import fasta_records
from convnova.genome.files import read_bytes, reading

LABEL = "label"
"""What the label column is called where the file does not name one."""


def read_fasta_table(path: Path, settings: ReadSettings) -> SequenceTable:
    """Return the records of a FASTA file, as `fasta_table` does."""
    return fasta_table(path, list(fasta_records(path)), settings)


def fasta_table(
    path: Path, records: Sequence[tuple[str, str]], settings: ReadSettings, skipped: int = 0
) -> SequenceTable:
    """Return records of a FASTA file, header and letters each; names need not differ.

    The label is what follows the last ``|`` of the header, as in the Nucleotide Transformer benchmark's
    ``>chr1_100_200|1``; a header without one has none. `skipped` records of the file are before these.

    Raises:
        InputError: when there is none, or at the first record whose sequence is wrong.
    """
    if not records:
        raise InputError(f"{path}: the file has no FASTA record; a record is a line '>name' and its letters")
    headers = [header.strip() for header, _ in records]
    places = Places.of_file(path, "record", skipped + np.arange(len(records)) + 1)
    ids, notes = pack_letters(
        pl.Series([letters for _, letters in records], dtype=pl.String), places, settings
    )
    parts = [header.rpartition("|") for header in headers]
    has_labels = settings.read_labels and any(bar and label.strip() for _, bar, label in parts)
    if has_labels:
        notes = (*notes, "labels are what follows the last | of each header")
    return SequenceTable(
        ids,
        places,
        source=str(path),
        names=[
            name if has_labels and bar else header
            for header, (name, bar, _) in zip(headers, parts, strict=True)
        ],
        labels=pl.DataFrame({LABEL: [label.strip() if bar else None for _, bar, label in parts]})
        if has_labels
        else None,
        notes=notes,
    )


def read_line_table(path: Path, text: str, settings: ReadSettings, skipped: int = 0) -> SequenceTable:
    """Return the sequences of a file that has one a line; blank lines are passed over.

    `skipped` lines of the file are before those of the text.

    Raises:
        InputError: at the first line that is no sequence.
    """
    lines = pl.Series(text.splitlines(), dtype=pl.String).str.strip_chars()
    is_used = (lines != "").to_numpy()
    places = Places.of_file(path, "line", skipped + np.flatnonzero(is_used) + 1)
    ids, notes = pack_letters(lines.filter(is_used), places, settings)
    return SequenceTable(ids, places, source=str(path), notes=("one sequence a line", *notes))


def read_folder_table(folder: Path, settings: ReadSettings) -> SequenceTable:
    """Return the sequences of a folder that has a folder for each class and in it a file for each sequence.

    This is the form in which Genomic Benchmarks keeps its data. Line ends within a file are dropped; a file
    may be gzip, and may have a FASTA header.

    Raises:
        InputError: when a class has no file, or at the first file that holds several sequences or
            a wrong one.
    """
    files, labels, texts = [], [], []
    for class_folder in sorted(each for each in folder.iterdir() if each.is_dir()):
        found = (file for file in class_folder.iterdir() if file.is_file() and not _is_hidden(file))
        members = sorted(found, key=lambda file: file.name)  # comparing paths takes longer than reading them
        if not members:
            raise InputError(
                f"{class_folder}: no file in it; put one file for each sequence of the class there"
            )
        for file in members:
            texts.append(_only_sequence(file))
        files += members
        labels += [class_folder.name] * len(members)
    places = Places(
        tuple(map(str, files)), ("",) * len(files), np.arange(len(files)), np.ones(len(files), dtype=np.int64)
    )
    ids, notes = pack_letters(pl.Series(texts, dtype=pl.String), places, settings)
    names = [f"{file.parent.name}/{Path(file.name.removesuffix('.gz')).stem}" for file in files]
    note = f"each folder of {folder.name} is a class"
    return SequenceTable(
        ids, places, str(folder), names, labels=pl.DataFrame({LABEL: labels}), notes=(note, *notes)
    )


def _only_sequence(file: Path) -> str:
    with reading(file, "a file with one sequence"):
        lines = read_bytes(file, "a file with one sequence").decode("utf-8-sig").splitlines()
    bases = [line for line in lines if not line.startswith(">")]
    if (headers := len(lines) - len(bases)) > 1:
        raise InputError(
            f"{file}: {headers} FASTA records in a file of a class folder; write one a file, or a file for "
            "each class, with no folder around it"
        )
    return "".join(bases)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")
