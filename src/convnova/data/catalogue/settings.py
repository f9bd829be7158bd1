"""Settings of ``convnova data list | fetch | prepare | check``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convnova.errors import InputError


@dataclass(frozen=True)
class ListSettings:
    """What `list_data` shows."""

    suite: str | None = None
    """Suite whose tasks are listed; default: all suites, one line each."""
    data: Path | None = None
    """Data folder, to say what is there; default $CONVNOVA_DATA, or convnova/data in the user's cache."""


@dataclass(frozen=True)
class FetchSettings:
    """What `fetch` brings."""

    suite: str
    """Suite to fetch; `convnova data list` shows them."""
    data: Path | None = None
    """Data folder; default $CONVNOVA_DATA, or convnova/data in the user's cache."""
    tasks: str = ""
    """Tasks to fetch, as tf/3,mouse/0; default all of the suite."""
    form: Literal["sequences", "intervals"] = "sequences"
    """Genomic Benchmarks only: ready-made sequences, or intervals from which `prepare` builds them."""
    tries: int = 4
    """Tries in a row that bring nothing before a source is given up."""
    stall_s: float = 30.0
    """Seconds without a byte after which a connection counts as dead."""

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise InputError(f"tries must be at least 1, got {self.tries}")
        if not self.stall_s > 0:
            raise InputError(f"stall_s must be more than 0, got {self.stall_s}")


@dataclass(frozen=True)
class PrepareSettings:
    """What `prepare` builds."""

    suite: str
    """Suite whose tasks are written as Parquet to FOLDER/prepared: sequence, label, and name where known."""
    data: Path | None = None
    """Data folder; default $CONVNOVA_DATA, or convnova/data in the user's cache."""
    tasks: str = ""
    """Tasks to prepare, as tf/3,mouse/0; default all whose files are there."""
    genome: str = ""
    """FASTA of each assembly that intervals refer to, as GRCh38=hg38.fa.gz,WBcel235=ce11.fa; `list` names
    them."""
    cache: Path | None = None
    """Folder for the stores of the genomes (one byte a base); default beside each FASTA."""


@dataclass(frozen=True)
class CheckSettings:
    """What `check` looks at."""

    suite: str | None = None
    """Suite to check; default all."""
    data: Path | None = None
    """Data folder; default $CONVNOVA_DATA, or convnova/data in the user's cache."""
    tasks: str = ""
    """Tasks to check, as tf/3,mouse/0; default all."""
