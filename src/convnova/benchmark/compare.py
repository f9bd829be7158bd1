"""`convnova compare`: quality, size, speed and memory of several systems in one table, from one run.

OUTPUT/costs.csv        a row a measurement, added as it is made; those of the same model, processor and
                        threads are not made again
OUTPUT/quality/         the suite, as `convnova benchmark` leaves it; rates/ where learning rates are chosen
OUTPUT/compare.md       the table, and how time and memory grow with length
OUTPUT/time.png, memory.png
"""

from functools import partial

import torch
from rich.console import Console

from convnova.benchmark.compare_figure import growth_figure
from convnova.benchmark.compare_quality import KMERS, train_all
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.compare_table import Comparison, report, table_of
from convnova.benchmark.cost_table import CostTable
from convnova.benchmark.costs import KINDS, Cost, size_of
from convnova.benchmark.suite import models_of
from convnova.console import log_console, plain_table, say
from convnova.errors import InputError, nearest
from convnova.training.arguments import quiet_libraries
from convnova.training.figures import write_figure
from convnova.writing import make_folder, write_text

SYSTEMS = {
    "convnova": {"0.5m": "nt-0.5m", "1.7m": "nt"},
    "dnabert": {"0.5m": "dnabert-3-0.5m", "1.7m": "dnabert-3-1.7m"},
    "dnabert2": {"0.5m": "dnabert2-0.5m", "1.7m": "dnabert2-1.7m"},
    "nt": {"0.5m": "nt-v2-0.5m", "1.7m": "nt-v2-1.7m"},
    "hyenadna": {"0.5m": "hyenadna-0.5m", "1.7m": "hyenadna-1.7m"},
    "caduceus-ph": {"0.5m": "caduceus-ph-0.5m", "1.7m": "caduceus-ph-1.7m"},
    "caduceus-ps": {"0.5m": "caduceus-ps-0.5m", "1.7m": "caduceus-ps-1.7m"},
    **{name: {"0.5m": name, "1.7m": name} for name in ("cnn", "deepsea", "danq", "deepatt", "kmers")},
}
"""Preset of each system by size."""
COSTS_NAME, TABLE_NAME = "costs.csv", "compare.md"


def compare(settings: CompareSettings, console: Console | None = None) -> Comparison:
    """Measure what is missing of a comparison, write the table, and return all of it.

    Raises:
        InputError: for an unknown system, or a suite that cannot be run; and in the end, when a model could
            not be trained. The tables are there by then.
    """
    console = console or log_console()
    quiet_libraries()
    models = named_models(settings.models, settings.size)
    sizes = {name: size_of(source) for name, source in models.items()}
    make_folder(settings.output)
    threads = settings.threads or torch.get_num_threads()
    table = CostTable(settings.output / COSTS_NAME, threads, settings.most_seconds, console)
    costs = _costs(settings, models, table)
    quality = {} if settings.suite is None else train_all(settings, models, table, console)
    found = Comparison(sizes, costs, quality)
    header, rows = table_of(found)
    console.print(plain_table(header[:-2], [row[:-2] for row in rows]))  # the longest lengths are wide
    write_text(settings.output / TABLE_NAME, report(settings, found))
    for kind in ("time", "memory"):
        write_figure(settings.output / f"{kind}.png", partial(growth_figure, costs, kind))
    say(console, f"-> {settings.output / TABLE_NAME}")
    if failures := [one.failure for one in quality.values() if one.failure]:
        raise InputError(
            f"{len(failures)} of {len(quality)} models were not trained. The first: {failures[0]}"
        )
    return found


def named_models(given: str, size: str) -> dict[str, str]:
    """Return sources by the names of models: of systems at a size, or as ``--model`` takes them.

    Raises:
        InputError: for a name that is no system, with the nearest ones.
    """
    written = []
    for item in filter(None, map(str.strip, given.split(","))):
        if "=" not in item and item not in SYSTEMS:
            near = nearest(item, SYSTEMS) or SYSTEMS
            raise InputError(
                f"there is no system {item!r}; nearest are {', '.join(near)}; others as NAME=preset:NAME"
            )
        written.append(item if "=" in item else f"{item}=preset:{SYSTEMS[item][size]}")
    return models_of(",".join(written))


def _costs(settings: CompareSettings, models: dict[str, str], table: CostTable) -> list[Cost]:
    """Return the cost of each model at each length, up to the longest that it takes."""
    found = []
    for name, source in models.items():
        for kind in KINDS if source != KMERS else KINDS[1:]:
            for length in settings.lengths_bp:
                found.append(table.cost(name, source, kind, length))
                if found[-1].failure:
                    break
    return found
