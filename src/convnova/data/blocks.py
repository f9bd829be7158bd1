"""Sequences of a file some at a time, so that what is held does not grow with their number.

FASTA, CSV, TSV, BED and files of one sequence a line are read as they go on. Parquet, folders and several
files as one are held, one byte a base.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from convnova.data.delimited import header_of
from convnova.data.read_settings import Format, ReadSettings
from convnova.data.reading import KIND, cropped, form_of, parts_of, read_sequences, read_text
from convnova.data.records import fasta_table
from convnova.data.table import SequenceTable
from convnova.genome.bed import bed_columns
from convnova.genome.fasta import fasta_records
from convnova.genome.files import open_text, read_head

_HEAD_BYTES = 2**20
_FIRST_ROWS = 2**10
"""Of a block before the lengths of sequences are known."""


class Most(NamedTuple):
    """How much a block has at most, but for a single longer sequence."""

    sequences: int = 2**16
    bases: int = 2**25


def sequence_blocks(source: str, settings: ReadSettings, most: Most) -> Iterator[SequenceTable]:
    """Yield the sequences of what `read_sequences` reads, in their order; names of FASTA are whole headers.

    Raises:
        InputError: as `read_sequences` does, once it comes to what is wrong.
    """
    (name, path), *others = parts_of(source)
    form: Format = "folder"
    if name is None and not others and path.is_file():
        form = form_of(path, read_head(path, KIND, _HEAD_BYTES), settings)
    if form == "fasta":
        blocks = _of_fasta(path, settings, most)
    elif form in ("table", "bed", "lines"):
        blocks = _of_lines(path, form, settings, most)
    else:
        table = read_sequences(source, settings)
        for first in range(0, len(table), most.sequences):
            yield table.take(np.arange(first, min(first + most.sequences, len(table))))
        return
    for block in blocks:
        yield cropped(block, settings)


def _of_fasta(path: Path, settings: ReadSettings, most: Most) -> Iterator[SequenceTable]:
    settings = replace(settings, read_labels=False)
    records: list[tuple[str, str]] = []
    bases = done = 0
    for header, letters in fasta_records(path):
        records.append((header, letters))
        bases += len(letters)
        if bases >= most.bases or len(records) >= most.sequences:
            yield fasta_table(path, records, settings, done)
            done, bases, records = done + len(records), 0, []
    if records or not done:
        yield fasta_table(path, records, settings, done)


def _of_lines(path: Path, form: Format, settings: ReadSettings, most: Most) -> Iterator[SequenceTable]:
    header, done, first = "", 0, None
    rows = min(most.sequences, _FIRST_ROWS) + (form == "table")  # and its header
    with open_text(path, KIND) as file:
        while lines := list(_some_lines(file, form, rows, most.bases)):
            text = "".join(lines)
            if not done or any(_is_row(line, form) for line in lines):
                block = read_text(path, header + text, form, settings, done - bool(header), first)
                if first is None:
                    first = block.take(np.arange(0))
                yield block
                if form == "table" and not header:
                    header = header_of(text, block.columns, settings)
                rows = max(1, min(most.sequences, most.bases // int(block.ids.lengths.max())))
            done += len(lines)


def _some_lines(file: TextIO, form: Format, rows: int, letters: int) -> Iterator[str]:
    """Yield lines up to so many rows or letters, and on to the end of a cell that a line break is in."""
    marks = 0
    for line in file:
        yield line
        rows, letters, marks = rows - _is_row(line, form), letters - len(line), marks + line.count('"')
        if (rows <= 0 or letters <= 0) and (marks % 2 == 0 or form != "table"):
            return


def _is_row(line: str, form: Format) -> bool:
    return bool(bed_columns(line) if form == "bed" else line.strip())
