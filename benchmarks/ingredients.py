"""What each ingredient of a suite's recipe brings, on validation; test parts are not read.

Each variant is the recipe with one thing changed. A row is appended for each training, and those that are
there are not repeated; several processes may fill one file, each with seeds of its own.
"""

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars
import torch
from filelock import FileLock
from measure import markdown_table

from convnova.benchmark.jobs import Job, origin_of
from convnova.benchmark.settings import BenchmarkSettings
from convnova.benchmark.suite import plan
from convnova.cli import build_parser
from convnova.data.catalogue import find_task
from convnova.data.catalogue.loading import load_published
from convnova.training.arguments import quiet_libraries
from convnova.training.learn import learn

RECIPE = "as the recipe"


Change = Callable[[Job], Job]


def network(**changes: Any) -> Change:
    """Change the network."""
    return lambda job: replace(job, network=replace(job.network, **changes))


def training(**changes: Any) -> Change:
    """Change the training."""
    return lambda job: replace(job, training=replace(job.training, **changes))


def strands(train: bool, average: bool) -> Change:
    """Change whether training sequences come from both strands, and whether predictions are averaged."""
    return lambda job: training(
        augmentation=replace(job.training.augmentation, reverse_complement=train), average_strands=average
    )(job)


def of_segments(change: Change) -> Change:
    """Change only jobs that pool by segments."""
    return lambda job: change(job) if job.network.pooling == "segments" else job


VARIANTS: dict[str, Change] = {
    RECIPE: lambda job: job,
    "trained and predicted on both strands": strands(train=True, average=True),
    "trained on both strands, predicted on one": strands(train=True, average=False),
    "trained and predicted on one strand": strands(train=False, average=False),
    "mean pooling": of_segments(network(pooling="mean")),
    "segments of 10 bp": of_segments(network(segment_bp=10)),
    "receptive field as long as the sequence": network(receptive_field="sequence"),
    "no dropout": network(dropout=0.0, classifier_dropout=0.0),
    "no averaging of weights": training(weight_averaging=0.0),
    "mixup 0.4": training(mixup=0.4),
}


class Row(NamedTuple):
    """One training."""

    settings: str
    """Digest of all that makes the job, so that rows of a recipe that was changed since are not mixed in."""
    suite: str
    task: str
    variant: str
    seed: int
    metric: str
    value: float
    """Of the best look at the validation part."""
    seconds: float


def main(argv: list[str] | None = None) -> polars.DataFrame:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/suites/gue.yaml"))
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--tasks", default="prom/prom_core_tata,prom/prom_300_tata,mouse/0")
    parser.add_argument("--pretrained", help="folder of a pretrained model, as one more variant")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/ingredients.csv"))
    options = parser.parse_args(argv)
    quiet_libraries()
    variants = dict(VARIANTS)
    if options.pretrained:
        fixed = network(hidden_size=None)
        given = {"source": options.pretrained, "origin": origin_of(options.pretrained)}
        variants["pretrained"] = lambda job: replace(fixed(job), **given)
    wanted: list[str] = []
    for job in plan(read_recipe(options)):
        for variant, change in variants.items():
            changed = change(job)
            if variant == RECIPE or changed != job:
                wanted.append(digest(changed))
                if not is_done(options.output, digest(changed), variant):
                    append(options.output, train(changed, variant))
    rows = polars.read_csv(options.output)
    table = summary(rows.filter(polars.col("settings").is_in(wanted)))
    print(markdown_table(table.columns, table.rows()))
    return table


def read_recipe(options: argparse.Namespace) -> BenchmarkSettings:
    """Return the settings of a recipe, for the data, tasks and seeds that are asked for."""
    parser = build_parser()
    parsed = parser.parse_args(["benchmark", "--config", str(options.recipe), "--output", "none"])
    recipe = vars(parser.instantiate(parsed).benchmark)
    asked = {name: getattr(options, name) for name in ("data", "tasks", "first_seed", "seeds")}
    return BenchmarkSettings(**{name: recipe[name] for name in recipe if name != "config"} | asked)


def train(job: Job, variant: str) -> Row:
    """Train a variant and look at validation."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    task = find_task(job.suite, job.task)
    parts = load_published(task, job.data, seed=job.seed)._replace(test=None)
    made = learn(parts, job.source, job.network, job.training)
    value = made.best.scores[made.selection]
    seconds = round(time.perf_counter() - began, 1)
    row = Row(digest(job), job.suite, job.task, variant, job.seed, made.selection, value, seconds)
    print(f"{job}: {variant}: {made.selection} {value:.4f}, {seconds:.0f} s", flush=True)
    return row


def digest(job: Job) -> str:
    """Return a short name for all that makes a job."""
    return hashlib.sha256(json.dumps(job.record(), sort_keys=True).encode()).hexdigest()[:12]


def is_done(path: Path, settings: str, variant: str) -> bool:
    """Return whether the file has this training."""
    if not path.exists():
        return False
    with path.open() as file:
        return any((row["settings"], row["variant"]) == (settings, variant) for row in csv.DictReader(file))


def append(path: Path, row: Row) -> None:
    """Add a row to the file; other processes may do so too."""
    with FileLock(f"{path}.lock"), path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            writer.writerow(Row._fields)
        writer.writerow(row)


def summary(rows: polars.DataFrame) -> polars.DataFrame:
    """Return, by variant and task, mean over seeds (x 100) and, seed by seed, the gain over the recipe."""
    keys = ["suite", "task", "seed"]
    recipe = rows.filter(polars.col("variant") == RECIPE).select(*keys, polars.col("value").alias("recipe"))
    both = rows.join(recipe, on=keys, how="left").with_columns(
        gain=100 * (polars.col("value") - polars.col("recipe"))
    )
    cells = both.group_by("task", "variant", maintain_order=True).agg(
        polars.format(
            "{} ({} ± {})",
            (100 * polars.col("value")).mean().round(1),
            polars.col("gain").mean().round(1),
            polars.col("gain").std().fill_null(0).round(1),
        ).alias("cell")
    )
    return cells.pivot("task", index="variant", values="cell").fill_null("")


if __name__ == "__main__":
    main()
