"""`convnova embed`: sequences to vectors, in constant memory where they come as FASTA.

n sequences, C channels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from convnova.analysis.embed_settings import EmbedSettings
from convnova.analysis.embedding_figure import embedding_figure
from convnova.analysis.embedding_files import embedding_file
from convnova.baselines.architectures import any_config, classifier_class
from convnova.console import log_console, say
from convnova.data.letters import crop, pack_letters
from convnova.data.reading import read_sequences
from convnova.data.table import Places, SequenceTable, counted
from convnova.errors import InputError
from convnova.genome.fasta import fasta_records
from convnova.inference.any_model import load_any
from convnova.inference.embeddings import Reading, channels, check_reading, embed
from convnova.inference.saved_task import TASK_NAME
from convnova.training.figures import write_figure
from convnova.writing import make_place

BLOCK_BASES, BLOCK_SEQUENCES = 2**25, 2**16
"""Most bases, and sequences, that are held and sorted by length at once."""
MOST_POINTS = 5000
FASTA = (".fa", ".fasta", ".fna", ".fas")


def embed_file(settings: EmbedSettings, console: Console | None = None) -> int:
    """Write the embeddings of the sequences of a file, and return how many sequences there were.

    Raises:
        InputError: for a model or a file that cannot be read, a layer that the model has not, or a place that
            cannot be written to.
    """
    console = console or log_console()
    model = load_backbone(settings.model)
    reading = Reading(settings.level, settings.window_bp, settings.layer, settings.both_strands)
    check_reading(model, reading)
    make_place(settings.output, settings.input)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    count = 0
    shown: list[NDArray[np.float32]] = []
    labels: list[str] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        embedding_file(settings.output, channels(model), settings.half) as file,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("embedding", total=None)
        for block in _blocks(settings):
            values = embed(model, block.ids, reading)
            file.add(*_rows(block, values, settings, count))
            room = MOST_POINTS - len(labels)
            if settings.figure is not None and room > 0:
                shown.append(np.asarray(values)[:room])
                labels += _labels(block)[:room]
            count += len(block)
            progress.update(task, description=f"{count:,} sequences")
    if settings.figure is not None:
        write_figure(settings.figure, lambda: embedding_figure(np.concatenate(shown), labels))
        say(console, f"-> {settings.figure}")
    say(console, f"{settings.input}: {counted(count)}, {channels(model)} numbers each -> {settings.output}")
    return count


def load_backbone(folder: Path) -> Any:
    """Return a model of any kind: of a task, pretrained, or converted weights of another system.

    Raises:
        InputError: when there is none in the folder.
    """
    config = any_config(folder)
    if (folder / TASK_NAME).exists() or hasattr(config, "dilations"):
        return load_any(folder).model
    return classifier_class(config).from_pretrained(folder, config=config).eval()


def _blocks(settings: EmbedSettings) -> Iterator[SequenceTable]:
    """Yield the sequences of the input, some at once."""
    path = Path(settings.input)
    if path.name.lower().removesuffix(".gz").endswith(FASTA) and path.is_file():
        yield from _fasta_blocks(path, settings)
        return
    table = read_sequences(settings.input, settings.read)
    for first in range(0, len(table), BLOCK_SEQUENCES):
        yield table.take(np.arange(first, min(first + BLOCK_SEQUENCES, len(table))))


def _fasta_blocks(path: Path, settings: EmbedSettings) -> Iterator[SequenceTable]:
    """Yield the records of a FASTA file as they are read, names being whole headers."""
    names: list[str] = []
    letters: list[str] = []
    bases = count = 0

    def block() -> SequenceTable:
        places = Places.of_file(path, "record", np.arange(count - len(names), count) + 1)
        ids, notes = pack_letters(pl.Series(letters, dtype=pl.String), places, settings.read)
        cropped, more = crop(ids, places, settings.read)
        return SequenceTable(cropped, places, str(path), [name.strip() for name in names], notes=notes + more)

    for name, sequence in fasta_records(path):
        names.append(name)
        letters.append(sequence)
        bases, count = bases + len(sequence), count + 1
        if bases >= BLOCK_BASES or len(names) >= BLOCK_SEQUENCES:
            yield block()
            names, letters, bases = [], [], 0
    if names:
        yield block()
    if not count:
        raise InputError(f"{path}: the file has no FASTA record; a record is a line '>name' and its letters")


def _rows(
    block: SequenceTable, values: Any, settings: EmbedSettings, before: int
) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return what embeddings are of, and themselves, a row each.

    Args:
        block: n sequences.
        values: (n, C), or for each sequence (rows, C).
        settings: of the command.
        before: sequences of earlier blocks.
    """
    numbers = range(before + 1, before + len(block) + 1)
    places = pl.DataFrame({"name": block.names or [str(number) for number in numbers]})
    if block.intervals is not None:
        places = places.hstack(block.intervals)
    if settings.level == "sequence":
        return places, values
    step = settings.window_bp if settings.level == "window" else 1
    counts = np.array([len(one) for one in values])
    rows = np.repeat(np.arange(len(block)), counts)
    begins = (np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)) * step
    ends = np.minimum(begins + step, block.ids.lengths[rows])
    of_rows = places[rows].with_columns(
        pl.Series("window_start", begins, dtype=pl.Int64), pl.Series("window_end", ends, dtype=pl.Int64)
    )
    return of_rows, np.concatenate(values)


def _labels(block: SequenceTable) -> list[str]:
    """Return the label of each sequence as it is written; none where there is none."""
    if block.labels is None:
        return [""] * len(block)
    return [str(one) for one in block.labels.to_series(0)]
