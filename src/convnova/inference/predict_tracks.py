"""Many tracks over a genome or intervals, as bigWig files or a table: what `convnova predict` makes of bins.

Each bin is predicted from the window around it, as in training. A window ends with the padding of its own
ends, so neighbours share no work: what they see of the same base differs.

    bins       |----|----|----|--     side by side from the begin of a chromosome or interval; the last is cut
    window  <-------------->          centred on its whole bin; N beyond the chromosome

bigWig files are written one track after another. Filled side by side, 400 of them took 3,400 open files,
where 1,024 are often the limit, and 101 s of processor time, not 53 s (12 Mb in bins of 200 bp). So
predictions wait in one file, from which a run that was stopped goes on.

n windows, b bins, T tracks.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from convnova.inference.partial import Partial, made_of_each
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
    places = intervals or genome.chromosomes
    regions = places if settings.is_table else merged(places, genome)
    names = [loaded.saved.names[column] for column in columns]
    bins = [settings.both_strands, loaded.saved.window_bp, settings.step_bp, BLOCK_BASES]
    partial = partial_of(settings, paths[0], genome, regions, [names, *bins])
    partial.tell(console)
    if settings.is_table:
        frame = predict_intervals(loaded, genome, regions, columns, settings.both_strands, console, partial)
        write_table(frame, settings.output)
        what = counted(len(frame), "interval")
    else:
        _write_bigwigs(settings, loaded, genome, regions, columns, paths, partial, console)
        what = f"{sum(region.width for region in regions):,} bp"
    partial.remove()
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
    partial: Partial | None = None,
) -> pl.DataFrame:
    """Return a row for each interval: where it is, and what some tracks are in the window around its centre.

    Args:
        loaded: model of the tracks.
        genome: that the intervals lie on.
        intervals: n of them, of any length.
        columns: outputs of the model that are wanted.
        both_strands: whether to average over both strands; default as the model was chosen.
        console: where a bar shows how far it is; default nowhere.
        partial: what is there of a run that was stopped, and is to be kept of this one.
    """
    saved = loaded.saved
    centers = np.array([one.center for one in intervals])
    chromosomes = np.array([genome.index_of(one.chromosome) for one in intervals])

    def made(rows: slice) -> NDArray[np.float32]:
        starts = window_starts(centers[rows], 0, saved.window_bp)
        found = _predict(loaded, genome, chromosomes[rows], starts, both_strands, saved.window_bp)
        return found[:, columns]

    predictions = np.empty((len(intervals), len(columns)), dtype=np.float32)
    step = max(1, BLOCK_BASES // saved.window_bp)
    blocks = (slice(first, first + step) for first in range(0, len(intervals), step))
    filled = made_of_each if partial is None else partial.filled
    with progress_bar(console or Console(quiet=True), "predicting", len(intervals)) as advance:
        for rows, values in filled(blocks, made):
            predictions[rows] = values
            advance(len(values))
    places = {
        "chromosome": [one.chromosome for one in intervals],
        "start": [one.start for one in intervals],
        "end": [one.end for one in intervals],
        "name": [one.name for one in intervals],
    }
    prefix = "predicted" if saved.kind == "signal" else "probability"
    tracks = {f"{prefix}_{saved.names[track]}": predictions[:, i] for i, track in enumerate(columns)}
    return pl.DataFrame(places | tracks)


def partial_of(
    settings: PredictSettings, path: Path, genome: Genome, regions: Sequence[Interval], chosen: list[Any]
) -> Partial:
    """Return what there is of a run that was stopped.

    Args:
        settings: of the run.
        path: first file that is written.
        genome: that is read.
        regions: of it.
        chosen: what else predictions depend on, as JSON has it.
    """
    places = hashlib.sha256(
        repr([(one.chromosome, one.start, one.end) for one in regions]).encode()
    ).hexdigest()
    return Partial(path, settings.model, genome.checksum, places, settings.precision, chosen)


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
    partial: Partial,
    console: Console,
) -> None:
    """Predict the bins of regions, and write a bigWig file of each track, one after another."""
    saved = loaded.saved
    step_bp, most = settings.step_bp or saved.bin_bp, max(1, BLOCK_BASES // saved.window_bp)

    def made(bins: Bins) -> NDArray[np.float32]:
        chromosomes = np.full(len(bins.starts), genome.index_of(bins.chromosome))
        starts = window_starts(bins.starts, step_bp, saved.window_bp)
        predictions = _predict(loaded, genome, chromosomes, starts, settings.both_strands, step_bp)
        return predictions[:, columns].T

    with progress_bar(console, "predicting", sum(region.width for region in regions)) as advance:
        for bins, _ in partial.filled(bins_of(regions, step_bp, most), made):
            advance(int(bins.ends[-1] - bins.starts[0]))
    with progress_bar(console, "writing", len(paths)) as advance:
        for number, path in enumerate(paths):
            with bigwig_files([path], genome.chromosome_sizes) as (track,):
                for bins, values in of_track(partial, bins_of(regions, step_bp, most), number):
                    known = ~np.isnan(values)
                    track.add_bins(bins.chromosome, bins.starts[known], bins.ends[known], values[known])
            advance(1)


def of_track(
    partial: Partial, blocks: Iterator[Bins], number: int
) -> Iterator[tuple[Bins, NDArray[np.float32]]]:
    """Yield bins, and what one track is in them, (b,); bins of hg38 in steps of 50 bp would take 1 GB."""
    for place, bins in enumerate(blocks):
        yield bins, partial[place][number]


def _paths(settings: PredictSettings, loaded: TrackModel, columns: Sequence[int]) -> list[Path]:
    """Return the files that are written."""
    if settings.is_table or settings.is_bigwig:
        return [settings.output]
    names = file_names(loaded.saved.names)
    return [settings.output / f"{names[column]}.bw" for column in columns]
