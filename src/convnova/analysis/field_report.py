"""`convnova receptive-field`: how far a trained model looks, or what it is worth to look farther.

OUTPUT/receptive_field.csv, .md, .png    influence by distance, and the widths that hold 50, 90 and 95 %
OUTPUT/sweep.csv, .md, .png              with --sweep: the score on each task at each field
OUTPUT/trials/                           with --sweep: a result file a training
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from convnova.analysis.field_settings import ReceptiveFieldSettings
from convnova.analysis.receptive_field import SHARES, FieldProfile, effective_field
from convnova.analysis.study_figures import profile_figure, sweep_figure
from convnova.analysis.study_results import FieldScore
from convnova.analysis.study_tasks import StudyTask, study_tasks
from convnova.analysis.trials import full_model, run_trials, trials_of
from convnova.baselines.architectures import any_config
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.sheets import score_text
from convnova.console import log_console, plain_table, progress_bar, say
from convnova.data.reading import read_sequences
from convnova.data.table import counted
from convnova.errors import InputError
from convnova.evaluation.statistics import interval_of_mean, spread
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaModel
from convnova.model.variants import field_changes
from convnova.sequence import Ids
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.training.record import processor
from convnova.writing import make_folder, write_csv, write_text

NAME, SWEEP_NAME = "receptive_field", "sweep"


def receptive_field(
    settings: ReceptiveFieldSettings, console: Console | None = None
) -> FieldProfile | list[FieldScore]:
    """Return how far a trained model looks, or the scores at growing receptive fields, and write them.

    Raises:
        InputError: for a model or sequences that cannot be used.
    """
    console = console or log_console()
    quiet_libraries()
    return _sweep(settings, console) if settings.sweep else _look(settings, console)


def _look(settings: ReceptiveFieldSettings, console: Console) -> FieldProfile:
    """Write the effective receptive field of a trained model."""
    assert settings.input is not None
    model = load_backbone(settings.model)
    field = model.config.receptive_field
    sequences, count = _windows(settings, 2 * field if settings.window_bp is None else settings.window_bp)
    make_folder(settings.output)
    window = len(sequences[0])
    if window < field:
        say(
            console,
            f"windows of {window:,} bp are shorter than the receptive field ({field:,} bp): what lies beyond "
            "is not seen, and the widths are of what is",
        )
    with progress_bar(console, "gradients", len(sequences)) as advance:
        profile = effective_field(
            model, sequences, settings.positions, settings.training.seed, reach=field, advance=advance
        )
    header = ["window", "bp"]
    rows = [[f"holds {share:.0%} of the influence", f"{profile.width(share):,}"] for share in SHARES]
    rows.append(["receptive field of the network", f"{field:,}"])
    console.print(plain_table(header, rows))
    lines = [f"# Receptive field of {settings.model}", "", *markdown_table(header, rows), ""]
    lines += [
        f"Influence is the mean norm of the gradient of an output with respect to the bases, over "
        f"{counted(len(sequences), 'window')} of {window:,} bp in {counted(count, 'sequence')}, "
        f"{counted(settings.positions, 'output')} each.",
        "",
    ]
    table = [["distance_bp", "influence"]]
    table += [[str(d), f"{v:.6g}"] for d, v in zip(profile.offsets, profile.influence, strict=True)]
    path = settings.output / NAME
    _write(path, lines, table, lambda: profile_figure(profile, Path(settings.model).name))
    say(console, f"-> {settings.output / f'{NAME}.md'}")
    return profile


def load_backbone(folder: str) -> ConvNovaModel:
    """Return the backbone of a trained ConvNova model, whatever its head.

    Raises:
        InputError: when there is none in the folder.
    """
    config = any_config(Path(folder))
    if not isinstance(config, ConvNovaConfig):
        raise InputError(
            f"{folder}: its model is {config.model_type}, and gradients of single bases are of ConvNova; "
            "give a ConvNova model"
        )
    try:
        return ConvNovaModel.from_pretrained(folder, config=config, local_files_only=True).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: its model cannot be loaded ({str(error).splitlines()[0]})") from None


def _windows(settings: ReceptiveFieldSettings, window_bp: int) -> tuple[list[Ids], int]:
    """Return windows of one length at random places, all alike likely, and how many sequences they are of.

    They are no longer than half of the sequences.
    """
    assert settings.input is not None
    table = read_sequences(settings.input, settings.read)
    lengths = np.array(table.ids.lengths)
    window = min(window_bp, int(np.median(lengths)))
    starts = np.maximum(lengths - window + 1, 0)  # places where a window begins, of each sequence
    rng = np.random.default_rng(settings.training.seed)
    drawn = rng.choice(int(starts.sum()), min(settings.most_sequences, int(starts.sum())), replace=False)
    ends = np.cumsum(starts)
    windows, seen = [], set()
    for place in np.sort(drawn):
        index = int(np.searchsorted(ends, place, side="right"))
        start = int(place - (ends[index] - starts[index]))
        windows.append(table.ids[index][start : start + window])
        seen.add(index)
    return windows, len(seen)


def _sweep(settings: ReceptiveFieldSettings, console: Console) -> list[FieldScore]:
    """Train at growing receptive fields, and write what each brings."""
    full = full_model(settings.model, settings.network)
    tasks = study_tasks(settings)
    make_folder(settings.output)
    scores = []
    for task in tasks:
        length = int(np.median(task.load(0).train.ids.lengths))
        networks: dict[str, dict[str, Any]] = {}
        for share in settings.shares:
            changes = field_changes(full, round(share * length))
            if changes in networks.values():  # the fewest blocks and the smallest kernel have a field, too
                say(
                    console, f"{task.name}: no network has a field of {share:.0%}; the next one stands for it"
                )
            else:
                networks[f"field-{share:g}"] = changes
        results = run_trials(trials_of(settings, [task], networks), settings, console)
        for name in networks:
            own = [one for one in results if one["name"] == name]
            scores.append(_score(task, float(name.removeprefix("field-")), length, own))
    header, rows = sweep_table(scores)
    console.print(plain_table(header, rows))
    lines = ["# Score against receptive field", ""]
    lines += [
        f"{settings.model}, {counted(settings.seeds, 'seed')}. {processor()}, torch {torch.__version__}."
    ]
    lines += ["", *markdown_table(header, rows), ""]
    lines += [
        "Scores times 100, mean and standard deviation over seeds, 95 % interval by Student's t. Fields "
        "narrower than the kernel of the full model allows have a smaller kernel and more channels.",
        "",
    ]
    fields = ["task", "metric", "share", "field_bp", "length_bp", "kernel_size", "channels", "parameters"]
    table = [[*fields, "mean", "sd", "seeds", "low", "high"]]
    table += [[*map(str, one[:8]), *map(str, one.scores), *map(str, one.interval)] for one in scores]
    _write(settings.output / SWEEP_NAME, lines, table, lambda: sweep_figure(scores))
    say(console, f"-> {settings.output / f'{SWEEP_NAME}.md'}")
    return scores


def _score(task: StudyTask, share: float, length: int, results: Sequence[dict[str, Any]]) -> FieldScore:
    one, values = results[0], spread([result["score"] for result in results])
    return FieldScore(
        task.name,
        task.metric,
        share,
        one["receptive_field_bp"],
        length,
        one["kernel_size"],
        one["hidden_size"],
        one["parameters"],
        values,
        interval_of_mean(values),
    )


def sweep_table(scores: Sequence[FieldScore]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the sweep's table."""
    header = ["task", "field, bp", "of the input", "kernel", "channels", "parameters", "score", "95 %"]
    rows = []
    for one in scores:
        low, high = one.interval
        row = [one.task, f"{one.field_bp:,}", f"{one.field_bp / one.length_bp:.0%}", str(one.kernel_size)]
        row += [str(one.channels), f"{one.parameters:,}", score_text(one.scores.mean, one.scores.sd, 100)]
        rows.append([*row, "" if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"])
    return header, rows


def _write(
    path: Path, lines: Sequence[str], table: Sequence[Sequence[str]], draw: Callable[[], bytes]
) -> None:
    """Write the report, its numbers and its figure; the path is theirs without its ending."""
    write_text(path.with_suffix(".md"), "\n".join(lines))
    write_csv(path.with_suffix(".csv"), table)
    write_figure(path.with_suffix(".png"), draw)
