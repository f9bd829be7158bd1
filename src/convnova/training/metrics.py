"""metrics.csv: one row a log line or an evaluation, for programs to read while the run goes on."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convnova.writing import whole_file

METRICS_NAME = "metrics.csv"
COLUMNS = ("step", "epoch", "loss", "grad_norm", "learning_rate", "bp_per_second")


def append_row(path: Path, row: dict[str, Any], scores: Sequence[str]) -> None:
    """Add one row, in one write; the header is written with the first. Other keys are left out.

    Args:
        path: the file.
        row: by column.
        scores: columns of this kind of run, besides `COLUMNS`.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*COLUMNS, *scores], extrasaction="ignore")
    if not path.exists():
        writer.writeheader()
    writer.writerow(row)
    with path.open("a", newline="") as file:
        file.write(text.getvalue())


def cut_back(path: Path, step: int) -> None:
    """Drop the rows after a step, and a row that was cut short.

    What a killed run logged after its last checkpoint happens again.
    """
    if not path.exists():
        return
    header, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    whole = [line for line in lines if line.endswith(b"\n")]
    kept = [line for line in whole if int(line.partition(b",")[0]) <= step]
    if not kept:  # the header is written again with the first row
        path.unlink()
        return
    with whole_file(path) as staging:
        staging.write_bytes(header + b"".join(kept))
