"""The sheets of a report on a terminal and in Markdown, and all its numbers as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from convnova.benchmark.sheets import Sheet, reference_lines, remarks
from convnova.benchmark.table import Cell, Column, ResultsTable, Row

CSV_COLUMNS = (
    *("suite", "task", "metric", "model", "ours", "protocol", "source", "second_hand", "parameters"),
    *("seed", "value", "sd", "seeds", "low", "high", "training_seconds", "switches", "note"),
)


def terminal(made: list[Sheet], table: ResultsTable) -> Group:
    """Return sheets and remarks for a terminal; what is too wide for one is left to the files."""
    parts: list[Table | Text] = []
    for sheet in made:
        if sheet.is_wide:
            continue
        grid = Table(title=sheet.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        kept = [number for number in range(len(sheet.header)) if number not in sheet.spared]
        for number in kept:
            grid.add_column(Text(sheet.header[number]), justify="right" if number else "left")
        for number, row in enumerate(sheet.rows):
            grid.add_row(*(Text(row[i]) for i in kept), style="bold" if number in sheet.ours else None)
        parts += [grid, *([Text(sheet.note)] if sheet.note else [])]
    return Group(*parts, Text(""), *map(Text, [*remarks(table), *reference_lines(table)]))


def print_report(console: Console, made: list[Sheet], table: ResultsTable) -> None:
    """Print sheets and remarks."""
    console.print(terminal(made, table))


def markdown(made: list[Sheet], table: ResultsTable) -> str:
    """Return sheets and remarks as Markdown."""
    lines = [f"# {table.title}", ""]
    for sheet in made:
        rows = [
            [f"**{row[0]}**", *row[1:]] if number in sheet.ours else row
            for number, row in enumerate(sheet.rows)
        ]
        lines += [f"## {sheet.title}", "", *markdown_table(sheet.header, rows)]
        lines += ["", *([sheet.note, ""] if sheet.note else [])]
    lines += ["## Notes", "", *(f"- {line}" for line in remarks(table)), ""]
    lines += [f"{line}\n" for line in reference_lines(table)]
    return "\n".join(lines).rstrip() + "\n"


def long_csv(table: ResultsTable) -> str:
    """Return every number as one row: each seed, our means (seed is ``mean``), and the published ones."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        for column in table.columns:
            if column.name in row.cells:
                writer.writerows(_csv_rows(table, row, column, row.cells[column.name]))
    return buffer.getvalue()


def _csv_rows(table: ResultsTable, row: Row, column: Column, cell: Cell) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {
        **{"suite": table.suite, "task": row.task, "metric": row.metric, "model": column.name},
        **{"ours": column.is_ours, "protocol": column.protocol, "parameters": column.parameters},
        **{"second_hand": column.is_second_hand, "switches": cell.switches, "note": cell.note},
    }
    if column.reference:
        shared["source"] = table.references[column.reference - 1].source
    mean: dict[str, Any] = {"value": cell.value, "sd": cell.sd, "training_seconds": cell.training_seconds}
    if column.is_ours:
        mean |= {"seed": "mean", "seeds": len(cell.by_seed)}
    if cell.interval is not None:
        mean |= {"low": cell.interval.low, "high": cell.interval.high}
    by_seed = [shared | {"seed": seed, "value": value} for seed, value in cell.by_seed.items()]
    return [*by_seed, shared | mean]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown, numbers on the right of all columns but the first."""
    rule = "|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|"
    return [_line(header), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
