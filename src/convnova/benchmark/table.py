"""All results of a suite as one table: our models and the published ones are columns, tasks are rows.

A published column is one model under one protocol from one source, and is never merged with another.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from convnova.benchmark.results import JobResult
from convnova.data.catalogue import catalogue, suite_tasks
from convnova.evaluation.bootstrap import Interval
from convnova.evaluation.published import Published, frozen_names, published_for
from convnova.evaluation.scores import LOWER_IS_BETTER, METRIC_NAMES
from convnova.evaluation.statistics import spread

Numbers = Callable[[str, str, str], Sequence[Published]]
"""Published numbers by suite, task (as the catalogue names them) and metric."""


class Column(NamedTuple):
    """A model as it is compared."""

    name: str
    """Unique in the table; a published one ends with the number of its reference."""
    is_ours: bool
    protocol: str
    parameters: int | None
    reference: int = 0
    """Number of protocol and source in `ResultsTable.references`; 0 for ours."""
    is_second_hand: bool = False


class Cell(NamedTuple):
    """What a column says of a row."""

    value: float
    """Mean over seeds, or the published value; a fraction."""
    sd: float | None
    """Sample standard deviation over seeds; for published ones what stands behind +-."""
    by_seed: dict[int, float]
    """Our score by seed; empty for published ones."""
    interval: Interval | None = None
    """Over test sequences: means over seeds of the bounds of each seed's bootstrap interval."""
    training_seconds: float | None = None
    """Mean over seeds."""
    note: str = ""
    switches: str = ""
    """Of ours: which strands were trained on and predicted, how it pools, whether a grid was searched."""
    is_ambiguous: bool = False
    """Whether the source leaves open which score it is."""
    is_comparable: bool = True
    """Whether it was measured on the same data as the others."""


class Row(NamedTuple):
    """A task under one score."""

    task: str
    metric: str
    cells: dict[str, Cell]
    """By name of the column."""
    notes: tuple[str, ...]
    """What the data's quality report and the catalogue say of the task."""

    @property
    def key(self) -> str:
        """Name of the row, unique in the table."""
        return f"{self.task} {self.metric}"

    @property
    def comparable(self) -> dict[str, Cell]:
        """The cells that were measured on the same data: what is ranked, averaged and drawn."""
        return {name: cell for name, cell in self.cells.items() if cell.is_comparable}

    @property
    def lower_is_better(self) -> bool:
        """Whether less is better."""
        return self.metric in LOWER_IS_BETTER


class Reference(NamedTuple):
    """Where published numbers come from, and how they came about."""

    protocol: str
    source: str
    notes: tuple[str, ...]


class ResultsTable(NamedTuple):
    """The results of a suite beside the published numbers."""

    suite: str
    title: str
    seeds: int
    """Number that was asked for, or that is there in all; a cell with fewer is incomplete."""
    columns: tuple[Column, ...]
    """Ours, then published ones, those with most tasks first."""
    rows: tuple[Row, ...]
    """In the order of the suite."""
    missing: tuple[str, ...]
    """Tasks of the suite without any result."""
    references: tuple[Reference, ...]
    protocols: dict[str, str]
    """What each of our protocols does, by name."""

    @property
    def ours(self) -> tuple[Column, ...]:
        """Our columns."""
        return tuple(column for column in self.columns if column.is_ours)

    @property
    def published(self) -> tuple[Column, ...]:
        """The others."""
        return tuple(column for column in self.columns if not column.is_ours)

    @property
    def gaps(self) -> tuple[str, ...]:
        """One line for each of our cells that is empty or lacks seeds."""
        lines = []
        for column in self.ours:
            for row in self.rows:
                cell = row.cells.get(column.name)
                have = 0 if cell is None else len(cell.by_seed)
                if have < self.seeds:
                    lines.append(f"{row.task}, {column.name}: {have} of {self.seeds} seeds")
        return tuple(lines)


def published_numbers(suite: str, task: str, metric: str) -> list[Published]:
    """Return the published numbers of a task of the catalogue in one metric; none for an unknown task."""
    if suite not in {row.suite for row in catalogue()}:
        return []
    names = [
        (known.published_suite, known.published_task)
        for known in suite_tasks(suite)
        if known.name == task and known.published_suite
    ]
    names += frozen_names().get((suite, task), ())
    return [number for name in names for number in published_for(*name, metric)]


def results_table(
    results: Sequence[JobResult], numbers: Numbers = published_numbers, seeds: int | None = None
) -> ResultsTable:
    """Return the table of the results of one suite.

    Args:
        results: of one suite, each job once.
        numbers: where published numbers come from.
        seeds: number of seeds that were asked for; default as many as are there.
    """
    suite = results[0].suite
    title, order = _suite(suite, [result.task for result in results])
    keys = sorted({(r.task, r.metric) for r in results}, key=lambda key: (order.index(key[0]), key[1]))
    ours = _our_columns(results)
    cells: dict[tuple[str, str], dict[str, Cell]] = {key: {} for key in keys}
    for (model, protocol), column in ours.items():
        for key in keys:
            whose = (model, protocol, *key)
            jobs = [r for r in results if (r.model, r.protocol, r.task, r.metric) == whose]
            if jobs:
                cells[key][column.name] = _our_cell(jobs)
    published, references = _published(suite, keys, cells, numbers)
    return ResultsTable(
        suite=suite,
        title=title,
        seeds=max(seeds or 0, len({result.seed for result in results})),
        columns=(*ours.values(), *published),
        rows=tuple(Row(*key, cells[key], _notes(results, key)) for key in keys),
        missing=tuple(task for task in order if task not in {key[0] for key in keys}),
        references=references,
        protocols={result.protocol: result.protocol_sentence for result in results},
    )


def _notes(results: Sequence[JobResult], key: tuple[str, str]) -> tuple[str, ...]:
    """Return what the results of a row say of its data, each once."""
    of_row = (result for result in results if (result.task, result.metric) == key)
    return tuple(dict.fromkeys(note for result in of_row for note in result.notes))


def _suite(suite: str, tasks: list[str]) -> tuple[str, list[str]]:
    """Return the title of a suite and its tasks in order; a suite of the user's own has those it has."""
    known = {row.suite: row.title for row in catalogue()}
    named = [task.name for task in suite_tasks(suite)] if suite in known else []
    return known.get(suite, suite), list(dict.fromkeys([*named, *tasks]))


def _our_columns(results: Sequence[JobResult]) -> dict[tuple[str, str], Column]:
    """Return our columns by model and protocol, in the order of the results."""
    keys = list(dict.fromkeys((result.model, result.protocol) for result in results))
    models = [model for model, _ in keys]
    columns = {}
    for model, protocol in keys:
        jobs = [result for result in results if (result.model, result.protocol) == (model, protocol)]
        sizes = [job.parameters for job in jobs if job.parameters is not None]
        name = model if models.count(model) == 1 else f"{model} ({protocol})"
        # Heads differ in size from task to task; the largest stands for the model.
        columns[model, protocol] = Column(name, True, protocol, max(sizes, default=None))
    return columns


def _our_cell(jobs: Sequence[JobResult]) -> Cell:
    by_seed = {job.seed: job.score for job in sorted(jobs, key=lambda job: job.seed)}
    mean, sd, _ = spread(list(by_seed.values()))
    intervals = [job.interval for job in jobs if job.interval is not None]
    seconds = [job.training_seconds for job in jobs if job.training_seconds is not None]
    return Cell(
        value=mean,
        sd=None if math.isnan(sd) else sd,
        by_seed=by_seed,
        interval=Interval(*(spread(bounds).mean for bounds in zip(*intervals, strict=True)))
        if intervals
        else None,
        training_seconds=spread(seconds).mean if seconds else None,
        switches="; ".join(dict.fromkeys(job.switches for job in jobs if job.switches)),
    )


def _published(
    suite: str, keys: list[tuple[str, str]], cells: dict[tuple[str, str], dict[str, Cell]], numbers: Numbers
) -> tuple[list[Column], tuple[Reference, ...]]:
    """Put the published numbers into the cells, and return their columns and references."""
    found: dict[tuple[str, str, str, int | None, int], dict[tuple[str, str], Published]] = {}
    for key in keys:
        for number in numbers(suite, *key):
            again = 0  # a source that prints two values for one cell gets a second column
            while key in found.setdefault(_identity(number, again), {}):
                again += 1
            found[_identity(number, again)][key] = number
    ordered = sorted(found, key=lambda identity: -len(found[identity]))
    origins = list(dict.fromkeys(identity[1:3] for identity in ordered))
    columns, notes = [], {origin: dict[str, None]() for origin in origins}
    taken = {name for row in cells.values() for name in row}
    for identity in ordered:
        model, protocol, source, parameters, _ = identity
        reference = origins.index((protocol, source)) + 1
        name, again = f"{model} [{reference}]", 1
        while name in taken:
            again += 1
            name = f"{model} ({again}) [{reference}]"
        taken.add(name)
        rows = found[identity]
        for key, number in rows.items():
            ambiguous = f"metric in the source: {number.printed_metric}" if number.is_ambiguous else ""
            note = "; ".join(filter(None, (number.note, ambiguous)))
            cells[key][name] = Cell(
                number.value,
                number.spread,
                {},
                note=note,
                is_ambiguous=number.is_ambiguous,
                is_comparable=not number.is_other_data,
            )
            if note:
                notes[protocol, source][f"{model}: {note}" if number.note else note] = None
        second_hand = any(number.is_second_hand for number in rows.values())
        columns.append(
            Column(name, False, protocol or "protocol not stated", parameters, reference, second_hand)
        )
    references = [Reference(*origin, tuple(notes[origin])) for origin in origins]
    return columns, tuple(references)


def _identity(number: Published, again: int) -> tuple[str, str, str, int | None, int]:
    return number.model, number.protocol, number.source, number.parameters, again


def scale_of(metric: str) -> float:
    """Return by what a score is multiplied to be shown: 100 for shares and MCC, as the field prints them."""
    return 100.0 if metric in ("mcc", "f1", "accuracy", "auroc", "auprc") else 1.0


def metric_title(metric: str) -> str:
    """Return a score's name as it is shown, with its scale."""
    return METRIC_NAMES.get(metric, metric) + (" ×100" if scale_of(metric) == 100 else "")
