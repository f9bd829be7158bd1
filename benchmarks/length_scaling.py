"""Peak memory and time of ConvNova against the length of its input, each length in a process of its own.

A pass over one sequence: inference to logits, a training step, and a training step with gradient
checkpointing. Memory is what the pass holds at its peak. Both should grow linearly: the exponent is the slope
of log(cost) against log(length) over the longer half of the lengths.
"""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measure import arguments, report, save, seconds
from model_speed import inference_pass, random_batch, training_step

from convnova.benchmark.costs import exponent
from convnova.benchmark.peak_memory import added_bytes
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM

FIGURE = Path(__file__).parents[1] / "docs/figures/length_scaling.png"
TASKS = ("inference", "training", "training, checkpointed")
LENGTHS_BP = tuple(1024 * 4**power for power in range(6))
WARMUP_BP = 256
USABLE_MEMORY_SHARE = 0.8
MB = 2**20


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--figure", type=Path, default=FIGURE, help="where to draw, with --save")
    parser.add_argument("--one", nargs=2, metavar=("TASK", "LENGTH"), help="measure here and print JSON")
    options = parser.parse_args(argv)
    if options.one:
        task, length = options.one
        cost = measure_one(task, int(length), options.channels)
        print(json.dumps(cost))
        return dict(cost)
    tasks, lengths = (TASKS[:1], (512, 1024)) if options.quick else (TASKS, LENGTHS_BP)
    channels = 16 if options.quick else options.channels
    rows = [row for task in tasks for row in scale(task, lengths, channels)]
    exponents = {task: fit([row for row in rows if row["task"] == task]) for task in tasks}
    settings = {"C": channels, "batch": 1, "precision": "fp32"}
    shown = [
        [
            row["task"],
            f"{row['length']:,}",
            f"{row['seconds']:.3f}",
            f"{row['length'] / row['seconds']:,.0f}",
            f"{row['peak_bytes'] / MB:,.0f}",
            f"{row['peak_bytes'] / row['length'] / 1024:,.1f}",
        ]
        for row in rows
    ]
    header = ["task", "length, bp", "seconds", "bp/s", "peak memory, MB", "kB a base"]
    report("length scaling", settings, header, shown)
    for task, (time, memory) in exponents.items():
        print(f"{task}: time grows as length^{time:.2f}, memory as length^{memory:.2f}")
    result = {"settings": settings, "rows": rows, "exponents": exponents}
    if options.save:
        save("length_scaling", result)
        draw(rows, options.figure)
    return result


def scale(task: str, lengths: Sequence[int], channels: int) -> list[dict[str, Any]]:
    """Return one row a length, up to the longest that memory allows, each measured in its own process."""
    rows: list[dict[str, Any]] = []
    for length in lengths:
        if rows:
            needed = rows[-1]["peak_bytes"] * length / rows[-1]["length"]
            if needed > USABLE_MEMORY_SHARE * available_bytes():
                print(f"{task}, {length:,} bp: left out, would need about {needed / MB:,.0f} MB")
                break
        command = [sys.executable, __file__, "--channels", str(channels), "--one", task, str(length)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append({"task": task, "length": length, **json.loads(answer.stdout.splitlines()[-1])})
    return rows


def measure_one(task: str, length: int, channels: int) -> dict[str, float]:
    """Return the seconds of a pass over one sequence, and the memory it adds at its peak, in bytes."""
    torch.manual_seed(0)
    model = ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=channels))
    if task.endswith("checkpointed"):
        model.activation_checkpointing_enable()
    make = inference_pass if task == "inference" else training_step
    make(model, *random_batch(1, WARMUP_BP), is_bf16=False)()
    run = make(model, *random_batch(1, length), is_bf16=False)
    times = [seconds(run) for _ in range(5 if length <= 65536 else 2)]
    return {"seconds": statistics.median(times), "peak_bytes": added_bytes(run)}


def available_bytes() -> float:
    """Return the memory that is free for use, without bound where the system does not say."""
    meminfo = Path("/proc/meminfo")
    for line in meminfo.read_text().splitlines() if meminfo.exists() else []:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return math.inf


def fit(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the exponents of time and of memory against length, over the longer half of the lengths."""
    upper = rows[-max(2, (len(rows) + 1) // 2) :]
    length = [row["length"] for row in upper]
    return (
        exponent(length, [row["seconds"] for row in upper]),
        exponent(length, [max(row["peak_bytes"], 1) for row in upper]),
    )


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw time and memory against length, log-log, with a line of slope 1."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, cost, label in (
        (axes[0], lambda row: row["seconds"], "time, s"),
        (axes[1], lambda row: row["peak_bytes"] / MB, "peak memory above a short pass, MB"),
    ):
        for task in dict.fromkeys(row["task"] for row in rows):
            mine = [row for row in rows if row["task"] == task]
            axis.plot([row["length"] for row in mine], [cost(row) for row in mine], marker="o", label=task)
        last = max((row for row in rows if row["task"] == rows[0]["task"]), key=lambda row: row["length"])
        lengths = sorted({row["length"] for row in rows})
        axis.plot(
            lengths,
            [cost(last) * length / last["length"] for length in lengths],
            color="grey",
            linestyle=":",
            label="proportional to length",
        )
        axis.set(xscale="log", yscale="log", xlabel="length, bp", ylabel=label)
    axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    print(f"drawn {path.name}")


if __name__ == "__main__":
    main()
