"""`convnova ablate`: which designs matter on a task, variants of one network against the full one.

OUTPUT/trials/        a result file a training
OUTPUT/ablation.csv   a row a task and variant
OUTPUT/ablation.md    the same as tables, beside the published values where there are some
OUTPUT/TASK.png       the difference that each variant makes
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.console import Console

from convnova.analysis.ablation_settings import AblationSettings
from convnova.analysis.study_figures import differences_figure
from convnova.analysis.study_tasks import StudyTask, study_tasks
from convnova.analysis.trials import run_trials, trials_of
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.jobs import as_name
from convnova.benchmark.sheets import score_text
from convnova.console import log_console, plain_table, say
from convnova.errors import InputError
from convnova.evaluation.published import read_published
from convnova.evaluation.statistics import (
    PairedComparison,
    Spread,
    compare_paired,
    interval_of_mean,
    spread,
)
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.variants import FULL, Variant, variants
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.training.record import processor
from convnova.training.start import check_model, start
from convnova.training.task_settings import TaskNetworkSettings
from convnova.writing import make_folder, write_csv, write_text

TABLE_NAME, CSV_NAME = "ablation.md", "ablation.csv"
_PUBLISHED_SUITE = "ConvNova ablation"
_PUBLISHED = {
    ("gate", FULL): "ConvNova, full",
    ("gate", "single-gate"): "ConvNova, gate without dual branch",
    ("gate", "no-gate"): "ConvNova, no gate",
    ("context", FULL): "ConvNova, dilated convolution",
    ("context", "downsampling"): "ConvNova, downsampling",
}
"""What the table of published numbers calls the variants of a study."""


class AblationRow(NamedTuple):
    """What a variant reached on a task."""

    task: str
    metric: str
    study: str
    variant: Variant
    parameters: int
    """Of the backbone."""
    channels: int
    receptive_field_bp: int
    scores: Spread
    """Over seeds, as fractions."""
    against_full: PairedComparison | None
    """Variant minus full model, seed by seed; None for the full model itself."""
    interval: tuple[float, float]
    """95 % interval of that difference, by the t distribution; NaN with one seed."""
    published: float | None
    """Score of this variant in the paper."""


def ablate(settings: AblationSettings, console: Console | None = None) -> list[AblationRow]:
    """Train what is missing of a study, write tables and figures, and return the rows.

    Raises:
        InputError: for an unknown study, data that are missing, or a model that is no ConvNova.
    """
    console = console or log_console()
    quiet_libraries()
    full = full_model(settings.model, settings.network)
    studied = {name: variants(name, full, settings.match_parameters) for name in settings.studies}
    tasks = study_tasks(settings)
    make_folder(settings.output)
    networks = {variant.name: variant.changes for found in studied.values() for variant in found}
    results = run_trials(trials_of(settings, tasks, networks), settings, console)
    rows = [
        row
        for task in tasks
        for study, found in studied.items()
        for row in _rows(task, study, found, [one for one in results if one["task"] == task.name])
    ]
    _write(settings, rows)
    for task in tasks:
        own = [row for row in rows if row.task == task.name]
        say(console, f"{task.name} ({own[0].metric}, {own[0].scores.n} seeds)")
        console.print(plain_table(*table_of(own)))
    say(console, f"-> {settings.output / TABLE_NAME}")
    return rows


def full_model(model: str, network: TaskNetworkSettings) -> ConvNovaConfig:
    """Return the configuration that a study takes apart.

    Raises:
        InputError: when it is no ConvNova.
    """
    check_model(model, network)
    config = start(model, network, ("0", "1")).config
    if not isinstance(config, ConvNovaConfig):
        raise InputError(f"{model}: only ConvNova has these variants; give preset:nt-0.5m, for instance")
    return config


def _rows(
    task: StudyTask, study: str, found: Sequence[Variant], results: Sequence[dict[str, Any]]
) -> list[AblationRow]:
    """Return what the variants of a study reached on one task, the full model first."""
    scores = {
        variant.name: {one["seed"]: one["score"] for one in results if one["name"] == variant.name}
        for variant in found
    }
    rows = []
    for variant in found:
        one = next(result for result in results if result["name"] == variant.name)
        against = None if variant.name == FULL else compare_paired(scores[variant.name], scores[FULL])
        row = AblationRow(
            task=task.name,
            metric=task.metric,
            study=study,
            variant=variant,
            parameters=one["parameters"],
            channels=one["hidden_size"],
            receptive_field_bp=one["receptive_field_bp"],
            scores=spread(list(scores[variant.name].values())),
            against_full=against,
            interval=(math.nan, math.nan) if against is None else interval_of_mean(_differences(against)),
            published=_published(task.name, study, variant.name),
        )
        rows.append(row)
    return rows


def _differences(comparison: PairedComparison) -> Spread:
    return Spread(comparison.difference, comparison.sd, comparison.pairs)


def _published(task: str, study: str, variant: str) -> float | None:
    model = _PUBLISHED.get((study, variant))
    rows = [row for row in read_published() if (row.suite, row.task) == (_PUBLISHED_SUITE, task)]
    return next((row.value for row in rows if row.model == model), None)


def table_of(rows: Sequence[AblationRow]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of one task; scores and differences times 100."""
    header = ["study", "variant", "what", "parameters", "channels", "field, bp", "score"]
    header += ["minus full", "95 % interval", "p (t)", "published"]
    lines = []
    for row in rows:
        found = row.against_full
        lines.append(
            [
                row.study,
                row.variant.name,
                row.variant.sentence,
                f"{row.parameters:,}",
                str(row.channels),
                f"{row.receptive_field_bp:,}",
                score_text(row.scores.mean, row.scores.sd, 100),
                "" if found is None else f"{100 * found.difference:+.1f}",
                _interval_shown(row.interval),
                "" if found is None or math.isnan(found.p_t) else f"{found.p_t:.3f}",
                "" if row.published is None else f"{100 * row.published:.1f}",
            ]
        )
    return header, lines


def _interval_shown(interval: tuple[float, float]) -> str:
    return "" if math.isnan(interval[0]) else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def _write(settings: AblationSettings, rows: Sequence[AblationRow]) -> None:
    """Write tables and figures."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = ["# Ablation", ""]
    lines += [f"{settings.model}, {settings.seeds} seeds. {processor()}, torch {torch.__version__}.", ""]
    for task in tasks:
        own = [row for row in rows if row.task == task]
        lines += [f"## {task}", "", f"Score: {own[0].metric}, times 100.", ""]
        lines += [*markdown_table(*table_of(own)), ""]
        write_figure(settings.output / f"{as_name(task)}.png", partial(differences_figure, own))
    lines += [
        "Difference, its 95 % interval and p are of the paired t over seeds, which takes differences between "
        "seeds for normal. Parameters are the backbone's. Published: the paper's values as a summary of it "
        "gives them; another test split, or other training, may be behind them.",
        "",
    ]
    write_text(settings.output / TABLE_NAME, "\n".join(lines))
    write_csv(settings.output / CSV_NAME, _csv_rows(rows))


def _csv_rows(rows: Sequence[AblationRow]) -> Iterator[Sequence[Any]]:
    header = ["task", "metric", "study", "variant", "parameters", "channels", "receptive_field_bp"]
    yield [*header, "mean", "sd", "seeds", "difference", "low", "high", "p_t", "published"]
    for row in rows:
        found = row.against_full
        fixed = [row.task, row.metric, row.study, row.variant.name, row.parameters, row.channels]
        compared = ["", "", "", ""] if found is None else [found.difference, *row.interval, found.p_t]
        yield [*fixed, row.receptive_field_bp, *row.scores, *compared, row.published]
