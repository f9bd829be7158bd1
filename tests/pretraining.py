"""A tiny pretraining run for tests: in this process, or as the command that a user types."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from convnova.data.windows import WindowSettings
from convnova.training.settings import ModelSettings, PretrainSettings

TINY_MODEL = {"hidden_size": 8, "dilations": [1, 4], "dropout": 0.1}
FLAGS = {
    "model.hidden_size": "8",
    "model.dilations": "[1,4]",
    "model.dropout": "0.1",
    "windows.window_bp": "64",
    "windows.soft_mask_weight": "0.3",
    "windows.validation_chromosomes": "[chr1]",
    "windows.test_chromosomes": "[chr2]",
    "batch_windows": "8",
    "precision": "fp32",
    "log_steps": "5",
    "evaluations": "2",
    "trackers": "[]",
}


def write_genome(path: Path, chromosome_bp: int = 2050) -> Path:
    """Write five chromosomes of a motif in noise, some of it in lower case."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(1, 6):
        letters = rng.choice(list("ACGT"), chromosome_bp)
        for start in range(0, chromosome_bp - 20, 50):
            letters[start : start + 10] = list("GATTACAGAT")
        text = "".join(letters)
        lines.append(f">chr{number}\n{text[: chromosome_bp // 4].lower()}{text[chromosome_bp // 4 :]}\n")
    path.write_text("".join(lines))
    return path


def settings(genome: Path, output: Path, **changes) -> PretrainSettings:
    """Return the same settings as the flags."""
    windows = {"window_bp": 64, "soft_mask_weight": 0.3} | changes.pop("windows", {})
    if "intervals" not in windows:
        windows = {"validation_chromosomes": ["chr1"], "test_chromosomes": ["chr2"]} | windows
    values = {
        "model": ModelSettings(**TINY_MODEL | changes.pop("model", {})),
        "windows": WindowSettings(**windows),
        "epochs": 2,
        "batch_windows": 8,
        "precision": "fp32",
        "log_steps": 5,
        "evaluations": 2,
        "trackers": [],
        "workers": 0,
    }
    return PretrainSettings(genome=genome, output=output, **values | changes)


def command(genome: Path, output: Path, *extra: str, processes: int = 1) -> subprocess.Popen:
    """Start `convnova pretrain` with one thread a process; its output goes to the pipes."""
    run = ["-m", "convnova"]
    if processes > 1:
        run = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone", *run]
    flags = [f"--{name}={value}" for name, value in FLAGS.items()]
    arguments = [sys.executable, *run, "pretrain", f"--genome={genome}", f"--output={output}", *flags, *extra]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def metrics(run: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(run: Path) -> bytes:
    """Return the bytes of the final model."""
    return (run / "model.safetensors").read_bytes()
