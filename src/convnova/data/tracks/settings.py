"""Settings of `convnova tracks`; light to import, for the command line."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from convnova.errors import InputError
from convnova.genome.names import Unknown


@dataclass(frozen=True)
class TrackSettings:
    """Peaks or signals of many experiments on a genome to a data set of bins and tracks."""

    tracks: list[str]
    """What to build from, with commas between: BED, narrowPeak or bigWig files, a folder of them, or a table
    (name, file, group, separated by tabs); DeepSEA's train.mat, valid.mat and test.mat, or their folder; or
    CSV tables of coordinates and targets, with train, valid and test in the names of the files."""
    output: Path
    """Folder for the data set; must be new or empty."""
    genome: Path | None = None
    """FASTA that the tracks lie on; DeepSEA's files bring their sequences along."""
    bin_bp: int = 200
    """Length of a bin: the stretch that a label is about; of CSV tables, the width of their intervals."""
    window_bp: int = 1000
    """Length of the sequence that a model reads around the centre of a bin."""
    overlap: Literal["share", "any", "summit"] = "share"
    """When a bin is positive: when more than overlap_share of it is in peaks (DeepSEA's rule), any base is,
    or a summit is (column 10 of narrowPeak, else the middle of the peak)."""
    overlap_share: float = 0.5
    """Share of a bin of which more must be in peaks."""
    negatives: Literal["none", "all"] | float = "none"
    """Bins without a peak in any track that are kept: none (as DeepSEA), all, or so many for each bin with a
    peak, drawn by seed in each split."""
    excluded: Path | None = None
    """BED of regions to leave out, such as a blacklist: no bin that touches one is kept."""
    max_n_share: float = 0.5
    """Leave out bins whose window holds a larger share of N than this; beyond a chromosome end is N too."""
    validation_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes to choose on; where none are given for test either, about 5 % of the genome each."""
    test_chromosomes: list[str] = field(default_factory=list)
    """Chromosomes to test on."""
    min_peaks: int = 1
    """Tracks with fewer peaks are listed and left out."""
    unknown_chromosomes: Unknown = "refuse"
    """What to do with a chromosome that the genome does not have, under any of its names."""
    on_leakage: Literal["error", "state"] = "error"
    """What to do when windows of test overlap those of another part, in CSV tables: an error, or only count
    them, where a suite is published that way."""
    log1p: bool = False
    """Whether signals are stored as log(1 + x)."""
    names: Path | None = None
    """Names of the tracks of DeepSEA's files or CSV tables, one a line in their order (predictor.names)."""
    liftover: Path | None = None
    """Chain file (UCSC) from the assembly of CSV tables to that of the genome."""
    seed: int = 0
    """Draws negatives."""
    cache: Path | None = None
    """Folder for the genome's store; default beside the FASTA."""

    def __post_init__(self) -> None:
        for name in ("bin_bp", "window_bp", "min_peaks"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.overlap_share < 1:
            raise InputError(f"overlap_share must be at least 0 and below 1, got {self.overlap_share}")
        if not 0 <= self.max_n_share <= 1:
            raise InputError(f"max_n_share must be between 0 and 1, got {self.max_n_share}")
        if not isinstance(self.negatives, str) and self.negatives < 0:
            raise InputError(f"negatives must be none, all, or a number of at least 0, got {self.negatives}")
        if self.overlap != "share" and self.overlap_share != 0.5:
            raise InputError(
                f"overlap_share is for overlap share, and overlap is {self.overlap}; leave it out"
            )

    def changed(self) -> list[str]:
        """Return the names of settings that are not at their default."""
        default = TrackSettings(self.tracks, self.output)
        return [one.name for one in fields(self) if getattr(self, one.name) != getattr(default, one.name)]
