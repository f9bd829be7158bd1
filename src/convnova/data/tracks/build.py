"""`convnova tracks`: files of peaks, signals, or published targets to a track data set.

b bins, T tracks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from convnova.console import log_console, say
from convnova.data.splits import SPLITS, Split
from convnova.data.table import counted, some
from convnova.data.tracks.coordinates import TABLE_HINT, TargetTable, read_header, split_of, table_rows
from convnova.data.tracks.deepsea import MatFile, mat_rows, open_mat
from convnova.data.tracks.folder import Rows, TrackFacts, check_empty, describe_genome, write_folder
from convnova.data.tracks.grid import BinGrid
from convnova.data.tracks.lifting import Lifter
from convnova.data.tracks.names import deepsea_groups, read_names
from convnova.data.tracks.peaks import positive_bins, read_peaks
from convnova.data.tracks.settings import TrackSettings
from convnova.data.tracks.signals import SignalFile, signals_of
from convnova.data.tracks.sources import Form, Sources, Track, find_sources
from convnova.data.tracks.usable import NOT_USED, unknown_note, usable_bins
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.names import renamings

T = TypeVar("T")

_BLOCK_LABELS = 2**24  # labels in memory at a time
_ALWAYS = {"tracks", "output"}
_GRID = {"genome", "cache", "window_bp", "bin_bp", "excluded", "max_n_share", "validation_chromosomes"}
_GRID |= {"test_chromosomes", "unknown_chromosomes"}
_SETTINGS: dict[Form, set[str]] = {
    "peaks": _ALWAYS | _GRID | {"overlap", "overlap_share", "negatives", "min_peaks", "seed"},
    "signal": _ALWAYS | _GRID | {"log1p"},
    "deepsea": _ALWAYS | {"names"},
    "coordinates": _ALWAYS | {"genome", "cache", "window_bp", "names", "liftover", "on_leakage"},
}
"""What has a meaning for each form of source."""


class Plan(NamedTuple):
    """What will be written."""

    facts: TrackFacts
    blocks: Iterator[Rows]
    left_out: list[str]
    """Lines about intervals left out, which come while blocks are read."""


def build_tracks(settings: TrackSettings, console: Console | None = None) -> TrackFacts:
    """Build a track data set, print what was found, and return what its tracks.json says.

    Raises:
        InputError: for files that are wrong, a setting that the source has no use for, an output folder that
            is not empty, or when no bin is left.
    """
    console = console or log_console()
    check_empty(settings.output)
    sources = find_sources(settings.tracks)
    unused = [name for name in settings.changed() if name not in _SETTINGS[sources.form]]
    if unused:
        hint = f" ({TABLE_HINT})" if sources.form == "coordinates" else ""
        if unused[0] == "liftover" and sources.form in ("peaks", "signal"):
            hint = "; lift the files over to the genome before, with UCSC's liftOver for instance"
        raise InputError(f"{unused[0]} has no meaning for files of {sources.form}; leave it out{hint}")
    if sources.form == "deepsea":
        plan = _plan_deepsea(sources, settings)
    else:
        if settings.genome is None:
            raise InputError("no genome is given; give the FASTA that the tracks lie on with --genome")
        genome = Genome.open(settings.genome, settings.cache)
        make = {"peaks": _plan_peaks, "signal": _plan_signals, "coordinates": _plan_coordinates}
        plan = make[sources.form](sources, settings, genome, console)
    facts = write_folder(settings.output, plan.blocks, plan.facts, plan.left_out)
    for line in summary(facts):
        say(console, line)
    say(console, f"The data set is in {settings.output}.")
    return facts


def summary(facts: TrackFacts) -> list[str]:
    """Return what a data set holds, one sentence each."""
    groups = {group: facts.groups.count(group) for group in dict.fromkeys(facts.groups) if group}
    shown = ", ".join(f"{count:,} {group}" for group, count in groups.items())
    lines = [*facts.notes, counted(len(facts.names), "track") + (f": {shown}" if shown else "")]
    for split, rows in facts.rows.items():
        line = f"{split}: {rows:,} {'bins' if facts.genome else 'sequences'}"
        if rows and facts.kind == "peaks":
            totals = np.array(facts.totals[split])
            line += f"; positive in a track: {totals.min():,.0f} to {totals.max():,.0f}, median "
            line += f"{np.median(totals):,.0f}"
            if empty := [facts.names[index] for index in np.flatnonzero(totals == 0)]:
                line += f"; none in {counted(len(empty), 'track')}: {some(empty)}"
        lines.append(line)
    if lacking := [split for split in SPLITS if not facts.rows.get(split)]:
        lines.append(
            f"nothing is there for {' and '.join(lacking)}; convnova finetune needs train and validation"
        )
    return lines


def _plan_peaks(sources: Sources, settings: TrackSettings, genome: Genome, console: Console) -> Plan:
    grid = BinGrid.of(genome, settings.bin_bp)
    tracks: list[Track] = []
    hits: list[NDArray[np.int64]] = []
    left_out: dict[str, str] = {}
    renamed: dict[str, str] = {}
    unknown: dict[str, int] = {}
    longest = n_peaks = 0
    for one in _progress(sources.tracks, "reading peaks", console):
        peaks = read_peaks(one.path, genome, settings)
        renamed |= peaks.renamed
        unknown |= {name: unknown.get(name, 0) + count for name, count in peaks.unknown.items()}
        if len(peaks.start) < settings.min_peaks:
            left_out[one.name] = f"fewer than {settings.min_peaks} peaks"
            continue
        tracks.append(one)
        hits.append(positive_bins(peaks, grid, settings))
        n_peaks += len(peaks.start)
        longest = max(longest, int((peaks.end - peaks.start).max(initial=0)))
    usable = usable_bins(grid, genome, settings)
    hits = [bins[usable.split[bins] != NOT_USED] for bins in hits]
    is_empty = [not len(bins) for bins in hits]
    notes = renamings(renamed, "the genome") + unknown_note(unknown, "peak") + list(usable.notes)
    if few := list(left_out):
        notes.append(
            f"{counted(len(few), 'track')} left out, with fewer than {settings.min_peaks} peaks: {some(few)}"
        )
    if all(is_empty):
        raise _nothing_positive(settings, n_peaks, longest)
    if any(is_empty):
        empty = [one.name for one, is_left in zip(tracks, is_empty, strict=True) if is_left]
        notes.append(f"{counted(len(empty), 'track')} left out, with no positive bin: {some(empty)}")
        left_out |= dict.fromkeys(empty, "no positive bin")
        tracks = [one for one, is_left in zip(tracks, is_empty, strict=True) if not is_left]
        hits = [bins for bins in hits if len(bins)]
    has_peak = np.zeros(len(grid), dtype=bool)
    has_peak[np.concatenate(hits)] = True
    chosen = choose_bins(has_peak, usable.split, settings)
    notes.append(
        f"a bin of {settings.bin_bp} bp is positive where {_rule(settings)}; "
        f"negatives (no peak in any track): {settings.negatives}"
    )
    facts = replace(_facts("peaks", tracks, settings, genome, notes), tracks_left_out=left_out)

    def label(bins: NDArray[np.int64]) -> NDArray[np.bool_]:
        return labels_of(hits, bins)

    return Plan(facts, _bin_rows(chosen, grid, genome, len(tracks), label, console), [])


def choose_bins(
    has_peak: NDArray[np.bool_], split: NDArray[np.int8], settings: TrackSettings
) -> dict[Split, NDArray[np.int64]]:
    """Return the bins of each split that are kept, sorted: those with a peak, and negatives as wanted.

    Args:
        has_peak: in any track, (b,).
        split: place in `SPLITS`, or `NOT_USED`, (b,).
        settings: say how many negatives, and draw them.
    """
    rng = np.random.default_rng(settings.seed)
    chosen: dict[Split, NDArray[np.int64]] = {}
    for place, name in enumerate(SPLITS):
        positive = np.flatnonzero((split == place) & has_peak)
        negative = np.flatnonzero((split == place) & ~has_peak)
        if settings.negatives != "all":
            wanted = 0 if settings.negatives == "none" else round(float(settings.negatives) * len(positive))
            negative = rng.choice(negative, min(wanted, len(negative)), replace=False)
        chosen[name] = np.sort(np.concatenate([positive, negative]))
    return chosen


def labels_of(hits: Sequence[NDArray[np.int64]], bins: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return in which tracks some bins are positive, (b, T).

    Args:
        hits: positive bins of each track, sorted.
        bins: sorted too.
    """
    labels = np.zeros((len(bins), len(hits)), dtype=bool)
    for column, of_track in enumerate(hits):
        first, last = np.searchsorted(of_track, [bins[0], bins[-1] + 1])
        near = of_track[first:last]
        rows = np.searchsorted(bins, near)
        labels[rows[bins[rows] == near], column] = True
    return labels


def _plan_signals(sources: Sources, settings: TrackSettings, genome: Genome, console: Console) -> Plan:
    files = [SignalFile(one.path, genome, settings) for one in _progress(sources.tracks, "opening", console)]
    grid = BinGrid.of(genome, settings.bin_bp)
    usable = usable_bins(grid, genome, settings)
    notes = renamings({name: found for file in files for name, found in file.renamed.items()}, "the genome")
    notes += unknown_note(Counter(name for file in files for name in file.unknown), "file")
    notes += [
        *usable.notes,
        f"a signal is the mean over a bin of {settings.bin_bp} bp, 0 where a file has none",
    ]
    chosen = {name: np.flatnonzero(usable.split == place) for place, name in enumerate(SPLITS)}
    if not any(map(len, chosen.values())):
        raise InputError(f"no bin is left: {'; '.join(usable.notes)}")
    facts = _facts("signal", sources.tracks, settings, genome, notes)

    def label(bins: NDArray[np.int64]) -> NDArray[np.float16]:
        return signals_of(files, grid, bins)

    return Plan(facts, _bin_rows(chosen, grid, genome, len(files), label, console), [])


def _plan_coordinates(sources: Sources, settings: TrackSettings, genome: Genome, console: Console) -> Plan:
    tables: dict[Split, TargetTable] = {}
    for one in sources.tracks:
        if (split := split_of(one.path)) in tables:
            raise InputError(f"{one.path} and {tables[split].path} are both {split}; give one file of each")
        tables[split] = read_header(one.path)
    first, *others = tables.values()
    for table in others:
        if table.targets != first.targets:
            raise InputError(f"{table.path}: other target columns than {first.path}; give tables of one task")
    names, groups, notes = _named(list(first.targets), settings.names)
    lifter = None if settings.liftover is None else Lifter(settings.liftover, genome)
    left_out: list[str] = []
    tracks = [Track(name, first.path, group) for name, group in zip(names, groups, strict=True)]
    facts = _facts("peaks", tracks, settings, genome, notes)
    rows = table_rows(tables, genome, lifter, facts, left_out)
    return Plan(facts, iter(_progress(rows, "reading tables", console)), left_out)


def _plan_deepsea(sources: Sources, settings: TrackSettings) -> Plan:
    files: dict[Split, MatFile] = {}
    for mat in (open_mat(one.path) for one in sources.tracks):
        if mat.split in files:
            raise InputError(f"{mat.path} and {files[mat.split].path} are both {mat.split}; give one of each")
        files[mat.split] = mat
    first, *others = files.values()
    for mat in others:
        if (mat.length, mat.tracks) != (first.length, first.tracks):
            raise InputError(
                f"{mat.path}: {mat.tracks} tracks of {mat.length} bp, but {first.tracks} of {first.length} "
                f"bp in {first.path.name}; give files of one task"
            )
    names, groups, notes = _named([str(number) for number in range(1, first.tracks + 1)], settings.names)
    tracks = [Track(name, first.path, group) for name, group in zip(names, groups, strict=True)]
    facts = _facts("peaks", tracks, settings, None, notes, first.length)
    return Plan(facts, mat_rows(list(files.values()), notes), [])


def _named(columns: list[str], path: Path | None) -> tuple[list[str], list[str], list[str]]:
    """Return names and groups of columns, and what to say about them."""
    if path is not None:
        names = read_names(path, len(columns))
        return names, deepsea_groups(names), []
    if columns[0] in ("1", "y_0"):
        note = "tracks are called by their number; names takes a list of them, as predictor.names of DeepSEA"
        return columns, deepsea_groups(columns), [note]
    return columns, [""] * len(columns), []


def _bin_rows(
    chosen: dict[Split, NDArray[np.int64]],
    grid: BinGrid,
    genome: Genome,
    tracks: int,
    label: Callable[[NDArray[np.int64]], NDArray[Any]],
    console: Console,
) -> Iterator[Rows]:
    """Yield the rows of chosen bins, as many at a time as fit into memory."""
    step = max(1, _BLOCK_LABELS // tracks)
    blocks = [
        (split, bins[first : first + step])
        for split, bins in chosen.items()
        for first in range(0, len(bins), step)
    ]
    names = pl.Series(list(genome.chromosome_sizes), dtype=pl.String)
    for split, bins in _progress(blocks, "writing", console):
        starts = grid.starts(bins)
        columns = {"chromosome": names[grid.chromosomes(bins)], "start": starts, "end": starts + grid.bin_bp}
        yield Rows(split, label(bins), intervals=pl.DataFrame(columns))


def _facts(
    kind: Literal["peaks", "signal"],
    tracks: Sequence[Track],
    settings: TrackSettings,
    genome: Genome | None,
    notes: list[str],
    window_bp: int | None = None,
) -> TrackFacts:
    given = asdict(settings)
    given |= {name: str(path.absolute()) for name, path in given.items() if isinstance(path, Path)}
    return TrackFacts(
        kind,
        [one.name for one in tracks],
        [one.group for one in tracks],
        window_bp or settings.window_bp,
        None if genome is None else describe_genome(genome),
        given,
        notes,
    )


def _rule(settings: TrackSettings) -> str:
    return {
        "share": f"more than {settings.overlap_share:g} of it is in peaks",
        "any": "any base is in a peak",
        "summit": "a summit is in it",
    }[settings.overlap]


def _nothing_positive(settings: TrackSettings, n_peaks: int, longest: int) -> InputError:
    if not n_peaks:
        if settings.min_peaks == 1:
            files = ", ".join(settings.tracks)
            return InputError(
                f"{files}: no peak in any file; give BED or narrowPeak files with a peak a line"
            )
        return InputError(f"no track has {settings.min_peaks} peaks or more; lower min_peaks")
    needed = settings.overlap_share * settings.bin_bp
    if settings.overlap == "share" and longest <= needed:
        return InputError(
            f"no bin is left: the longest of {n_peaks:,} peaks has {longest} bp, and more than {needed:g} bp "
            "of a bin must be in peaks; set overlap to any or summit"
        )
    return InputError(
        f"no bin is left: {n_peaks:,} peaks make no bin positive where {_rule(settings)}, outside of what is "
        "excluded; change overlap, bin_bp or excluded"
    )


def _progress(items: Iterable[T], what: str, console: Console) -> Iterable[T]:
    return track(items, f"  {what}", console=console, transient=True, disable=not console.is_terminal)
