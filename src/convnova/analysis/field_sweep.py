"""`convnova receptive-field --sweep`: what it is worth to look farther, by training at growing fields.

OUTPUT/sweep.csv, .md, .png    the score on each task at each field, and the difference to the full length
OUTPUT/trials/                 a result file a training
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from rich.console import Console

from convnova.analysis.field_settings import ReceptiveFieldSettings
from convnova.analysis.study_figures import sweep_figure
from convnova.analysis.study_report import (
    DIFFERENCE_NOTE,
    difference_numbers,
    difference_shown,
    made_with,
    write_report,
)
from convnova.analysis.study_results import FieldScore
from convnova.analysis.study_tasks import StudyTask, study_tasks
from convnova.analysis.trials import full_model, run_trials, say_unmatched, trials_of
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.sheets import score_text
from convnova.console import log_console, plain_table, say
from convnova.evaluation.statistics import compare_paired, interval_of_mean, spread
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.variants import field_changes
from convnova.training.arguments import quiet_libraries
from convnova.writing import make_folder

NAME = "sweep"


def sweep_fields(settings: ReceptiveFieldSettings, console: Console | None = None) -> list[FieldScore]:
    """Train what is missing at growing receptive fields, write table and figure, and return the scores.

    Raises:
        InputError: for data that are missing, or a model that is no ConvNova.
    """
    console = console or log_console()
    quiet_libraries()
    full = full_model(settings.model, settings.network)
    tasks = study_tasks(settings)
    make_folder(settings.output)
    scores = [score for task in tasks for score in _sweep_task(task, full, settings, console)]
    header, rows = sweep_table(scores)
    console.print(plain_table(header, rows))
    lines = ["# Score against receptive field", "", made_with(settings), ""]
    lines += [*markdown_table(header, rows), ""]
    lines += [
        "Scores times 100, mean and standard deviation over seeds, 95 % interval by Student's t. "
        f"{DIFFERENCE_NOTE} Dilations grow evenly, which those of the paper (1 1 1 4 16) do not. Fields "
        "narrower than the kernel of the full model allows have a smaller kernel and more channels.",
        "",
    ]
    write_report(settings.output / NAME, lines, list(_csv_rows(scores)), partial(sweep_figure, scores))
    say(console, f"-> {settings.output / f'{NAME}.md'}")
    return scores


def _sweep_task(
    task: StudyTask, full: ConvNovaConfig, settings: ReceptiveFieldSettings, console: Console
) -> list[FieldScore]:
    """Return what each field brings on one task, the narrowest first."""
    task = task._replace(load=lru_cache(maxsize=1)(task.load))  # read once for the length and all of a seed
    length = int(np.median(task.load(0).train.ids.lengths))
    networks: dict[str, dict[str, Any]] = {}
    shares: dict[str, float] = {}
    for share in settings.shares:
        changes = field_changes(full, round(share * length))
        if changes in networks.values():  # the fewest blocks and the smallest kernel have a field, too
            say(console, f"{task.name}: no network has a field of {share:.0%}; the next one stands for it")
        else:
            name = f"field-{share:g}"
            networks[name], shares[name] = changes, share
    say_unmatched(full, networks, console)
    results = run_trials(trials_of(settings, [task], networks), settings, console)
    return field_scores(task, shares, length, results)


def field_scores(
    task: StudyTask, shares: Mapping[str, float], length_bp: int, results: Sequence[Mapping[str, Any]]
) -> list[FieldScore]:
    """Return what the networks of a task reached, each beside the one whose field is the whole length.

    Args:
        task: what they were trained on.
        shares: field that was asked for, as a share of the length, by the name of the network; ascending.
        length_bp: of the median training sequence.
        results: of all trainings.
    """
    widest = list(shares)[-1]
    whole = next((name for name, share in shares.items() if share == 1), widest)
    by_seed = {name: {one["seed"]: one["score"] for one in results if one["name"] == name} for name in shares}
    scores = []
    for name, share in shares.items():
        one = next(result for result in results if result["name"] == name)
        values = spread(list(by_seed[name].values()))
        score = FieldScore(
            task=task.name,
            metric=task.metric,
            share=share,
            field_bp=one["receptive_field_bp"],
            length_bp=length_bp,
            kernel_size=one["kernel_size"],
            dilations=tuple(one["job"]["network"]["dilations"]),
            channels=one["hidden_size"],
            parameters=one["parameters"],
            scores=values,
            interval=interval_of_mean(values),
            against_full_length=None if name == whole else compare_paired(by_seed[name], by_seed[whole]),
        )
        scores.append(score)
    return scores


def sweep_table(scores: Sequence[FieldScore]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the sweep's table; scores and differences times 100."""
    has_whole = any(one.share == 1 for one in scores)
    header = ["task", "field, bp", "of the input", "kernel", "dilations", "channels", "parameters"]
    header += ["score", "95 %", "minus full length" if has_whole else "minus widest", "95 % interval", "p"]
    rows = []
    for one in scores:
        low, high = one.interval
        row = [one.task, f"{one.field_bp:,}", f"{one.field_bp / one.length_bp:.0%}", str(one.kernel_size)]
        row += [" ".join(map(str, one.dilations)), str(one.channels), f"{one.parameters:,}"]
        row += [score_text(one.scores.mean, one.scores.sd, 100)]
        row += ["" if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"]
        rows.append(row + difference_shown(one.against_full_length))
    return header, rows


def _csv_rows(scores: Sequence[FieldScore]) -> Iterator[Sequence[Any]]:
    header = ["task", "metric", "share", "field_bp", "length_bp", "kernel_size", "dilations", "channels"]
    header += ["parameters", "mean", "sd", "seeds", "low", "high"]
    yield [*header, "difference", "difference_low", "difference_high", "p_t", "p_signs"]
    for one in scores:
        fixed = [one.task, one.metric, one.share, one.field_bp, one.length_bp, one.kernel_size]
        size = [" ".join(map(str, one.dilations)), one.channels, one.parameters]
        yield [*fixed, *size, *one.scores, *one.interval, *difference_numbers(one.against_full_length)]
