"""`convnova predict`: any model over a genome, bins or bases, to files for a genome browser.

Models of tracks and of sequences predict bins (`predict_tracks`); those with an output for each base are read
in tiles here, with the numbers of one pass over each chromosome.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from convnova.console import log_console, progress_bar, say
from convnova.data.table import counted
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.bed import read_bed
from convnova.genome.bigwig import bigwig_library
from convnova.inference.any_model import AnyModel, load_any
from convnova.inference.base_track_files import base_tracks
from convnova.inference.base_tracks import going_on, groups_of, in_process, on_ray, tile_length, tiles_of
from convnova.inference.compute import make_ready, set_arithmetic
from convnova.inference.mutagenesis import is_incremental
from convnova.inference.output_names import chosen, file_names, strand_in_words
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.predict_tracks import merged, partial_of, predict_tracks
from convnova.inference.saved_task import task_of
from convnova.inference.saved_tracks import TRACKS, SavedTracks, TrackModel, load_track_model
from convnova.ray_cluster import gpus_of, ray_cluster
from convnova.writing import make_folder, make_place

_ENDINGS = {"bigwig": ".bw", "bedgraph": ".bedgraph.gz"}


def predict_genome(settings: PredictSettings, console: Console | None = None) -> list[Path]:
    """Predict a genome, and return the paths of what was written.

    Raises:
        InputError: for a model, a genome, intervals or tracks that cannot be used, or a place that cannot be
            written to.
    """
    console = console or log_console()
    if task_of(settings.model) == TRACKS:
        if settings.window_bp is not None:
            raise InputError("window_bp is known of a model of tracks; leave it out")
        return predict_tracks(settings, load_track_model(settings.model), console)
    loaded = load_any(settings.model)
    if loaded.kind == "sequences":
        return predict_tracks(settings, _as_tracks(settings, loaded), console)
    return _predict_bases(settings, loaded, console)


def _as_tracks(settings: PredictSettings, loaded: AnyModel) -> TrackModel:
    """Return a model of sequences as one of tracks: a track a label, in bins as wide as its windows."""
    window_bp = settings.window_bp or loaded.window_bp
    if window_bp is None:
        raise InputError("give window_bp, the length of the sequences that the model was trained on")
    is_signal = loaded.model.config.problem_type == "regression"
    saved = SavedTracks(
        "signal" if is_signal else "classes",
        list(loaded.names),
        [],
        bin_bp=settings.step_bp or window_bp,
        window_bp=window_bp,
        log1p=False,
        metric="",
        average_strands=loaded.average_strands,
    )
    return TrackModel(loaded.model, saved)


def _predict_bases(settings: PredictSettings, loaded: AnyModel, console: Console) -> list[Path]:
    """Write what a model gives at each base."""
    if not is_incremental(loaded.model):
        raise InputError(f"{settings.model}: with downsampling a genome cannot be read in tiles; use another")
    for name in ("step_bp", "window_bp"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} is for bins, and the model has an output for each base; leave it out")
    if settings.is_table:
        raise InputError(f"{settings.output}: a table is of bins; name a folder, a .bw file or .zarr")
    columns = chosen(settings.tracks, loaded.names, "label")
    names = [loaded.names[column] for column in columns]
    genome = Genome.open(settings.genome, settings.cache)
    intervals = None if settings.intervals is None else read_bed(settings.intervals, genome)
    regions = merged(intervals or genome.chromosomes, genome)
    paths = _paths(settings, names)
    if paths[0].suffix == ".bw":
        bigwig_library()  # before hours of work
    strands = loaded.strands(settings.both_strands)
    tile_bp = tile_length(loaded.model, settings.memory_mb)
    tiles = tiles_of(genome, regions, tile_bp, gap_bp=loaded.model.config.receptive_field)
    total, predicted = sum(region.width for region in regions), 0
    partial = partial_of(settings, paths[0], genome, regions, [names, strands, tile_bp])
    partial.tell(console, "base")
    with ExitStack() as stack:
        if settings.engine == "ray":
            ray = stack.enter_context(ray_cluster(settings.ray_address))
            set_arithmetic(loaded.model, settings)
            gpus = gpus_of(ray, settings.gpus)
            engine = on_ray(ray, loaded, genome, strands, settings.threads or 1, gpus)
        else:
            make_ready(loaded.model, settings)
            engine = in_process(loaded, genome, strands)
        files = stack.enter_context(
            base_tracks(paths, names, genome.chromosome_sizes, settings.decimals, settings.overwrite)
        )
        advance = stack.enter_context(progress_bar(console, "predicting", total))
        groups = groups_of(tiles, tile_bp, loaded.model.config.receptive_field)
        for group, values in going_on(engine, partial, columns)(groups):
            for tile, one in zip(group, values, strict=True):
                files.add(tile.chromosome, tile.start, one)
                predicted += len(one)
                advance(len(one))
    partial.remove()
    made = f"{genome.path.name}: {total:,} bp, {counted(len(names), 'track')} -> {settings.output}"
    say(console, made + (f" ({total - predicted:,} bp of N passed over)" if predicted < total else ""))
    return paths


def _paths(settings: PredictSettings, names: Sequence[str]) -> list[Path]:
    """Return the files that are written, after making their place."""
    if settings.is_zarr:
        make_folder(settings.output.parent)
        return [settings.output]
    if settings.is_bigwig:
        make_place(settings.output, settings.genome)
        return [settings.output]
    make_folder(settings.output)
    plain = file_names([strand_in_words(name) for name in names])
    return [settings.output / f"{name}{_ENDINGS[settings.format]}" for name in plain]
