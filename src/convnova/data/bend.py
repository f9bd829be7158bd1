"""BEND's gene-finding files: regions with their split in a BED file, the label of each base in an HDF5 file.

    gene_finding.bed     chromosome  start  end  split [strand]   with a header that names the columns
    gene_finding.hdf5    labels (n, L): row i belongs to row i of the BED file

Source: Marin et al., "BEND: Benchmarking DNA Language Models on Biologically Meaningful Tasks", ICLR 2024,
and its README; there are no labels in the BED file, and the two files share their order.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_windows import UNKNOWN, LabelledBases
from convnova.data.splits import SPLITS, Split
from convnova.errors import InputError, optional
from convnova.genome import Genome, Interval
from convnova.genome.bed import SPLIT_WORDS, bed_columns
from convnova.genome.files import at_place, parse_int, read_lines

DATASET = "labels"
_HEADER = ("chromosome", "start", "end", "split", "strand")
_PADDING = -100
"""What BEND fills rows with that are shorter than the longest."""


def read_bend(bed: Path, hdf5: Path, genome: Genome, labels: int) -> dict[Split, LabelledBases]:
    """Return the labelled regions of each split that the files have.

    Args:
        bed: regions and splits.
        hdf5: label of each base of each region, on the region's strand.
        genome: that the regions lie on.
        labels: how many different labels there are, K.

    Raises:
        InputError: when h5py is missing, or the files are wrong or do not fit each other.
    """
    regions = _read_regions(bed, genome)
    rows = _read_labels(hdf5, len(regions), bed)
    parts: dict[Split, tuple[list[Interval], list[NDArray[np.uint8]]]] = {}
    for number, ((region, split), row) in enumerate(zip(regions, rows, strict=True)):
        place = f"{hdf5}, row {number}"
        found = parts.setdefault(split, ([], []))
        found[0].append(region)
        found[1].append(_as_labels(row, region, labels, place))
    return {
        split: LabelledBases(genome, tuple(parts[split][0]), tuple(parts[split][1]))
        for split in SPLITS
        if split in parts
    }


def _read_regions(bed: Path, genome: Genome) -> list[tuple[Interval, Split]]:
    places: dict[str, int] = {name: index for index, name in enumerate(_HEADER[:4])} | {"strand": 5}
    regions: list[tuple[Interval, Any]] = []
    for number, line in read_lines(bed, "a BED file"):
        columns = bed_columns(line)
        if not columns:
            continue
        if not regions and columns[0] == _HEADER[0]:
            places = {name: index for index, name in enumerate(columns)}
            if missing := [name for name in _HEADER[:4] if name not in places]:
                raise InputError(f"{bed}, line {number}: the header names no column {missing[0]}")
            continue
        with at_place(f"{bed}, line {number}"):
            regions.append(_region(columns, places, genome))
    return regions


def _region(columns: list[str], places: dict[str, int], genome: Genome) -> tuple[Interval, str]:
    if len(columns) <= max(places[name] for name in _HEADER[:4]):
        raise InputError(f"too few columns ({len(columns)}); write chromosome, start, end, split")
    chromosome, start, end, split = (columns[places[name]] for name in _HEADER[:4])
    if split not in SPLIT_WORDS:
        raise InputError(f"{split!r} is no split; write one of {', '.join(SPLIT_WORDS)}")
    at = places.get("strand", len(columns))
    strand = columns[at] if at < len(columns) else "."
    interval = Interval(chromosome, parse_int(start, "start"), parse_int(end, "end"), strand)
    genome.check_inside(interval)
    return interval, SPLIT_WORDS[split]


def _read_labels(hdf5: Path, n: int, bed: Path) -> list[NDArray[Any]]:
    h5py = optional("h5py", "HDF5", "tracks")
    if not hdf5.exists():
        raise InputError(f"{hdf5}: no such file; give the HDF5 file with the labels of the regions")
    try:
        with h5py.File(hdf5, "r") as file:
            if DATASET not in file:
                raise InputError(f"{hdf5}: no data set {DATASET!r}; it holds {', '.join(file) or 'nothing'}")
            if len(file[DATASET]) != n:
                raise InputError(
                    f"{hdf5}: {len(file[DATASET])} rows of labels, and {bed.name} has {n} regions; "
                    "give the two files of one task"
                )
            return [np.atleast_1d(row) for row in file[DATASET][:]]
    except OSError as error:
        raise InputError(f"{hdf5}: it cannot be read ({error}); copy or download it again") from None


def _as_labels(row: NDArray[Any], region: Interval, labels: int, place: str) -> NDArray[np.uint8]:
    """Return the labels of a region, (width,); padding is cut off."""
    if len(row) < region.width or (row[region.width :] != _PADDING).any():
        raise InputError(f"{place}: {len(row)} labels for {region} of {region.width} bp; give one a base")
    row = row[: region.width]
    if not np.isin(row, [*range(labels), _PADDING]).all():
        raise InputError(f"{place}: labels from {row.min()} to {row.max()}; BEND's are 0 to {labels - 1}")
    return np.where(row == _PADDING, UNKNOWN, row).astype(np.uint8)
