"""`convnova ablate`: which designs matter on a task, variants of one network against the full one.

OUTPUT/trials/        a result file a training
OUTPUT/ablation.csv   a row a task and variant
OUTPUT/ablation.md    the same as tables, beside the published values where there are some
OUTPUT/TASK.png       the difference that each variant makes
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from convnova.analysis.ablation_settings import AblationSettings
from convnova.analysis.study_figures import differences_figure
from convnova.analysis.study_report import (
    DIFFERENCE_NOTE,
    difference_numbers,
    difference_shown,
    made_with,
)
from convnova.analysis.study_results import AblationRow
from convnova.analysis.study_tasks import StudyTask, study_tasks
from convnova.analysis.trials import full_model, run_trials, say_unmatched, trials_of
from convnova.benchmark.formats import markdown_table
from convnova.benchmark.jobs import as_name
from convnova.benchmark.sheets import score_text
from convnova.console import log_console, plain_table, say
from convnova.evaluation.published import Published, read_published
from convnova.evaluation.statistics import compare_paired, spread
from convnova.model.variants import FULL, Variant, variants
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.writing import make_folder, write_csv, write_text

TABLE_NAME, CSV_NAME = "ablation.md", "ablation.csv"
_PUBLISHED_SUITE, _ABLATED_SUITE, _MAIN_MODEL = "ConvNova ablation", "NT benchmark", "ConvNova (pretrained)"
"""What the table of published numbers calls the paper's ablations, the suite whose tasks they are on, and the
model of the main table."""
_PUBLISHED = {
    ("gate", FULL): "ConvNova, full",
    ("gate", "single-gate"): "ConvNova, gate without dual branch",
    ("gate", "no-gate"): "ConvNova, no gate",
    ("context", FULL): "ConvNova, dilated convolution",
    ("context", "downsampling"): "ConvNova, downsampling",
}
"""What the table of published numbers calls the variants of a study."""
_SIZE_NOTE = "Parameters are the backbone's, with the difference to the full model where it is above 2 %."
_GATE_NOTE = (
    "same-strand is the full model but for the draw of its weights, so it shows the noise: the strand that "
    "the second branch reads is only an order of its four inputs."
)


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
    if settings.match_parameters:
        say_unmatched(full, networks, console)
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
            published=_published(task, study, variant.name),
        )
        rows.append(row)
    return rows


def _published(task: StudyTask, study: str, variant: str) -> Published | None:
    """Return what the paper has for a variant, of the full model at least in its main table."""
    if task.published is None:
        return None
    suite, name = task.published
    rows = {(row.suite, row.model): row for row in read_published() if row.task == name}
    found = rows.get((_PUBLISHED_SUITE, _PUBLISHED.get((study, variant), "")))
    if found is not None and suite.startswith(_ABLATED_SUITE):
        return found
    return rows.get((suite, _MAIN_MODEL)) if variant == FULL else None


def table_of(rows: Sequence[AblationRow]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of one task; scores and differences times 100."""
    header = ["study", "variant", "what", "parameters", "channels", "field, bp", "score"]
    header += ["minus full", "95 % interval", "p", "published"]
    lines = []
    for row in rows:
        lines.append(
            [
                row.study,
                row.variant.name,
                row.variant.sentence,
                f"{row.parameters:,}{_share_shown(row.parameters / rows[0].parameters)}",
                str(row.channels),
                f"{row.receptive_field_bp:,}",
                score_text(row.scores.mean, row.scores.sd, 100),
                *difference_shown(row.against_full),
                "" if row.published is None else f"{100 * row.published.value:.1f}",
            ]
        )
    return header, lines


def _share_shown(share: float) -> str:
    """Return by how much parameters differ from those of the full model, where it is more than rounding."""
    return "" if abs(share - 1) <= 0.02 else f" ({share - 1:+.0%})"


def _write(settings: AblationSettings, rows: Sequence[AblationRow]) -> None:
    """Write tables and figures."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = ["# Ablation", "", made_with(settings), ""]
    for task in tasks:
        own = [row for row in rows if row.task == task]
        lines += [f"## {task}", "", f"Score: {own[0].metric}, times 100.", ""]
        lines += [*markdown_table(*table_of(own)), ""]
        found = dict.fromkeys(row.published for row in own if row.published is not None)
        lines += [
            f"- Published, {one.model}: {100 * one.value:g}, {one.printed_metric}; {one.protocol}; "
            f"{one.source}; {one.note}."
            for one in found
        ]
        lines += [""] if found else []
        write_figure(settings.output / f"{as_name(task)}.png", partial(differences_figure, own))
    notes = [DIFFERENCE_NOTE, _SIZE_NOTE, *([_GATE_NOTE] if "gate" in settings.studies else [])]
    lines += [" ".join(notes), ""]
    write_text(settings.output / TABLE_NAME, "\n".join(lines))
    write_csv(settings.output / CSV_NAME, _csv_rows(rows))


def _csv_rows(rows: Sequence[AblationRow]) -> Iterator[Sequence[Any]]:
    header = ["task", "metric", "study", "variant", "parameters", "channels", "receptive_field_bp"]
    yield [*header, "mean", "sd", "seeds", "difference", "low", "high", "p_t", "p_signs", "published"]
    for row in rows:
        fixed = [row.task, row.metric, row.study, row.variant.name, row.parameters, row.channels]
        published = None if row.published is None else row.published.value
        compared = difference_numbers(row.against_full)
        yield [*fixed, row.receptive_field_bp, *row.scores, *compared, published]
