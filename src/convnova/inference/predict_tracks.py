"""Many tracks over a genome or intervals, as bigWig files or a table: what `convnova predict` makes of bins.

Each bin is predicted from the window around it, as in training. A window ends with the padding of its own
ends, so neighbours share no work: what they see of the same base differs.

    bins       |----|----|----|--     side by side from the begin of a chromosome or interval; the last is cut
    window  <-------------->          centred on its whole bin; N beyond the chromosome

bigWig files are written one track after another. Filled side by side, 400 of them took 3,400 open files,
where 1,024 are often the limit, and 101 s of processor time, not 53 s (12 Mb in bins of 200 bp). So
predictions wait in one file, which has no name and is gone however the process ends.

n windows, b bins, T tracks.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from convnova.console import progress_bar, say
from convnova.data.packed import pack
from convnova.data.table import counted
from convnova.data.tracks.grid import window_starts
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.bed import read_bed
from convnova.genome.bigwig import bigwig_files, bigwig_library
from convnova.inference.compute import make_ready
from convnova.inference.output_names import chosen, file_names
from convnova.inference.predict import predict
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.saved_tracks import TrackModel
from convnova.inference.tables import write_table
from convnova.sequence import N
from convnova.writing import check_new, make_folder, make_place

BLOCK_BASES = 2**20
"""Bases of all windows that are predicted between two moves of the bar."""


class Bins(NamedTuple):
    """Bins side by side, few enough to predict at once."""

    chromosome: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def predict_tracks(settings: PredictSettings, loaded: TrackModel, console: Console) -> list[Path]:
    """Predict tracks, write them, and return the paths of what was written.

    Raises:
        InputError: for a track that the model does not have, a genome or intervals that cannot be read, or a
            place that cannot be written to.
    """
    for name in ("engine", "format", "decimals", "memory_mb"):
        if getattr(settings, name) != getattr(PredictSettings, name):
            raise InputError(f"{name} is of models with an output for each base; leave it out")
    if settings.is_zarr:
        raise InputError(f"{settings.output}: Zarr is of models with an output for each base; name a folder")
    columns = chosen(settings.tracks, loaded.saved.names, "track")
    genome = Genome.open(settings.genome, settings.cache)
    intervals = None if settings.intervals is None else read_bed(settings.intervals, genome)
    if not settings.is_table:
        bigwig_library()  # before hours of work
    prepare = make_place if settings.is_table or settings.is_bigwig else make_folder
    prepare(settings.output)
    paths = _paths(settings, loaded, columns)
    for path in paths:
        check_new(path, settings.overwrite)
    make_ready(loaded.model, settings)
    if intervals is not None and settings.is_table:
        frame = predict_intervals(loaded, genome, intervals, columns, settings.both_strands, console)
        write_table(frame, settings.output)
        what = counted(len(frame), "interval")
    else:
        regions = merged(intervals or genome.chromosomes, genome)
        _write_bigwigs(settings, loaded, genome, regions, columns, paths, console)
        what = f"{sum(region.width for region in regions):,} bp"
    tracks = f"{counted(len(columns), 'track')} ({loaded.saved.meaning})"
    say(console, f"{genome.path.name}: {what}, {tracks} -> {settings.output}")
    return paths


def predict_intervals(
    loaded: TrackModel,
    genome: Genome,
    intervals: Sequence[Interval],
    columns: Sequence[int],
    both_strands: bool | None = None,
    console: Console | None = None,
) -> pl.DataFrame:
    """Return a row for each interval: where it is, and what some tracks are in the window around its centre.

    Args:
        loaded: model of the tracks.
        genome: that the intervals lie on.
        intervals: n of them, of any length.
        columns: outputs of the model that are wanted.
        both_strands: whether to average over both strands; default as the model was chosen.
        console: where a bar shows how far it is; default nowhere.
    """
    saved = loaded.saved
    centers = np.array([one.center for one in intervals])
    chromosomes = np.array([genome.index_of(one.chromosome) for one in intervals])
    predictions = np.empty((len(intervals), len(columns)), dtype=np.float32)
    with progress_bar(console or Console(quiet=True), "predicting", len(intervals)) as advance:
        for first in range(0, len(intervals), step := max(1, BLOCK_BASES // saved.window_bp)):
            rows = slice(first, first + step)
            starts = window_starts(centers[rows], 0, saved.window_bp)
            predicted = _predict(loaded, genome, chromosomes[rows], starts, both_strands, saved.window_bp)
            predictions[rows] = predicted[:, columns]
            advance(len(starts))
    places = {
        "chromosome": [one.chromosome for one in intervals],
        "start": [one.start for one in intervals],
        "end": [one.end for one in intervals],
        "name": [one.name for one in intervals],
    }
    prefix = "predicted" if saved.kind == "signal" else "probability"
    tracks = {f"{prefix}_{saved.names[track]}": predictions[:, i] for i, track in enumerate(columns)}
    return pl.DataFrame(places | tracks)


def merged(intervals: Sequence[Interval], genome: Genome) -> list[Interval]:
    """Return intervals in the order of a genome; those that overlap or touch are one."""

    def place(one: Interval) -> tuple[int, int]:
        return genome.index_of(one.chromosome), one.start

    regions: list[Interval] = []
    for one in sorted(intervals, key=place):
        last = regions[-1] if regions else None
        if last is not None and last.chromosome == one.chromosome and one.start <= last.end:
            regions[-1] = Interval(last.chromosome, last.start, max(last.end, one.end))
        else:
            regions.append(Interval(one.chromosome, one.start, one.end))
    return regions


def bins_of(regions: Sequence[Interval], step_bp: int, most: int) -> Iterator[Bins]:
    """Yield the bins of regions, at most so many at once."""
    for region in regions:
        for first in range(region.start, region.end, step_bp * most):
            starts = np.arange(first, min(first + step_bp * most, region.end), step_bp)
            yield Bins(region.chromosome, starts, np.minimum(starts + step_bp, region.end))


def _predict(
    loaded: TrackModel,
    genome: Genome,
    chromosomes: NDArray[np.int64],
    starts: NDArray[np.int64],
    both_strands: bool | None,
    middle_bp: int,
) -> NDArray[np.float32]:
    """Return what all tracks are in some windows, (n, T); NaN where their middle is only N."""
    saved = loaded.saved
    both = saved.average_strands if both_strands is None else both_strands
    ids = genome.windows(chromosomes, starts, saved.window_bp).ids
    width = min(middle_bp, saved.window_bp)
    first = saved.window_bp // 2 - width // 2
    known = (ids[:, first : first + width] != N).any(axis=1)
    predictions = np.full((len(ids), len(saved.names)), np.nan, dtype=np.float32)
    predictions[known] = predict(loaded.model, pack(ids[known]), both)
    return predictions


def _write_bigwigs(
    settings: PredictSettings,
    loaded: TrackModel,
    genome: Genome,
    regions: Sequence[Interval],
    columns: Sequence[int],
    paths: Sequence[Path],
    console: Console,
) -> None:
    """Predict the bins of regions, and write a bigWig file of each track, one after another."""
    saved = loaded.saved
    step_bp = settings.step_bp or saved.bin_bp
    with tempfile.TemporaryFile(dir=paths[0].parent) as file:
        waiting = _Waiting(file, regions, step_bp, max(1, BLOCK_BASES // saved.window_bp))
        with progress_bar(console, "predicting", sum(region.width for region in regions)) as advance:
            for bins in waiting.bins():
                chromosomes = np.full(len(bins.starts), genome.index_of(bins.chromosome))
                starts = window_starts(bins.starts, step_bp, saved.window_bp)
                predictions = _predict(loaded, genome, chromosomes, starts, settings.both_strands, step_bp)
                waiting.add(predictions[:, columns])
                advance(int(bins.ends[-1] - bins.starts[0]))
        with progress_bar(console, "writing", len(paths)) as advance:
            for number, path in enumerate(paths):
                with bigwig_files([path], genome.chromosome_sizes) as (track,):
                    for bins, values in waiting.track(number):
                        known = ~np.isnan(values)
                        track.add_bins(bins.chromosome, bins.starts[known], bins.ends[known], values[known])
                advance(1)


def _paths(settings: PredictSettings, loaded: TrackModel, columns: Sequence[int]) -> list[Path]:
    """Return the files that are written."""
    if settings.is_table or settings.is_bigwig:
        return [settings.output]
    names = file_names(loaded.saved.names)
    return [settings.output / f"{names[column]}.bw" for column in columns]


class _Waiting:
    """Predictions of the bins of regions that wait on the disk until their track is written.

    Bins are made anew for each track: those of hg38 in steps of 50 bp would take 1 GB.
    """

    def __init__(self, file: BinaryIO, regions: Sequence[Interval], step_bp: int, most: int):
        self._file, self._regions, self._step_bp, self._most = file, regions, step_bp, most
        self._tracks = 0

    def bins(self) -> Iterator[Bins]:
        """Yield the bins, block by block."""
        return bins_of(self._regions, self._step_bp, self._most)

    def add(self, predictions: NDArray[np.float32]) -> None:
        """Take the predictions of the next block, (b, T)."""
        self._tracks = predictions.shape[1]
        self._file.write(np.ascontiguousarray(predictions.T).data)

    def track(self, number: int) -> Iterator[tuple[Bins, NDArray[np.float32]]]:
        """Yield bins, and what one track is in them, (b,)."""
        place = 0
        for bins in self.bins():
            row_bytes = 4 * len(bins.starts)
            self._file.seek(place + number * row_bytes)
            yield bins, np.frombuffer(self._file.read(row_bytes), dtype=np.float32)
            place += self._tracks * row_bytes
