"""`convnova mutagenesis`: what every substitution, and deletion, in sequences does to a model's output.

OUTPUT/effects.parquet     a row an edit; positions count from 1, of the chromosome or else of the sequence
OUTPUT/NAME.npy            effects of one sequence by position and new base A, C, G, T, (L, 4)
OUTPUT/NAME.png, .html     what is lost on average when a base is replaced, above all substitutions
OUTPUT/importance.bw       the same along a genome

On a genome a masked language model, or one of bases, reads as far around an interval as it looks; a head of
sequences reads the window around it, or the interval and nothing else. Each sequence is written as it is
done, the table at the end.

L length in bp.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from convnova.analysis.mutagenesis_figures import Drawn, html_library, mutagenesis_figure, mutagenesis_html
from convnova.analysis.mutagenesis_settings import MutagenesisSettings
from convnova.console import log_console, progress_bar, say
from convnova.data.reading import read_sequences
from convnova.data.table import counted
from convnova.errors import InputError, nearest
from convnova.genome import Genome, Interval
from convnova.genome.bed import read_bed
from convnova.genome.bigwig import bigwig_files, bigwig_library
from convnova.inference.any_model import AnyModel, check_whole, load_any
from convnova.inference.compute import make_ready
from convnova.inference.effects import (
    Effect,
    both_strands,
    label_score,
    largest_base_change,
    output_change,
    pseudo_likelihood_change,
)
from convnova.inference.mutagenesis import (
    all_effects,
    by_full_passes,
    check_compile,
    importance,
    is_incremental,
    masked_effects,
    unmasked_effects,
)
from convnova.inference.output_names import file_names
from convnova.inference.tables import write_table
from convnova.inference.tiles import with_halo
from convnova.sequence import ALPHABET, Ids, N, decode, reverse_complement
from convnova.training.figures import write_figure
from convnova.writing import check_new, make_folder, whole_file, write_text

TABLE_NAME = "effects.parquet"
LONGEST_BP = 100_000
"""Bases of a region; a reference pass holds some 11 kB for each."""
_PLACE = re.compile(r"(?P<chromosome>.+):(?P<first>\d+)-(?P<last>\d+)")


class Region(NamedTuple):
    """A sequence whose bases are changed."""

    name: str
    chromosome: str | None
    """None of a sequence that is of no genome."""
    start: int
    """First base that is changed, 0-based on its chromosome or in the sequence."""
    ids: Ids
    """What is read, the bases around included."""
    within: slice
    """Which bases of it are changed."""

    @property
    def changed(self) -> Ids:
        """The bases that are changed, (L,)."""
        return self.ids[self.within]


class Mutated(NamedTuple):
    """The effects of all edits of a region."""

    region: Region
    substitutions: NDArray[np.float32]
    """(L, 4)."""
    deletions: NDArray[np.float32] | None
    """(L,)."""


def mutate(settings: MutagenesisSettings, console: Console | None = None) -> list[Mutated]:
    """Return the effects of all edits, and write them.

    Raises:
        InputError: for a model, sequences or intervals that cannot be used, or a score or label that the
            model has not.
    """
    console = console or log_console()
    loaded = load_any(settings.model)
    check_compile(loaded.model, settings.compile)
    what, effects = _effects(settings, loaded)
    regions = _regions(settings, loaded)
    known = [region for region in regions if (region.changed != N).any()]
    if not known:
        raise InputError("there is only N, so there is no base to change; give others")
    if len(known) < len(regions):
        say(console, f"{counted(len(regions) - len(known), 'sequence')} of N alone left out")
    regions = known
    if len(regions) > settings.most_sequences:
        say(console, f"the first {settings.most_sequences} of {len(regions):,} sequences (most_sequences)")
        regions = regions[: settings.most_sequences]
    for region in regions:
        if len(region.changed) > LONGEST_BP:
            raise InputError(
                f"{region.name}: {len(region.changed):,} bp, and at most {LONGEST_BP:,} are changed at once; "
                "split it into shorter ones"
            )
    if settings.deletions and min(len(region.ids) for region in regions) == 1:
        raise InputError("a sequence has one base, and nothing is left without it; leave out deletions")
    if settings.genome is not None:
        bigwig_library()
    if settings.html:
        html_library()
    names = file_names([region.name for region in regions])
    for name in (TABLE_NAME, *(f"{name}.npy" for name in names)):
        check_new(settings.output / name, settings.overwrite)
    make_folder(settings.output)
    make_ready(loaded.model, settings)
    bases = sum(len(region.changed) for region in regions)
    say(console, f"{what}: every base of {counted(len(regions), 'sequence')}, {bases:,} bp")
    made: list[Mutated] = []
    with progress_bar(console, "mutating", bases) as advance:
        for name, region in zip(names, regions, strict=True):
            made.append(_known(Mutated(region, *effects(region))))
            _write_one(settings, what, name, made[-1])
            advance(len(region.changed))
    if settings.genome is not None:
        _write_bigwig(settings.output / "importance.bw", Genome.open(settings.genome, settings.cache), made)
    write_table(pl.concat([_rows(one) for one in made]), settings.output / TABLE_NAME)
    say(console, f"-> {settings.output}")
    return made


def _known(one: Mutated) -> Mutated:
    """Return effects without those of what is N, which no base is replaced in."""
    is_n = one.region.changed == N
    for effects in (one.substitutions, one.deletions):
        if effects is not None:
            effects[is_n] = np.nan
    return one


Made = tuple[NDArray[np.float32], NDArray[np.float32] | None]


def _effects(settings: MutagenesisSettings, loaded: AnyModel) -> tuple[str, Callable[[Region], Made]]:
    """Return what is read of each edit, in words, and what gives it for a region."""
    model = loaded.model
    strands = loaded.strands(settings.both_strands)
    if not is_incremental(model):
        check_whole(loaded)
    if loaded.kind == "masked-lm":
        if settings.label is not None:
            raise InputError(f"{settings.model} is a masked language model, which has no label; leave it out")
        score = settings.score or "masked"
        if score != "pseudo-likelihood":
            if settings.deletions:
                raise InputError(f"score {score} is of substitutions; for deletions take pseudo-likelihood")
            words = {"masked": "log-odds while hidden, nats", "unmasked": "log-odds in view, nats"}
            return words[score], lambda region: (_log_odds(model, region, score == "masked", strands), None)
        effect, what = pseudo_likelihood_change(model), "change of pseudo-likelihood, nats"
        effect = both_strands(effect) if strands else effect
        return what, lambda region: _all(settings, model, region, effect, 0)
    if settings.score is not None:
        raise InputError(f"score is of a masked language model, and {settings.model} is none; leave it out")
    target = _target(settings, loaded)
    name = loaded.names[target]
    if loaded.kind == "bases":
        effect = largest_base_change(model, strands, loaded.opposite)
        what = f"largest change of the probability of {name}"
        return what, lambda region: _all(settings, model, region, effect, target)
    score_of = label_score(model.config, target)
    what = f"change of the output of {name}"
    if is_incremental(model):
        effect = output_change(model, score_of)
        effect = both_strands(effect) if strands else effect
        return what, lambda region: _all(settings, model, region, effect, 0)

    def whole(ids: Ids) -> Made:
        found = by_full_passes(model, ids, score_of, settings.deletions)
        return found.effects, found.deletions

    def of(region: Region) -> Made:
        effects, deletions = whole(region.ids)
        if strands:
            other, gone = whole(reverse_complement(region.ids))
            effects = _mean(effects, other[::-1, ::-1])
            deletions = None if deletions is None or gone is None else _mean(deletions, gone[::-1])
        return effects[region.within], None if deletions is None else deletions[region.within]

    return what, of


def _all(settings: MutagenesisSettings, model: object, region: Region, effect: Effect, column: int) -> Made:
    found = all_effects(model, region.ids, effect, settings.deletions, within=region.within)
    deletions = None if found.deletions is None else found.deletions[:, column]
    return found.substitutions[..., column], deletions


def _log_odds(model: object, region: Region, is_masked: bool, strands: bool) -> NDArray[np.float32]:
    read = masked_effects if is_masked else unmasked_effects
    found = read(model, region.ids, within=region.within)
    if not strands:
        return found
    length = len(region.ids)
    turned = slice(length - region.within.stop, length - region.within.start)
    other = read(model, reverse_complement(region.ids), within=turned)
    return _mean(found, other[::-1, ::-1])


def _mean(forward: NDArray[np.float32], backward: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(0.5) * (forward + backward)


def _target(settings: MutagenesisSettings, loaded: AnyModel) -> int:
    if settings.label is None:
        return len(loaded.names) - 1
    if settings.label not in loaded.names:
        near = nearest(settings.label, loaded.names) or loaded.names
        raise InputError(f"the model has no label {settings.label!r}; nearest are {', '.join(near)}")
    return loaded.names.index(settings.label)


def _regions(settings: MutagenesisSettings, loaded: AnyModel) -> list[Region]:
    if settings.input is not None:
        table = read_sequences(settings.input, settings.read)
        rows = range(len(table))
        names = [str(row + 1) if table.names is None else table.names[row] for row in rows]
        return [
            Region(name, None, 0, table.ids[row], slice(0, len(table.ids[row])))
            for name, row in zip(names, rows, strict=True)
        ]
    assert settings.genome is not None
    genome = Genome.open(settings.genome, settings.cache)
    intervals = [one for given in settings.intervals for one in _intervals(given, genome)]
    if loaded.kind == "sequences":
        window = settings.window_bp or loaded.window_bp
        return [_in_window(genome, one, window or one.width) for one in intervals]
    if settings.window_bp is not None:
        raise InputError("window_bp is of models of sequences; leave it out")
    return [_region(genome, one, loaded.model.config.receptive_field) for one in intervals]


def _intervals(given: str, genome: Genome) -> Iterator[Interval]:
    """Yield the intervals of a BED file, or the one that is written."""
    match = _PLACE.fullmatch(given)
    if Path(given).exists():
        yield from read_bed(given, genome)
        return
    first, last = (int(match[name]) for name in ("first", "last")) if match else (0, 0)
    if match is None or not 1 <= first <= last:
        raise InputError(
            f"{given}: is no BED file, and no place: write the first base and the last, from 1 and without "
            "commas, as in chrI:1001-2000"
        )
    name = match["chromosome"]
    interval = Interval(genome.own_names([name])[name] or name, first - 1, last)
    try:
        genome.check_inside(interval)
    except InputError as error:
        raise InputError(f"{given}: {error}") from None
    yield interval


def _in_window(genome: Genome, interval: Interval, window_bp: int) -> Region:
    """Return an interval in the window around its centre, N beyond the chromosome, as in predictions.

    Raises:
        InputError: when it is longer than the window.
    """
    if interval.width > window_bp:
        raise InputError(
            f"{interval} is longer than the {window_bp:,} bp that the model reads; give shorter intervals"
        )
    window = interval.resize(window_bp)
    within = slice(interval.start - window.start, interval.end - window.start)
    ids = genome.fetch(Interval(interval.chromosome, window.start, window.end))
    return Region(_name(interval), interval.chromosome, interval.start, ids, within)


def _name(interval: Interval) -> str:
    return interval.name or f"{interval.chromosome}_{interval.start + 1}-{interval.end}"


def _region(genome: Genome, interval: Interval, reach: int) -> Region:
    size = genome.chromosome_sizes[interval.chromosome]
    first, last, within = with_halo(interval.start, interval.end, reach, size)
    ids = genome.fetch(Interval(interval.chromosome, first, last))
    return Region(_name(interval), interval.chromosome, interval.start, ids, within)


def _write_one(settings: MutagenesisSettings, what: str, name: str, one: Mutated) -> None:
    """Write the matrix and the figures of a region."""
    output = settings.output
    with whole_file(output / f"{name}.npy") as staging, staging.open("wb") as file:
        np.save(file, one.substitutions)
    changed, title, start = one.region.changed, one.region.name, one.region.start
    drawn = Drawn(changed, one.substitutions, title, what, start, one.deletions)
    write_figure(output / f"{name}.png", partial(mutagenesis_figure, drawn))
    if settings.html:
        write_text(output / f"{name}.html", mutagenesis_html(drawn))


def _rows(one: Mutated) -> pl.DataFrame:
    """Return a row an edit."""
    changed = one.region.changed
    positions, bases = np.nonzero(np.arange(4) != changed[:, None])
    columns = {
        "name": [one.region.name] * len(positions),
        "chromosome": pl.Series([one.region.chromosome] * len(positions), dtype=pl.String),
        "position": one.region.start + positions + 1,
        "reference": list(decode(changed[positions])),
        "alternate": [ALPHABET[base] for base in bases],
        "effect": one.substitutions[positions, bases],
    }
    frame = pl.DataFrame(columns, nan_to_null=True)
    if one.deletions is None:
        return frame
    count = len(changed)
    gone = {
        "name": [one.region.name] * count,
        "chromosome": pl.Series([one.region.chromosome] * count, dtype=pl.String),
        "position": one.region.start + np.arange(count) + 1,
        "reference": list(decode(changed)),
        "alternate": ["-"] * count,
        "effect": one.deletions,
    }
    return pl.concat([frame, pl.DataFrame(gone)]).sort("position", maintain_order=True)


def _write_bigwig(path: Path, genome: Genome, made: Sequence[Mutated]) -> None:
    """Write importance along a genome; where intervals overlap that of the first."""

    def place(one: Mutated) -> tuple[int, int]:
        assert one.region.chromosome is not None
        return genome.index_of(one.region.chromosome), one.region.start

    with bigwig_files([path], genome.chromosome_sizes) as (track,):
        before: tuple[str | None, int] = (None, 0)
        for one in sorted(made, key=place):
            region, values = one.region, importance(one.region.changed, one.substitutions)
            assert region.chromosome is not None
            skipped = max(0, before[1] - region.start) if before[0] == region.chromosome else 0
            if skipped < len(values):
                kept = skipped + np.flatnonzero(~np.isnan(values[skipped:]))
                starts = region.start + kept
                track.add_bins(region.chromosome, starts, starts + 1, values[kept])
                before = region.chromosome, region.start + len(values)
