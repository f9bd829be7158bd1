"""Values of every base of a genome into files, stretch by stretch: bigWig, bedGraph, or Zarr.

::

    folder of .bw              a file a label; neighbours whose rounded values are equal are one run
    folder of .bedgraph.gz     the same as text: chromosome, start, end, value; 0-based, half-open
    .zarr                      an array a chromosome (L, K), labels in its attributes; NaN where there is none

L length in bp, K labels.
"""

import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError, optional
from convnova.genome.bigwig import BigWigFile, bigwig_files
from convnova.writing import check_new, whole_file, whole_zarr

CHUNK_BP = 2**16


class BaseTracks(ABC):
    """Files that are being filled, in the order of the genome."""

    @abstractmethod
    def add(self, chromosome: str, start: int, values: NDArray[np.float32]) -> None:
        """Add the values of a stretch, (L, K); NaN where there is none."""


@contextmanager
def base_tracks(
    paths: Sequence[Path],
    names: Sequence[str],
    sizes: Mapping[str, int],
    decimals: int,
    overwrite: bool = False,
) -> Iterator[BaseTracks]:
    """Give files to add values to; they are there, whole, once nothing has failed.

    Args:
        paths: a file for each name, .bw or .bedgraph.gz; or a single .zarr.
        names: of the K labels.
        sizes: length in bp of each chromosome.
        decimals: that values are rounded to.
        overwrite: whether files that exist are replaced.

    Raises:
        InputError: when the library of the format is missing, or a file exists and may not be replaced.
    """
    kind = paths[0].suffix
    for path in paths:
        check_new(path, overwrite)
    if kind == ".zarr":
        with _zarr(paths[0], names, sizes, decimals) as tracks:
            yield tracks
    elif kind == ".gz":
        with ExitStack() as stack:
            stagings = [stack.enter_context(whole_file(path)) for path in paths]
            yield _BedGraphs([stack.enter_context(gzip.open(one, "wt")) for one in stagings], decimals)
    else:
        with bigwig_files(paths, sizes) as files:
            yield _BigWigs(files, decimals)


class _BigWigs(BaseTracks):
    def __init__(self, files: Sequence[BigWigFile], decimals: int):
        self._files, self._decimals = files, decimals

    def add(self, chromosome: str, start: int, values: NDArray[np.float32]) -> None:
        for column, file in enumerate(self._files):
            starts, ends, runs = runs_of(values[:, column], start, self._decimals)
            if len(runs):
                file.add_bins(chromosome, starts, ends, runs)


class _BedGraphs(BaseTracks):
    def __init__(self, files: Sequence[TextIO], decimals: int):
        self._files, self._decimals = files, decimals

    def add(self, chromosome: str, start: int, values: NDArray[np.float32]) -> None:
        digits = max(6, self._decimals)
        for column, file in enumerate(self._files):
            rows = zip(*runs_of(values[:, column], start, self._decimals), strict=True)
            file.writelines(
                f"{chromosome}\t{first}\t{last}\t{value:.{digits}g}\n" for first, last, value in rows
            )


class _Zarr(BaseTracks):
    def __init__(self, group: Any, decimals: int):
        self._group, self._decimals = group, decimals

    def add(self, chromosome: str, start: int, values: NDArray[np.float32]) -> None:
        self._group[chromosome][start : start + len(values)] = np.round(values, self._decimals)


@contextmanager
def _zarr(path: Path, names: Sequence[str], sizes: Mapping[str, int], decimals: int) -> Iterator[_Zarr]:
    zarr = optional("zarr", "such a file", "embeddings")
    if unfit := [name for name in sizes if "/" in name or name in (".", "..")]:
        raise InputError(
            f"{path}: {unfit[0]!r} can be no array of Zarr; rename the chromosome, or write bigWig files"
        )
    with whole_zarr(path) as staging:
        group = zarr.open_group(staging, mode="w", attributes={"labels": list(names)})
        for name, size in sizes.items():
            shape, chunks = (size, len(names)), (min(size, CHUNK_BP), len(names))
            group.create_array(name, shape=shape, chunks=chunks, dtype="float32", fill_value=np.nan)
        yield _Zarr(group, decimals)


def runs_of(
    values: NDArray[np.float32], start: int, decimals: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return starts, ends and values of the runs of equal rounded values, those of NaN left out."""
    rounded = np.round(values, decimals)
    is_new = np.concatenate([[True], (rounded[1:] != rounded[:-1]) & ~np.isnan(rounded[:-1] + rounded[1:])])
    is_new[1:] |= np.isnan(rounded[1:]) != np.isnan(rounded[:-1])
    first = np.flatnonzero(is_new)
    last = np.append(first[1:], len(values))
    kept = ~np.isnan(rounded[first])
    return first[kept] + start, last[kept] + start, rounded[first[kept]]
