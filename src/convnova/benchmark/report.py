"""The report of a suite: one table, as Markdown, CSV and an HTML page with its figures inside."""

import base64
import importlib.util
from pathlib import Path
from typing import NamedTuple

from convnova.benchmark.formats import long_csv, markdown
from convnova.benchmark.overview import Overview, overview
from convnova.benchmark.results import read_results
from convnova.benchmark.sheets import Sheet, reference_lines, remarks, sheets
from convnova.benchmark.table import ResultsTable, results_table
from convnova.writing import whole_file, write_text

_LIBRARIES = ("jinja2", "matplotlib")
CAPTIONS = {
    "tasks": "Test score of each task. Bars with an error bar: ours, mean and standard deviation over seeds. "
    "Grey: published models that have every task, under their own protocols. Dashed: best published value.",
    "ranks": "Rank among these models, averaged over the tasks that all of them have; grey is published.",
    "parameters": "Mean over the tasks that all of these models have, against the number of parameters.",
}


class Report(NamedTuple):
    """What was written, and what it says."""

    table: ResultsTable
    overview: Overview
    sheets: list[Sheet]
    markdown: Path
    csv: Path
    html: Path | None
    """None where a library is missing; `hint` says which."""
    hint: str


def write_report(
    folder: Path, output: Path | None = None, suite: str | None = None, seeds: int | None = None
) -> Report:
    """Write report.md, results.csv, report.html and its figures, and return what they say.

    Args:
        folder: with the results of finished jobs somewhere below it.
        output: folder for the files; default the same.
        suite: which suite to report; needed where there are results of several.
        seeds: number of seeds that were asked for; default as many as are there.

    Raises:
        InputError: when there is no result, or one cannot be read.
    """
    table = results_table(read_results(folder, suite), seeds=seeds)
    found = overview(table)
    made = sheets(table, found)
    output = output or folder
    output.mkdir(parents=True, exist_ok=True)
    texts, numbers = output / "report.md", output / "results.csv"
    write_text(texts, markdown(made, table))
    write_text(numbers, long_csv(table))
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    hint = ""
    page: Path | None = None
    if missing:
        wanted = " and ".join(missing)
        hint = f"no HTML page without {wanted}; install with: pip install 'convnova[report]'"
    else:
        page = _write_page(table, found, made, output)
    return Report(table, found, made, texts, numbers, page, hint)


def _write_page(table: ResultsTable, found: Overview, made: list[Sheet], output: Path) -> Path:
    from jinja2 import Environment, PackageLoader, select_autoescape

    from convnova.benchmark.figures import draw

    drawn = draw(table, found)
    for name, picture in drawn.items():
        with whole_file(output / f"{name}.png") as staging:
            staging.write_bytes(picture)
    environment = Environment(loader=PackageLoader("convnova", "benchmark"), autoescape=select_autoescape())
    page = output / "report.html"
    write_text(
        page,
        environment.get_template("report.html.jinja").render(
            table=table,
            found=found,
            sheets=made,
            figures={name: base64.b64encode(picture).decode() for name, picture in drawn.items()},
            captions=CAPTIONS,
            remarks=remarks(table),
            references=reference_lines(table),
        ),
    )
    return page
