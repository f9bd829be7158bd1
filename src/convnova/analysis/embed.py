"""`convnova embed`: sequences to vectors, in constant memory.

n sequences, C channels.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from convnova.analysis.embed_settings import EmbedSettings
from convnova.analysis.embedding_figure import embedding_figure
from convnova.analysis.embedding_files import embedding_file
from convnova.baselines.architectures import any_config, classifier_class
from convnova.console import log_console, progress_bar, say
from convnova.data.blocks import Most, sequence_blocks
from convnova.data.reading import parts_of
from convnova.data.table import SequenceTable, counted
from convnova.genome import Genome
from convnova.genome.files import file_checksum
from convnova.inference.any_model import load_any
from convnova.inference.compute import make_ready
from convnova.inference.embeddings import (
    TILE_BP,
    Reading,
    channels,
    check_reading,
    embed,
    embed_tiles,
    is_tiled,
)
from convnova.inference.partial import Partial
from convnova.inference.saved_task import TASK_NAME
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.writing import check_new, check_other, make_folder, make_place

BLOCK_BASES, BLOCK_SEQUENCES = 2**22, 2**16
"""Most bases, and sequences, that are held and sorted by length at once: a minute of two cores is lost when a
run is stopped."""
PART_NUMBERS = 2**24
"""Numbers of embeddings of windows or bases that are held at once."""
MOST_POINTS, MOST_NOTES = 5000, 12


def embed_file(settings: EmbedSettings, console: Console | None = None) -> int:
    """Write the embeddings of the sequences of a file, and return how many sequences there were.

    Raises:
        InputError: for a model or a file that cannot be read, a layer that the model has not, or a place that
            cannot be written to.
    """
    console = console or log_console()
    model = load_model(settings.model)
    reading = Reading(settings.level, settings.window_bp, settings.layer, settings.both_strands)
    check_reading(model, reading)
    make_folder(settings.output.parent)
    check_other(settings.output, settings.input)
    check_new(settings.output, settings.overwrite)  # before the input is gone through
    if settings.figure is not None:
        make_place(settings.figure, settings.output)
        check_new(settings.figure, settings.overwrite)
    total = _look_through(settings, console)
    make_ready(model, settings)
    partial = _partial(settings, reading)
    partial.tell(console, "vector")
    count = unknown = 0
    shown: list[NDArray[np.float32]] = []
    labels: list[str] = []
    with (
        embedding_file(settings.output, channels(model), settings.half, settings.overwrite) as file,
        progress_bar(console, "embedding", total) as advance,
    ):
        for block in _blocks(settings):
            parts = _parts(model, block, reading, count)
            for (places, _), values in partial.filled(parts, lambda part: part[1]()):
                file.add(places, values)
                room = MOST_POINTS - len(labels)
                if settings.figure is not None and room > 0:  # of sequences, whose part is all of the block
                    shown.append(np.array(values[:room]))
                    labels += _labels(block)[:room]
            count, unknown = count + len(block), unknown + int(block.ids.is_unknown.sum())
            advance(len(block))
    partial.remove()
    if unknown:
        say(console, f"{unknown:,} of {counted(count)} are only N: what is embedded says nothing of them")
    if settings.figure is not None and count < 2:
        say(console, "no figure: components are of two sequences and more")
    elif settings.figure is not None:
        write_figure(settings.figure, lambda: embedding_figure(np.concatenate(shown), labels))
        say(console, f"-> {settings.figure}")
    say(console, f"{settings.input}: {counted(count)}, {channels(model)} numbers each -> {settings.output}")
    return count


def load_model(folder: Path) -> Any:
    """Return a model of any kind: of a task, pretrained, or converted weights of another system.

    Raises:
        InputError: when there is none in the folder.
    """
    config = any_config(folder)
    if (folder / TASK_NAME).exists() or hasattr(config, "dilations"):
        return load_any(folder).model
    quiet_libraries()  # Transformers tells that there is no head, which is not needed
    return classifier_class(config).from_pretrained(folder, config=config).eval()


def _blocks(settings: EmbedSettings) -> Iterator[SequenceTable]:
    """Yield the sequences of the input, some at once."""
    return sequence_blocks(settings.input, settings.read, Most(BLOCK_SEQUENCES, BLOCK_BASES))


def _look_through(settings: EmbedSettings, console: Console) -> int:
    """Return how many sequences there are, and say what is changed in them; wrong ones are told here."""
    count, notes = 0, dict[str, None]()
    for block in _blocks(settings):
        count += len(block)
        notes |= dict.fromkeys(block.notes)
    for note in list(notes)[:MOST_NOTES]:
        say(console, f"  {note}")
    return count


def _partial(settings: EmbedSettings, reading: Reading) -> Partial:
    """Return what there is of a run that was stopped."""
    paths = [path for _, path in parts_of(settings.input)]
    files = [one for path in paths for one in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    genome = settings.read.genome
    bases = None if genome is None else Genome.open(genome, settings.read.cache).checksum
    read = [[file_checksum(one) for one in files if one.is_file()], bases, repr(settings.read)]
    blocks = [BLOCK_BASES, BLOCK_SEQUENCES, PART_NUMBERS, TILE_BP]
    return Partial(settings.output, settings.model, read, reading, settings.precision, blocks)


def _places(block: SequenceTable, before: int) -> pl.DataFrame:
    """Return names, and places where they are known, of a block that comes after so many sequences."""
    numbers = range(before + 1, before + len(block) + 1)
    names = block.names or [str(number) for number in numbers]
    if block.labels is not None and "name" in block.labels:  # of a BED file, where names come again and again
        names = block.labels["name"].to_list()
    places = pl.DataFrame({"name": names})
    return places if block.intervals is None else places.hstack(block.intervals)


def _parts(
    model: Any, block: SequenceTable, reading: Reading, before: int
) -> Iterator[tuple[pl.DataFrame, Callable[[], NDArray[np.float32]]]]:
    """Yield what vectors are of, and what makes them; of windows or bases so many as are well held."""
    places, lengths = _places(block, before), block.ids.lengths
    if reading.level == "sequence":
        yield places, lambda: np.asarray(embed(model, block.ids, reading))
        return
    step = reading.window_bp if reading.level == "window" else 1
    most = max(1, PART_NUMBERS // channels(model) * step)  # bases of sequences together

    def rows(sequence: int, first: int, count: int) -> pl.DataFrame:
        begins = (first + np.arange(count)) * step
        return places[np.full(count, sequence)].with_columns(
            pl.Series("window_start", begins, dtype=pl.Int64),
            pl.Series("window_end", np.minimum(begins + step, lengths[sequence]), dtype=pl.Int64),
        )

    def vectors(first: int, last: int) -> Callable[[], NDArray[np.float32]]:
        return lambda: np.concatenate(embed(model, block.ids[first:last], reading))

    first = 0
    while first < len(block):
        last = first + 1
        while last < len(block) and lengths[first : last + 1].sum() <= most:
            last += 1
        if last == first + 1 and is_tiled(model, int(lengths[first])):
            done = 0
            for size, made in embed_tiles(model, block.ids[first], reading):
                yield rows(first, done, size), made
                done += size
        else:
            sizes = -(-lengths[first:last] // step)
            tables = [rows(first + index, 0, int(size)) for index, size in enumerate(sizes)]
            yield pl.concat(tables), vectors(first, last)
        first = last


def _labels(block: SequenceTable) -> list[str]:
    """Return the label of each sequence as it is written, of FASTA after the last |; or nothing."""
    if block.labels is None:
        parts = [name.rpartition("|") for name in block.names or [""] * len(block)]
        return [label.strip() if bar else "" for _, bar, label in parts]
    return [str(one) for one in block.labels.to_series(0)]
