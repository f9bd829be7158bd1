"""What the report says, as sheets of text: written once, shown on a terminal, in Markdown and in HTML."""

import math
from typing import NamedTuple

from convnova.benchmark.overview import Overview, Pair, best_published
from convnova.benchmark.table import Cell, Column, ResultsTable, Row, metric_title, scale_of
from convnova.evaluation.statistics import PairedComparison

NONE = "–"


class Sheet(NamedTuple):
    """A table as text; the first column is what the row is about."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ours: frozenset[int] = frozenset()
    """Rows that are our models."""
    note: str = ""
    is_wide: bool = False
    """Whether it is too wide for a terminal."""
    spared: frozenset[int] = frozenset()
    """Columns that a terminal has no room for."""


def sheets(table: ResultsTable, found: Overview) -> list[Sheet]:
    """Return all sheets that have rows."""
    made = [
        _tasks(table, found),
        _standings(table, found),
        _partial(table, found),
        *(_pair(table, pair) for pair in found.pairs),
        _everything(table),
    ]
    return [sheet for sheet in made if sheet.rows]


def remarks(table: ResultsTable) -> list[str]:
    """Return what a reader must know, one sentence each: gaps first."""
    lines = [f"Incomplete: {gap}." for gap in table.gaps]
    if table.missing:
        several = "s" if len(table.missing) > 1 else ""
        lines.append(
            f"{len(table.missing)} task{several} of the suite without a result: {', '.join(table.missing)}."
        )
    lines += [f"Protocol {name}: {sentence}." for name, sentence in table.protocols.items() if sentence]
    said: dict[str, list[str]] = {}
    for column in table.ours:
        for row in table.rows:
            cell = row.cells.get(column.name)
            if cell is not None and cell.switches:
                said.setdefault(f"{column.name}: {cell.switches}", []).append(row.task)
    for row in table.rows:
        for note in row.notes:
            said.setdefault(note.rstrip("."), []).append(row.task)
    for sentence, tasks in said.items():
        whose = "all tasks" if len(tasks) == len(table.rows) > 1 else ", ".join(tasks)
        lines.append(f"{whose}: {sentence}.")
    return lines


def reference_lines(table: ResultsTable) -> list[str]:
    """Return protocol and source of each reference, by number."""
    return [
        f"[{number}] Protocol: {reference.protocol or 'not stated'}. Source: {reference.source}."
        + "".join(f" {note}." for note in reference.notes)
        for number, reference in enumerate(table.references, start=1)
    ]


def _tasks(table: ResultsTable, found: Overview) -> Sheet:
    metrics = list(dict.fromkeys(metric_title(row.metric) for row in table.rows))
    has_several = len(metrics) > 1
    header = ["task", *(["score"] if has_several else [])]
    header += [name for column in table.ours for name in (column.name, "test interval", "rank")]
    rows = []
    for row in table.rows:
        cells = [row.task, *([metric_title(row.metric)] if has_several else [])]
        for column in table.ours:
            cell = row.cells.get(column.name)
            cells += [_ours(cell, row, table.seeds), _interval(cell, row), _rank(found, row, column)]
        best = best_published(table, row)
        rows.append((*cells, *((_number(best[1], row), best[0].name) if best else (NONE, NONE))))
    intervals = [cell.interval for row in table.rows for cell in row.cells.values() if cell.interval]
    seeds = f"{table.seeds} seed" + ("s" if table.seeds > 1 else "")
    return Sheet(
        "Each task" if has_several else f"Each task, {metrics[0]}",
        (*header, "best published", "by"),
        tuple(rows),
        note=(f"Mean ± sample standard deviation over {seeds}. " if table.seeds > 1 else "One seed. ")
        + f"Test interval: {intervals[0].coverage if intervals else 0.95:.0%} bootstrap over the test "
        "sequences of one model, bounds averaged over seeds. Rank: among the columns of the next table. "
        "The best published value may come from another protocol: see its number below.",
        spared=frozenset(
            i for i, name in enumerate(header) if name == "test interval" and len(table.ours) > 1
        ),
    )


def _standings(table: ResultsTable, found: Overview) -> Sheet:
    title = f"Over the {len(found.rows)} task{'s' if len(found.rows) > 1 else ''} that all of these have"
    rows, scale = [], _shared_scale(table)
    for standing in found.standings:
        column = standing.column
        rows.append(
            (
                column.name,
                score_text(standing.mean, standing.sd, scale),
                f"{standing.mean_rank:.2f}",
                parameters_text(column.parameters),
                minutes_text(standing.training_seconds),
                column.protocol + (" (second-hand)" if column.is_second_hand else ""),
            )
        )
    metrics = ", ".join(dict.fromkeys(metric_title(row.metric) for row in table.rows))
    note = f"Mean of {metrics}; ± over seeds of that mean. Ranks average ties."
    if found.best_published is not None:
        best = score_text(found.best_published, None, scale)
        note += f" The best published value of each task, whatever the model, averages {best}."
    ours = frozenset(i for i, standing in enumerate(found.standings) if standing.column.is_ours)
    header = ("model", "mean", "mean rank", "parameters", "training, a run", "protocol")
    return Sheet(title, header, tuple(rows) if found.rows else (), ours, note)


def _partial(table: ResultsTable, found: Overview) -> Sheet:
    scale = _shared_scale(table)
    rows = [
        (
            one.column.name,
            f"{one.tasks} of {len(found.rows)}",
            score_text(one.mean, None, scale),
            *(score_text(value, None, scale) for value in one.ours.values()),
            parameters_text(one.column.parameters),
            one.column.protocol + (" (second-hand)" if one.column.is_second_hand else ""),
        )
        for one in found.partial
    ]
    names = tuple(f"{column.name}, same tasks" for column in table.ours)
    header = ("published for some tasks", "tasks", "mean", *names, "parameters", "protocol")
    return Sheet("Published for some of these tasks only", header, tuple(rows))


def _pair(table: ResultsTable, pair: Pair) -> Sheet:
    rows = []
    if pair.over_tasks is not None and pair.over_tasks.pairs > 1:
        count = f"{pair.wins} of {pair.over_tasks.pairs} tasks better"
        rows.append((f"all tasks: {count}", *_difference(pair.over_tasks, _shared_scale(table))))
    for row in table.rows:
        if row.key in pair.by_row:
            rows.append((row.task, *_difference(pair.by_row[row.key], scale_of(row.metric))))
    return Sheet(
        f"{pair.first} against {pair.second}, paired",
        ("task", "difference", "pairs", "p (t test)", "p (sign flips)"),
        tuple(rows),
        note="Pairs are seeds, and for all tasks the tasks. With fewer than six pairs the sign-flip test "
        "cannot fall below 0.05, and only the t test can speak, which takes differences for normal. p values "
        "are not corrected for the number of comparisons.",
    )


def _everything(table: ResultsTable) -> Sheet:
    header = ("model", *(row.task for row in table.rows), "parameters", "protocol")
    rows = []
    for column in table.columns:
        shown = [_cell(row.cells.get(column.name), row, column, table.seeds) for row in table.rows]
        rows.append((column.name, *shown, parameters_text(column.parameters), column.protocol))
    ours = frozenset(i for i, column in enumerate(table.columns) if column.is_ours)
    note = "Numbers in brackets name protocol and source, below. Protocols differ: read before comparing."
    cells = [cell for row in table.rows for cell in row.cells.values()]
    if any(cell.is_ambiguous for cell in cells):
        note += " ?: the source leaves open which score it is."
    if not all(cell.is_comparable for cell in cells):
        note += " *: apparently measured on other data; neither ranked nor averaged."
    return Sheet("Every score", header, tuple(rows), ours, note, is_wide=True)


def _cell(cell: Cell | None, row: Row, column: Column, seeds: int) -> str:
    if column.is_ours:
        return _ours(cell, row, seeds)
    if cell is None:
        return NONE
    mark = "?" if cell.is_ambiguous else "" if cell.is_comparable else " *"
    return score_text(cell.value, cell.sd, scale_of(row.metric)) + mark


def _ours(cell: Cell | None, row: Row, seeds: int) -> str:
    if cell is None:
        return f"{NONE} (0 of {seeds} seeds)"
    text = score_text(cell.value, cell.sd, scale_of(row.metric))
    return text if len(cell.by_seed) == seeds else f"{text} ({len(cell.by_seed)} of {seeds} seeds)"


def score_text(value: float, sd: float | None, scale: float) -> str:
    """Return a mean score and its standard deviation, if there is one, as ``81.5 ± 0.3``."""
    if math.isnan(value):
        return NONE
    digits = 1 if scale == 100 else 3
    text = f"{value * scale:.{digits}f}"
    return text if sd is None or math.isnan(sd) else f"{text} ± {sd * scale:.{digits}f}"


def _number(value: float, row: Row) -> str:
    return score_text(value, None, scale_of(row.metric))


def _interval(cell: Cell | None, row: Row) -> str:
    if cell is None or cell.interval is None:
        return NONE
    return f"{_number(cell.interval.low, row)} to {_number(cell.interval.high, row)}"


def _rank(found: Overview, row: Row, column: Column) -> str:
    ranks = found.ranks.get(row.key, {})
    return f"{ranks[column.name]:g} of {len(ranks)}" if column.name in ranks else NONE


def _difference(compared: PairedComparison, scale: float) -> tuple[str, ...]:
    sd = None if math.isnan(compared.sd) else compared.sd
    shown = ("+" if compared.difference >= 0 else "") + score_text(compared.difference, sd, scale)
    return shown, str(compared.pairs), _p(compared.p_t), _p(compared.p_signs)


def _p(value: float) -> str:
    if math.isnan(value):
        return NONE
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _shared_scale(table: ResultsTable) -> float:
    return min(scale_of(row.metric) for row in table.rows)


def parameters_text(parameters: int | None) -> str:
    """Return a number of parameters as people write it: 427K, 1.71M, 2.5B."""
    if parameters is None:
        return NONE
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{name}"
    return str(parameters)


def minutes_text(seconds: float | None) -> str:
    """Return a time in minutes, or in seconds below one."""
    if seconds is None:
        return NONE
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
