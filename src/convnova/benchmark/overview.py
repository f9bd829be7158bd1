"""What the table says over all tasks: means, mean ranks, and how our models compare.

Columns are only compared over tasks that all of them have; how many is part of the answer.
"""

import itertools
import math
from typing import NamedTuple

from convnova.benchmark.table import Column, ResultsTable, Row
from convnova.evaluation.statistics import (
    PairedComparison,
    compare_paired,
    mean_ranks,
    shared_tasks,
    spread,
    task_ranks,
)


class Standing(NamedTuple):
    """A column over the tasks that all compared columns have."""

    column: Column
    mean: float
    """Of its scores; NaN where scores of which less is better are mixed with others."""
    sd: float | None
    """Over seeds, of the mean over tasks; None for published ones, and for fewer than two whole seeds."""
    mean_rank: float
    training_seconds: float | None
    """Of one run, mean over seeds and tasks."""


class Partial(NamedTuple):
    """A published column that lacks some of our tasks, beside ours on those it has."""

    column: Column
    tasks: int
    mean: float
    ours: dict[str, float]
    """Mean over the same tasks, by name of our column."""


class Pair(NamedTuple):
    """Two of our models."""

    first: str
    second: str
    over_tasks: PairedComparison | None
    """Of the means over seeds."""
    wins: int
    """Tasks on which the first has the better mean."""
    by_row: dict[str, PairedComparison]
    """Over seeds, by key of the row; the difference is that of better scores also where less is better."""


class Overview(NamedTuple):
    """The columns over tasks."""

    rows: tuple[str, ...]
    """Keys of the rows that count: those that all of our columns have."""
    standings: tuple[Standing, ...]
    """Best mean rank first."""
    partial: tuple[Partial, ...]
    best_published: float | None
    """Mean over these tasks of the best published value of each, whatever the model; None where a task has
    none."""
    ranks: dict[str, dict[str, float]]
    """Of each compared column on each of these rows, by key of the row and name of the column."""
    pairs: tuple[Pair, ...]


def overview(table: ResultsTable) -> Overview:
    """Return what the table says over its tasks."""
    scores = {
        column.name: {
            row.key: row.comparable[column.name].value for row in table.rows if column.name in row.comparable
        }
        for column in table.columns
    }
    keys, _ = shared_tasks({column.name: scores[column.name] for column in table.ours})
    rows = [row for row in table.rows if row.key in keys]
    compared = [c for c in table.columns if rows and all(c.name in row.comparable for row in rows)]
    lower = {row.key: row.lower_is_better for row in rows}
    chosen = {column.name: {key: scores[column.name][key] for key in keys} for column in compared}
    ranked = mean_ranks(chosen, lower)
    has_mean = len(set(lower.values())) == 1
    standings = [
        Standing(
            column,
            spread(list(chosen[column.name].values())).mean if has_mean else math.nan,
            _sd_of_means(column, rows) if has_mean else None,
            ranked.mean[column.name],
            _mean_seconds(column, rows),
        )
        for column in compared
    ]
    partial = [
        _partial(column, table, rows)
        for column in table.published
        if column not in compared and any(column.name in row.comparable for row in rows)
    ]
    return Overview(
        rows=keys,
        standings=tuple(sorted(standings, key=lambda s: (s.mean_rank, -s.mean if s.mean == s.mean else 0))),
        partial=tuple(sorted(partial, key=lambda one: -one.tasks)),
        best_published=_best_published(table, rows) if has_mean else None,
        ranks={key: task_ranks({n: chosen[n][key] for n in chosen}, lower[key]) for key in keys},
        pairs=tuple(_pair(table, a.name, b.name) for a, b in itertools.combinations(table.ours, 2)),
    )


def best_published(table: ResultsTable, row: Row) -> tuple[Column, float] | None:
    """Return the published column with the best value of a row, and the value."""
    there = [(c, row.comparable[c.name].value) for c in table.published if c.name in row.comparable]
    choose = min if row.lower_is_better else max
    return choose(there, key=lambda pair: pair[1]) if there else None


def _best_published(table: ResultsTable, rows: list[Row]) -> float | None:
    best = [best_published(table, row) for row in rows]
    known = [pair[1] for pair in best if pair is not None]
    return spread(known).mean if known and len(known) == len(rows) else None


def _sd_of_means(column: Column, rows: list[Row]) -> float | None:
    """Return the spread over seeds of the mean over tasks; of the seeds that all tasks have."""
    cells = [row.cells[column.name].by_seed for row in rows]
    seeds = set.intersection(*(set(cell) for cell in cells))
    if len(seeds) < 2:
        return None
    return spread([spread([cell[seed] for cell in cells]).mean for seed in sorted(seeds)]).sd


def _mean_seconds(column: Column, rows: list[Row]) -> float | None:
    seconds = [row.cells[column.name].training_seconds for row in rows]
    known = [value for value in seconds if value is not None]
    return spread(known).mean if known else None


def _partial(column: Column, table: ResultsTable, rows: list[Row]) -> Partial:
    has = [row for row in rows if column.name in row.comparable]
    means = {c.name: spread([row.cells[c.name].value for row in has]).mean for c in (column, *table.ours)}
    return Partial(column, len(has), means.pop(column.name), means)


def _pair(table: ResultsTable, first: str, second: str) -> Pair:
    means: tuple[dict[str, float], dict[str, float]] = ({}, {})
    by_row = {}
    for row in table.rows:
        if first not in row.cells or second not in row.cells:
            continue
        sign = -1 if row.lower_is_better else 1
        cells = [row.cells[name] for name in (first, second)]
        for of_model, cell in zip(means, cells, strict=True):
            of_model[row.key] = sign * cell.value
        by_seed = [{seed: sign * value for seed, value in cell.by_seed.items()} for cell in cells]
        compared = compare_paired(by_seed[0], by_seed[1])
        if compared is not None:
            by_row[row.key] = compared
    wins = sum(means[0][key] > means[1][key] for key in means[0])
    return Pair(first, second, compare_paired(*means), wins, by_row)
