"""Settings of `convnova predict`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.inference.compute_settings import ComputeSettings

TABLES = (".csv", ".tsv", ".parquet")
BIGWIG = (".bw", ".bigwig")
ZARR = ".zarr"
OTHER_FILES = (".txt", ".bed", ".bedgraph", ".bg", ".wig", ".json", ".xlsx", ".npy", ".npz", ".h5", ".gz")
"""Endings of files that are not written, and so no names of folders that anybody means."""


@dataclass(frozen=True)
class PredictSettings(ComputeSettings):
    """Any model over a genome, to bigWig or bedGraph files, Zarr, or a table.

    A model of tracks or of sequences predicts bins, each from the window around it; a gene finder gives
    probabilities of its labels, and a masked language model of A, C, G and T, at each base.
    """

    model: Path
    """Folder that convnova finetune or convnova pretrain wrote."""
    genome: Path
    """Genome as FASTA: plain, gzip or bgzip; any, not only the one that the model learned from."""
    output: Path
    """Folder for a bigWig file of each track; a .bw file where one track is named; a table (.csv, .tsv,
    .parquet) with a row for each interval, of tracks and sequences; or .zarr, of a model of bases."""
    intervals: Path | None = None
    """BED of the places to predict: bins from the begin of each to its end, or for a table the window around
    its centre; default the whole genome."""
    tracks: list[str] = field(default_factory=list)
    """Tracks, or labels, to write; default all."""
    step_bp: int | None = None
    """Length of a bin in the bigWig files; default that of the data set. The window that is read lies around
    the centre of the bin."""
    both_strands: bool | None = None
    """Whether predictions are averaged over both strands; default as the model was chosen."""
    window_bp: int | None = None
    """Length of the sequence that a model of sequences reads; default that of its training, where all had
    one; of tracks it is known."""
    format: Literal["bigwig", "bedgraph"] = "bigwig"
    """What files of a model of bases are in the folder: .bw, or .bedgraph.gz."""
    decimals: int = 4
    """That values of a model of bases are rounded to; equal neighbours take no more space than one."""
    memory_mb: float = 2048
    """Memory for the tiles of a model of bases. It changes no number."""
    engine: Literal["process", "ray"] = "process"
    """Where a model of bases reads the tiles: one after another in this process, or as Ray tasks."""
    ray_address: str | None = None
    """Running Ray cluster, HOST:PORT or auto, whose machines find the genome in the same place; default a
    local one."""
    gpus: float | None = None
    """GPUs of a Ray task; default 1 where the cluster has GPUs, else 0."""
    overwrite: bool = False
    """Whether files that exist are replaced."""
    cache: Path | None = None
    """Folder for the memory-mapped genome; default beside the FASTA."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window_bp", "memory_mb"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("ray_address", "gpus"):
            if self.engine != "ray" and getattr(self, name) is not None:
                raise InputError(f"{name} is of engine ray; leave it out")
        if self.engine == "ray" and self.compile:
            raise InputError("compile is of engine process; leave one of them out")
        if self.format != "bigwig" and (self.is_bigwig or self.is_zarr):
            raise InputError(f"{self.output}: its name says what it is; leave format out, or name a folder")
        if self.output.suffix.lower() == ZARR and not self.is_zarr:
            raise InputError(f"{self.output}: write its ending in lower case, {ZARR}")
        if not 0 <= self.decimals <= 9:
            raise InputError(f"decimals must be 0 to 9, got {self.decimals}")
        if self.output.suffix.lower() in OTHER_FILES and not self.output.is_dir():
            raise InputError(
                f"{self.output}: give a folder for bigWig files, a .bw file for one track, or a table as "
                f"{', '.join(TABLES)}"
            )
        if self.step_bp is not None and self.step_bp < 1:
            raise InputError(f"step_bp must be at least 1, got {self.step_bp}")
        if self.is_table and self.intervals is None:
            raise InputError(
                f"{self.output}: a table has a row for each interval, so give --intervals; for the whole "
                "genome name a folder, which gets a bigWig file of each track"
            )
        if self.is_table and self.step_bp is not None:
            raise InputError("step_bp is for bigWig files; a table has one window around each interval")
        if self.is_bigwig and len(self.tracks) != 1:
            raise InputError(
                f"{self.output}: one bigWig file holds one track, so name it by --tracks; or name a folder "
                "for all of them"
            )

    @property
    def is_table(self) -> bool:
        """Whether a table is written."""
        return self.output.suffix.lower() in TABLES

    @property
    def is_zarr(self) -> bool:
        """Whether a Zarr group is written."""
        return self.output.suffix == ZARR

    @property
    def is_bigwig(self) -> bool:
        """Whether one bigWig file is written."""
        return self.output.suffix.lower() in BIGWIG
