"""How files of sequences are read: what cannot be guessed, or should not be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convnova.errors import InputError

Format = Literal["table", "parquet", "fasta", "lines", "bed", "folder"]
TooLong = Literal["refuse", "keep-center", "keep-start", "keep-end"]


@dataclass(frozen=True)
class ReadSettings:
    """How files of sequences are read; everything is found from the file where nothing is given."""

    sequence_column: str | None = None
    """Column of a table that holds the sequences: its name, or its number from 1 in a file without header."""
    label_columns: tuple[str, ...] = ()
    """Columns that hold the labels, several for multi-label and regression; by name, or by number as above.
    In BED: name, score, or the number of the column."""
    read_labels: bool = True
    """Whether to look for labels at all; false for sequences whose labels are asked for."""
    name_column: str | None = None
    """Column that holds the names of the sequences."""
    genome: Path | None = None
    """FASTA that intervals (BED, or columns chromosome, start, end, strand) are cut from."""
    cache: Path | None = None
    """Folder for the store of the genome; default beside the FASTA."""
    unstranded: Literal["refuse", "forward"] = "refuse"
    """What to do with an interval without strand (``.``): "forward" reads it as +."""
    max_length_bp: int | None = None
    """Longest sequence allowed, in bp."""
    too_long: TooLong = "refuse"
    """What to do with a longer one: "keep-center" crops both ends alike, "keep-start" keeps its first bases,
    "keep-end" its last."""
    ambiguous: Literal["as-n", "refuse"] = "as-n"
    """What to do with the IUPAC codes RYSWKMBDHV: read them as N, which is counted and stated, or refuse."""
    format: Format | None = None
    """Form of the file: "table" is CSV or TSV, "lines" one sequence a line, "folder" a folder a class.
    Default: found from the file."""

    def __post_init__(self) -> None:
        if self.max_length_bp is not None and self.max_length_bp < 1:
            raise InputError(f"max_length_bp must be at least 1, got {self.max_length_bp}")
        if self.too_long != "refuse" and self.max_length_bp is None:
            raise InputError(f"too_long is {self.too_long!r}, but no max_length_bp is given; give it in bp")
        if isinstance(self.label_columns, str):
            raise InputError(f"label_columns must be a list of names, got the text {self.label_columns!r}")
