"""`convnova attribute`: what a fine-tuned model sees, averaged over sequences.

OUTPUT/contributions.npz   of each base of each sequence, with names
OUTPUT/seqlets.csv         where each motif is found
OUTPUT/motifs.meme         the motifs, for other tools
OUTPUT/motifs.md           how often, where, and what known motifs they resemble
OUTPUT/motifs.png          their logos
OUTPUT/profile.png         mean contribution by position, and the sequences of the strongest contributions
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from convnova.analysis.attribution import STEPS, TOLERANCE, Attributions, attribute
from convnova.analysis.attribution_figures import motifs_figure, profile_figure
from convnova.analysis.attribution_settings import AttributionSettings
from convnova.analysis.motifs import (
    FEWEST_KNOWN,
    FEWEST_SEQLETS,
    HIGHEST_E,
    Motif,
    find_motifs,
    match_known,
    read_known,
    write_meme,
)
from convnova.benchmark.formats import markdown_table
from convnova.console import log_console, plain_table, progress_bar, say
from convnova.data.reading import read_sequences
from convnova.data.table import SequenceTable
from convnova.errors import InputError
from convnova.inference.classify import as_trained, with_known_bases
from convnova.inference.saved_task import SavedTask, load_task_model
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.sequence import decode, reverse_complement
from convnova.training.figures import write_figure
from convnova.writing import check_new, make_folder, whole_file, write_csv, write_text

REPORT_NAME = "motifs.md"
NO_MOTIF = (
    f"no motif was found: one takes {FEWEST_SEQLETS} seqlets of a sign that are alike; give more sequences, "
    "or another window_bp"
)


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
    given = read_sequences(settings.input, as_trained(settings.read, task))
    rows = _chosen(settings, task, target, given)
    table = with_known_bases(given.take(rows))
    names = table.names or [str(row + 1) for row in rows]
    known = None if settings.known is None else read_known(settings.known)
    check_new(settings.output / REPORT_NAME, settings.overwrite)
    make_folder(settings.output)
    both = task.average_strands if settings.both_strands is None else settings.both_strands
    say(console, f"{task.scheme.names[target]}: {len(table):,} sequences, {settings.method}")
    if settings.method == "integrated-gradients":
        say(console, f"integrated gradients take {STEPS[0]} passes and more where deep-lift-shap takes one")
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
    few = None
    if known is not None:
        motifs, few = match_known(motifs, known), _few_known(len(known))
        if few:
            say(console, f"{settings.known}: {few}")
    _write(settings, found, motifs, names, task, target, few)
    if motifs:
        console.print(plain_table(*table_of(motifs, found)))
    else:
        say(console, NO_MOTIF)
    say(console, f"-> {settings.output / REPORT_NAME}")
    return found, motifs


def _few_known(count: int) -> str:
    """Return what is to be said of so many known motifs; empty where they are enough."""
    if count >= FEWEST_KNOWN:
        return ""
    return f"{count} known motifs are few, and E values of fewer than {FEWEST_KNOWN} depend on which they are"


def _target(settings: AttributionSettings, task: SavedTask) -> int:
    names = task.scheme.names
    if settings.label is None:
        return len(names) - 1
    if settings.label not in names:
        raise InputError(f"the task has no label {settings.label!r}; it has {', '.join(names)}")
    return names.index(settings.label)


def _chosen(
    settings: AttributionSettings, task: SavedTask, target: int, table: SequenceTable
) -> NDArray[np.int64]:
    """Return the rows of the sequences that are looked at, ascending."""
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
    return rows


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
    names: Sequence[str],
    task: SavedTask,
    target: int,
    few: str | None,
) -> None:
    """Write all files.

    Args:
        few: what is to be said of the number of known motifs; None where none were given.
    """
    output, label = settings.output, task.scheme.names[target]
    with whole_file(output / "contributions.npz") as staging, staging.open("wb") as file:
        np.savez_compressed(
            file, names=np.array(names), ids=found.ids, lengths=found.lengths, hypothetical=found.hypothetical
        )
    header = ["motif", "sequence", "start", "end", "strand", "bases"]
    write_csv(output / "seqlets.csv", [header, *_places(motifs, found, names)])
    write_text(output / "motifs.meme", write_meme(list(motifs)))
    title = label if task.scheme.kind == "regression" else f"class {label}"
    lines = [f"# What makes {title}", "", f"{len(found.lengths):,} sequences, {settings.method}."]
    lines += [
        f"Model {settings.model}, sequences {settings.input}, {settings.shuffles} shuffles of each, "
        f"seed {settings.seed}."
    ]
    if found.deltas is not None:
        lines += [
            f"Convergence deltas: {deltas_in_words(found)}, as shares of the mean difference between the "
            "outputs of a sequence and of its shuffles."
        ]
    table = markdown_table(*table_of(motifs, found)) if motifs else [f"{NO_MOTIF}.".capitalize()]
    lines += ["", *table, ""]
    lines += ["Motifs by what they contribute over all sequences; pos raises the output, neg lowers it.", ""]
    if few is not None:
        remark = f" {few}." if few else ""
        lines += [f"Resembles: known motifs with an E value of {HIGHEST_E} and less.{remark}", ""]
    write_text(output / REPORT_NAME, "\n".join(lines))
    unit = "value" if task.scheme.kind == "regression" else "nats"
    write_figure(output / "profile.png", partial(profile_figure, found, title, names, unit))
    write_figure(output / "motifs.png", partial(motifs_figure, motifs, unit))


def _places(
    motifs: Sequence[Motif], found: Attributions, names: Sequence[str]
) -> Iterator[tuple[str, str, int, int, str, str]]:
    """Yield where each motif is found, with the bases there as the motif reads them."""
    for motif in motifs:
        for row, start, is_reverse in zip(motif.sequences, motif.starts, motif.is_reverse, strict=True):
            end = start + len(motif.frequencies)
            bases = found.ids[row, max(0, start) : end]
            strand, bases = ("-", reverse_complement(bases)) if is_reverse else ("+", bases)
            yield motif.name, names[row], start, end, strand, decode(bases)
