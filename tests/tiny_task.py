"""Tiny labelled sequences as files, and settings that train on them in a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.settings import OptimizerSettings
from convnova.training.task_settings import FinetuneTaskSettings, TaskNetworkSettings

MOTIF = "TGACTCA"
NETWORK = {"hidden_size": 8, "kernel_size": 3, "dilations": [1, 2], "pooling": "max"}
FLAGS = [
    *("--network.hidden_size", "8", "--network.kernel_size", "3", "--network.dilations", "[1,2]"),
    *("--training.epochs", "1", "--training.batch_sequences", "16"),
]
"""The same on the command line."""


def letters(n: int, seed: int, length: int = 40, motifs: np.ndarray | None = None) -> list[str]:
    """Return random sequences of 30 to `length` bp, each with so many motifs in its first 30 bp."""
    rng = np.random.default_rng(seed)
    motifs = np.arange(n) % 2 if motifs is None else motifs
    made = []
    for count in motifs:
        text = "".join(rng.choice(list("ACGT"), rng.integers(30, length + 1)))
        for place in range(count):
            start = 10 * place + rng.integers(0, 4)
            text = text[:start] + MOTIF + text[start + len(MOTIF) :]
        made.append(text)
    return made


def write_rows(path: Path, rows: list[str], header: str = "sequence,label") -> Path:
    """Write a CSV."""
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_csv(path: Path, n: int, seed: int, classes: tuple[str, ...] = ("0", "1")) -> Path:
    """Write sequences of which the class says how many motifs they have."""
    ids = np.arange(n) % len(classes)
    rows = [f"{text},{classes[i]}" for text, i in zip(letters(n, seed, motifs=ids), ids, strict=True)]
    return write_rows(path, rows)


def training(**changes) -> FinetuneSettings:
    """Return how to train: one epoch, unless told."""
    optimizer = OptimizerSettings(learning_rate=1e-2, weight_decay=0.1)
    return replace(FinetuneSettings(optimizer=optimizer, epochs=1, batch_sequences=16), **changes)


def settings(folder: Path, **changes) -> FinetuneTaskSettings:
    """Return the settings of a run in a folder that holds train.csv and test.csv."""
    values = {"train": str(folder / "train.csv"), "test": str(folder / "test.csv"), "output": folder / "run"}
    values |= {"network": TaskNetworkSettings(**NETWORK), "training": training()}
    return FinetuneTaskSettings(**values | changes)
