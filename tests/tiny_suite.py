"""A data folder in the layout of the catalogue, a motif to find, and a network that runs in a second."""

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

import convnova.benchmark.suite  # noqa: F401
from convnova.benchmark.settings import BenchmarkSettings
from convnova.sequence import decode, encode
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.settings import OptimizerSettings
from convnova.training.task_settings import TaskNetworkSettings

# The Trainer collects garbage after each run, which otherwise walks all of torch: a second a job.
gc.freeze()

QUIET = Console(quiet=True)
TASKS = "mouse/2,tf/3"
CHANGING = ("seconds", "training_seconds", "command", "commit")
MOTIF = encode("TGACTCA")
LENGTH_BP = 24
NETWORK = TaskNetworkSettings(hidden_size=8, kernel_size=3, dilations=[1, 2], mlp_expansion=1)
TRAINING = FinetuneSettings(
    optimizer=OptimizerSettings(learning_rate=1e-2), epochs=2, batch_sequences=16, weight_averaging=0.9
)


def rows(n: int, seed: int) -> list[tuple[str, int]]:
    """Return sequences and labels; those with label 1 hold the motif."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, (n, LENGTH_BP)).astype(np.uint8)
    for row in range(1, n, 2):
        start = rng.integers(0, LENGTH_BP - len(MOTIF))
        ids[row, start : start + len(MOTIF)] = MOTIF
    return [(decode(one), row % 2) for row, one in enumerate(ids)]


def numbers(results: list[dict]) -> list[dict]:
    """Return all of the results that must come out the same each time."""
    return [{name: value for name, value in one.items() if name not in CHANGING} for one in results]


def write_csv(path: Path, content: list[tuple[str, int]]) -> None:
    """Write sequences and labels as GUE has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{sequence},{label}" for sequence, label in content]
    path.write_text("\n".join(["sequence,label", *lines, ""]))


def write_data(folder: Path) -> Path:
    """Write two tasks of GUE, which publishes three parts, and one of promoters, which publishes none."""
    for first, task in enumerate(("mouse/2", "tf/3")):
        for second, (split, n) in enumerate((("train", 64), ("dev", 24), ("test", 32))):
            write_csv(folder / f"gue/{task}/{split}.csv", rows(n, 10 * first + second))
    for label, name in enumerate(("Ecoli_non_prom", "Ecoli_prom")):
        of_class = [sequence for sequence, one in rows(160, 7) if one == label]
        (folder / "promoters").mkdir(exist_ok=True)
        text = "".join(f">{name}{row}\n{sequence}\n" for row, sequence in enumerate(of_class))
        (folder / f"promoters/{name}.fa").write_text(text)
    return folder


def settings(data: Path, output: Path, **changes: object) -> BenchmarkSettings:
    """Return the settings of a tiny suite: one task of GUE, one seed, one thread."""
    tiny = BenchmarkSettings(
        *("gue", output, "tiny=preset:nt", "mouse/2", 1),
        data=data,
        network=NETWORK,
        training=TRAINING,
        threads=1,
    )
    return replace(tiny, **changes)
