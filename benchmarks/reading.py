"""Seconds to read labelled sequences from a CSV, against pandas and a look-up of each letter.

The twin is what fine-tuning scripts of DNA models commonly do: pandas reads the table, and a dictionary gives
the id of each letter, row by row. Both give the same ids and labels, compared for equality before anything is
timed. The second row is all of `load_task`: read, encode the labels, look for leakage, hold out validation.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import arguments, interleaved, paired_ratio, report, save
from numpy.typing import NDArray

from convnova.data.label_scheme import LabelScheme
from convnova.data.reading import read_sequences
from convnova.data.task import load_task
from convnova.sequence import N

CHARACTER_IDS = {letter: index for index, letter in enumerate("ACGTN")}
SEED = 7


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument(
        "--table", type=Path, help="CSV with columns sequence and label; default a random one"
    )
    parser.add_argument("--sequences", type=int, default=30_000, help="rows of the random one")
    parser.add_argument("--length", type=int, default=200, help="length of its sequences in bp")
    parser.add_argument("--rounds", type=int, default=15, help="each round reads once in each way")
    options = parser.parse_args(argv)
    if options.quick:
        options.sequences, options.rounds = 300, 3
    with tempfile.TemporaryDirectory() as folder:
        table = options.table or random_table(Path(folder) / "random.csv", options.sequences, options.length)
        rows, n_sequences = compare(table, options.rounds)
    settings = {"table": table.name, "sequences": n_sequences, "rounds": options.rounds}
    shown = [
        [row["task"], f"{row['ours']:.3f}", f"{row['row by row']:.3f}", f"{row['times faster']:.1f}"]
        for row in rows
    ]
    report("reading", settings, ["seconds", "convnova", "pandas, row by row", "times faster"], shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("reading", result)
    return result


def compare(table: Path, rounds: int) -> tuple[list[dict[str, Any]], int]:
    """Return the seconds of both, and how many sequences there are.

    Raises:
        RuntimeError: when the two do not give the same.
    """
    ids, labels = read(table)
    twin_ids, twin_labels = read_row_by_row(table)
    if not (np.array_equal(ids, twin_ids) and np.array_equal(labels, twin_labels)):
        raise RuntimeError("the two ways do not give the same sequences and labels")
    contenders = {
        "read": lambda: read(table),
        "load_task": lambda: load_task(table, on_leakage="state"),
        "twin": lambda: read_row_by_row(table),
    }
    times = interleaved(contenders, rounds)
    rows = [
        {
            "task": task,
            "ours": statistics.median(times[name]),
            "row by row": statistics.median(times["twin"]),
            "times faster": paired_ratio(times[name], times["twin"]),
        }
        for task, name in (("reading", "read"), ("reading, checks, validation split", "load_task"))
    ]
    return rows, len(labels)


def read(table: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all ids one after another and the labels, as the package reads them."""
    sequences = read_sequences(table)
    return sequences.ids.codes, LabelScheme.infer(sequences).encode(sequences)


def read_row_by_row(table: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the same, letter by letter."""
    frame = pd.read_csv(table)
    ids = [
        np.array([CHARACTER_IDS.get(letter, N) for letter in sequence.upper()], dtype=np.uint8)
        for sequence in frame["sequence"]
    ]
    return np.concatenate(ids), frame["label"].to_numpy(dtype=np.int64)


def random_table(path: Path, sequences: int, length: int) -> Path:
    """Write a CSV of random sequences and labels."""
    rng = np.random.default_rng(SEED)
    letters = rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), (sequences, length))
    rows = (f"{row.tobytes().decode()},{index % 2}" for index, row in enumerate(letters))
    path.write_text("\n".join(["sequence,label", *rows]) + "\n")
    return path


if __name__ == "__main__":
    main()
