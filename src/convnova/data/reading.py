"""Files of sequences, whatever their form, into one table in memory.

    train.csv                       CSV, TSV, Parquet: columns found by name, or given
    seqs.fa.gz                      FASTA; the label after | where there is one
    seqs.txt                        one sequence a line
    peaks.bed, intervals.csv        with a genome
    train/positive/1.txt ...        a folder for each class, a file for each sequence
    train/positive.csv.gz ...       a file for each class
    pos=a.fa.gz,neg=b.fa.gz         the same, spelled out
    dev.csv,test.csv                several files as one

All plain or gzip.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from convnova.data.columns import looks_like_dna
from convnova.data.delimited import SEPARATORS, read_delimited, read_parquet, table_of
from convnova.data.interval_table import bed_frame
from convnova.data.letters import crop
from convnova.data.read_settings import Format, ReadSettings
from convnova.data.records import LABEL, read_fasta_table, read_folder_table, read_line_table
from convnova.data.table import SequenceTable, join_tables
from convnova.errors import InputError
from convnova.genome.files import read_bytes, reading

__all__ = ["ReadSettings", "SequenceTable", "Source", "read_sequences"]

logger = logging.getLogger(__name__)

Source = str | Path | Sequence[str | Path] | Mapping[str, str | Path]
"""A file, several files read as one, or a file for each class; also as text (see `read_sequences`)."""

KIND = "a file of sequences"
_BED_SUFFIXES = (".bed", ".narrowpeak", ".broadpeak")
_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"


def read_sequences(source: Source, settings: ReadSettings | None = None) -> SequenceTable:
    """Return the sequences of a file, a folder or several files, with labels where they have any.

    Args:
        source: one path; several, which are read as one; or a path for each class by its name. As text:
            ``a.csv``, ``a.csv,b.csv``, ``promoter=pos.fa.gz,other=neg.fa.gz``.
        settings: what is not to be guessed.

    Raises:
        InputError: when a file is missing or of no known form, or at the first sequence that is wrong.
    """
    settings = settings or ReadSettings()
    tables = []
    for name, path in parts_of(source):
        if name is None:
            tables.append(_read_path(path, settings))
        else:
            table = _read_path(path, replace(settings, read_labels=False))
            tables.append(replace(table, labels=pl.DataFrame({LABEL: [name] * len(table)})))
    return join_tables(tables)


def parts_of(source: Source) -> list[tuple[str | None, Path]]:
    """Return each path, and the class it stands for, if any."""
    if isinstance(source, Mapping):
        return [(name, Path(path)) for name, path in source.items()]
    if isinstance(source, Path):
        return [(None, source)]
    if not isinstance(source, str):
        return [part for each in source for part in parts_of(each)]
    if not ("," in source or "=" in source) or _exists(source):
        return [(None, Path(source))]
    parts: list[tuple[str | None, Path]] = []
    for item in source.split(","):
        name, equals, path = item.strip().rpartition("=")
        if not path or (equals and not name):
            raise InputError(f"{source!r}: {item!r} is no file; write class=file,class=file or file,file")
        parts.append((name.strip() if equals else None, Path(path.strip())))
    if len({name is None for name, _ in parts}) > 1:
        raise InputError(f"{source!r}: some files have a class and some have none; give each one, or none")
    return parts


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a long list of files is no name of a file
        return False


def _read_path(path: Path, settings: ReadSettings) -> SequenceTable:
    return cropped(_read_folder(path, settings) if path.is_dir() else _read_file(path, settings), settings)


def cropped(table: SequenceTable, settings: ReadSettings) -> SequenceTable:
    """Return a table of sequences of at most `max_length_bp`, as `crop` does."""
    ids, notes = crop(table.ids, table.places, settings)
    return replace(table, ids=ids, notes=table.notes + notes)


def _read_folder(path: Path, settings: ReadSettings) -> SequenceTable:
    members = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    if any(each.is_dir() for each in members):
        if {each.name for each in members if each.is_dir()} & {"train", "test"}:
            raise InputError(
                f"{path}: it holds {', '.join(each.name for each in members)}; give one of these"
            )
        return read_folder_table(path, settings)
    if not members:
        raise InputError(f"{path}: the folder is empty; put a folder or a file for each class there")
    by_class = {each.name.removesuffix(".gz").rsplit(".", 1)[0]: each for each in members}
    if len(by_class) < len(members):
        raise InputError(f"{path}: two of its files have the name of one class; give each class one file")
    table = read_sequences(by_class, settings)
    return replace(table, source=str(path), notes=(f"each file of {path.name} is a class", *table.notes))


def _read_file(path: Path, settings: ReadSettings) -> SequenceTable:
    with reading(path, KIND):
        data = read_bytes(path, KIND)
        form = form_of(path, data, settings)
        text = "" if form == "parquet" else data.decode("utf-8-sig")
    if form == "parquet":
        return read_parquet(path, data, settings)
    if form == "fasta":
        return read_fasta_table(path, settings)
    return read_text(path, text, form, settings)


def read_text(
    path: Path,
    text: str,
    form: Format,
    settings: ReadSettings,
    skipped: int = 0,
    before: SequenceTable | None = None,
) -> SequenceTable:
    """Return the sequences of lines of a file.

    Args:
        path: the file, as errors name it.
        text: the lines; of a table its header first.
        form: of the file.
        settings: what is not to be guessed.
        skipped: lines of the file that are before these.
        before: the table of some of these, whose columns hold the same.

    Raises:
        InputError: at the first that is wrong.
    """
    if form == "lines":
        return read_line_table(path, text, settings, skipped)
    return (_read_bed if form == "bed" else read_delimited)(path, text, settings, skipped, before)


def _read_bed(
    path: Path, text: str, settings: ReadSettings, skipped: int, before: SequenceTable | None
) -> SequenceTable:
    """Return the intervals of a BED file; names that come twice and more on average are labels."""
    if before is not None:
        frame, numbers = bed_frame(path, text, skipped, len(before.columns))
        return table_of(path, frame, "line", numbers, settings, roles=before.roles)
    frame, numbers = bed_frame(path, text, skipped)
    labels = settings.label_columns
    notes: tuple[str, ...] = ()
    if not labels and "name" in frame.columns and 2 * frame["name"].n_unique() <= len(frame):
        labels, notes = ("name",), ("column 'name' holds the labels",)
    has_labels = settings.read_labels and bool(labels)
    settings = replace(settings, label_columns=labels, read_labels=has_labels)
    return table_of(path, frame, "line", numbers, settings, notes if has_labels else ())


def form_of(path: Path, data: bytes, settings: ReadSettings) -> Format:
    """Return the form of a file: what is given, or from its first bytes, its first line and its name.

    Raises:
        InputError: for an empty file, or one of another kind.
    """
    if settings.format == "folder":
        raise InputError(f"{path}: format is folder, but this is a file; give the folder")
    if settings.format is not None:
        return settings.format
    if data.startswith(_PARQUET):
        return "parquet"
    if data.startswith(_ZIP):
        raise InputError(f"{path}: an archive or an Excel workbook; save the sheet as CSV and give that")
    head = data[: 1 << 20].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        raise InputError(f"{path}: the file is empty; give one with sequences")
    first = head.split(b"\n", 1)[0].decode("utf-8", errors="replace").strip()
    if first.startswith((">", ";")):
        return "fasta"
    if path.name.lower().removesuffix(".gz").endswith(_BED_SUFFIXES):
        return "bed"
    if first.startswith("@"):
        raise InputError(f"{path}: this looks like FASTQ or SAM; convert it to FASTA")
    has_columns = any(separator in first for separator in SEPARATORS)
    return "lines" if looks_like_dna(first, shortest=4) and not has_columns else "table"
