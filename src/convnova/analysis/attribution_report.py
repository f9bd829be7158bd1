"""`convnova attribute`: what a fine-tuned model sees, averaged over sequences.

OUTPUT/contributions.npz   of each base of each sequence, with names
OUTPUT/seqlets.csv         where each motif is found
OUTPUT/motifs.meme         the motifs, for other tools
OUTPUT/motifs.md           how often, where, and what known motifs they resemble
OUTPUT/motifs.png          their logos
OUTPUT/profile.png         mean contribution by position, and the sequences of the strongest contributions
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.console import Console

from convnova.analysis.attribution import TOLERANCE, Attributions, attribute
from convnova.analysis.attribution_figures import motifs_figure, profile_figure
from convnova.analysis.attribution_settings import AttributionSettings
from convnova.analysis.motifs import Motif, find_motifs, match_known, write_meme
from convnova.benchmark.formats import markdown_table
from convnova.console import log_console, plain_table, progress_bar, say
from convnova.data.reading import read_sequences
from convnova.data.table import SequenceTable
from convnova.errors import InputError
from convnova.inference.classify import as_trained
from convnova.inference.saved_task import SavedTask, load_task_model
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.training.figures import write_figure
from convnova.writing import make_folder, whole_file, write_csv, write_text


def attribute_task(
    settings: AttributionSettings, console: Console | None = None
) -> tuple[Attributions, list[Motif]]:
    """Return what each base contributes to a model's output, and the motifs; all of it is written.

    Raises:
        InputError: for a model that is none of ConvNova for a task, files that cannot be read, or a label
            that the task has not.
    """
    console = console or log_console()
    model, task = load_task_model(settings.model)
    if not isinstance(model.config, ConvNovaConfig):
        raise InputError(
            f"{settings.model}: contributions are found through the layers of ConvNova, and its model is "
            f"{model.config.model_type}; give a ConvNova model"
        )
    target = _target(settings, task)
    table = _chosen(settings, task, target, read_sequences(settings.input, as_trained(settings.read, task)))
    if settings.known is not None:
        match_known([], settings.known)  # whether it can be read, before minutes of work
    make_folder(settings.output)
    both = task.average_strands if settings.both_strands is None else settings.both_strands
    say(console, f"{task.scheme.names[target]}: {len(table):,} sequences, {settings.method}")
    sequences = [table.ids[row] for row in range(len(table))]
    with progress_bar(console, "attributing", len(sequences)) as advance:
        found = attribute(
            model, sequences, target, settings.method, settings.shuffles, both, settings.seed, advance
        )
    if found.deltas is not None:
        say(console, f"convergence deltas, relative: {deltas_in_words(found)}")
        if not found.deltas.max() <= TOLERANCE:
            share = (~(found.deltas <= TOLERANCE)).mean()
            say(
                console,
                f"{share:.1%} of the deltas are above {TOLERANCE:g}: contributions there do not add up",
            )
    motifs = find_motifs(found, settings.window_bp, settings.seed)
    if settings.known is not None:
        motifs = match_known(motifs, settings.known)
    _write(settings, found, motifs, table, task.scheme.names[target])
    console.print(plain_table(*table_of(motifs, found)))
    say(console, f"-> {settings.output / 'motifs.md'}")
    return found, motifs


def _target(settings: AttributionSettings, task: SavedTask) -> int:
    names = task.scheme.names
    if settings.label is None:
        return len(names) - 1
    if settings.label not in names:
        raise InputError(f"the task has no label {settings.label!r}; it has {', '.join(names)}")
    return names.index(settings.label)


def _chosen(
    settings: AttributionSettings, task: SavedTask, target: int, table: SequenceTable
) -> SequenceTable:
    """Return the sequences that are looked at."""
    rows = np.arange(len(table))
    if settings.only_label and table.labels is not None and task.scheme.kind != "regression":
        labels = task.scheme.encode(table)
        rows = rows[labels == target if labels.ndim == 1 else labels[:, target] > 0]
    if not len(rows):
        name = task.scheme.names[target]
        raise InputError(f"{table.source}: no sequence is of {name}; set only_label to false to look at all")
    if len(rows) > settings.most_sequences:
        rng = np.random.default_rng(settings.seed)
        rows = np.sort(rng.choice(rows, settings.most_sequences, replace=False))
    return table.take(rows)


def deltas_in_words(found: Attributions) -> str:
    """Return how far contributions do not add up, as a share of what they should add up to."""
    assert found.deltas is not None
    return f"median {np.median(found.deltas):.1e}, highest {found.deltas.max():.1e}"


def table_of(motifs: Sequence[Motif], found: Attributions) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of motifs."""
    header = [
        "motif",
        "letters that contribute most",
        "seqlets",
        "of sequences",
        "start, median (middle half)",
    ]
    header += ["share of all", "resembles"]
    total = np.abs(found.contributions).sum()
    rows = []
    for motif in motifs:
        low, middle, high = np.quantile(motif.starts, (0.25, 0.5, 0.75))
        rows.append(
            [
                motif.name,
                motif.consensus,
                f"{len(motif.starts):,}",
                f"{len(np.unique(motif.sequences)) / len(found.lengths):.0%}",
                f"{middle:.0f} ({low:.0f} to {high:.0f})",
                f"{motif.weight / total:.1%}",
                "; ".join(f"{name} (E {e:.1g})" for name, e in motif.matches),
            ]
        )
    return header, rows


def _write(
    settings: AttributionSettings,
    found: Attributions,
    motifs: Sequence[Motif],
    table: SequenceTable,
    label: str,
) -> None:
    output = settings.output
    names = np.array(table.names if table.names is not None else range(len(table)), dtype=str)
    with whole_file(output / "contributions.npz") as staging, staging.open("wb") as file:
        np.savez_compressed(
            file, names=names, ids=found.ids, lengths=found.lengths, hypothetical=found.hypothetical
        )
    places = [
        [motif.name, names[row], start, start + len(motif.frequencies), "-" if is_reverse else "+"]
        for motif in motifs
        for row, start, is_reverse in zip(motif.sequences, motif.starts, motif.is_reverse, strict=True)
    ]
    write_csv(output / "seqlets.csv", [["motif", "sequence", "start", "end", "strand"], *places])
    write_text(output / "motifs.meme", write_meme(list(motifs)))
    lines = [f"# What makes {label}", "", f"{len(found.lengths):,} sequences, {settings.method}."]
    if found.deltas is not None:
        lines += [
            f"Convergence deltas: {deltas_in_words(found)}, as shares of the mean difference between the "
            "outputs of a sequence and of its shuffles."
        ]
    lines += ["", *markdown_table(*table_of(motifs, found)), ""]
    lines += ["Motifs by what they contribute over all sequences; pos raises the output, neg lowers it.", ""]
    write_text(output / "motifs.md", "\n".join(lines))
    write_figure(output / "profile.png", partial(profile_figure, found, label))
    write_figure(output / "motifs.png", partial(motifs_figure, motifs))
