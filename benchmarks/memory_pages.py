"""Training steps with pages of 4 kB, with huge pages as the command `convnova` has them, and with more of it.

Pages are settled when a process starts, so each measurement is a process of its own; they run in turns,
A B C A B C.
"""

import json
import os
import statistics
import subprocess
import sys
from typing import Any, NamedTuple

import torch
from measure import arguments, paired_ratio, report, save, seconds
from model_speed import random_batch, training_step

from convnova.__main__ import HUGE_PAGES, TUNABLES
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.model.presets import preset
from convnova.precision import resolve_precision

SMALL_PAGES, AS_IT_IS = "pages of 4 kB", "huge pages, as it is"
KEPT = "glibc.malloc.trim_threshold=8000000000:glibc.malloc.mmap_max=0:glibc.malloc.top_pad=67108864"
PAGES = {
    SMALL_PAGES: "glibc.malloc.hugetlb=0",
    AS_IT_IS: HUGE_PAGES,
    "huge pages, and freed memory kept": f"{HUGE_PAGES}:{KEPT}",
}


class Case(NamedTuple):
    """One training step: channels, sequences in a batch, and their length in bp."""

    channels: int
    batch: int
    length: int


CASES = (Case(128, 32, 1024), Case(64, 128, 101), Case(64, 8, 14_000))
"""As in pretraining, in fine-tuning, and in gene finding."""


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="odd, so that a median is one of them")
    parser.add_argument("--steps", type=int, default=7, help="in a round; the median counts")
    parser.add_argument("--one", help="a case as JSON: measure it here and print the seconds of a step")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.steps = 1, 1
    if options.one:
        median = measure_one(Case(*json.loads(options.one)), options.steps)
        print(median)
        return {"seconds": median}
    rows = []
    for case in (Case(8, 2, 128),) if options.quick else CASES:
        times: dict[str, list[float]] = {name: [] for name in PAGES}
        for _ in range(options.rounds):
            for name in PAGES:
                times[name].append(run_alone(case, name, options.steps))
        bases = case.batch * case.length
        for name in PAGES:
            speed = bases / statistics.median(times[name])
            gain = paired_ratio(times[name], times[SMALL_PAGES])
            rows.append(case._asdict() | {"memory": name, "bp/s": speed, "times faster": gain})
    shown = []
    for row in rows:
        case = f"{row['channels']} channels, {row['batch']} x {row['length']:,} bp"
        shown.append([case, row["memory"], f"{row['bp/s']:,.0f}", f"{row['times faster']:.2f}"])
    settings = {"precision": resolve_precision("auto"), "rounds": options.rounds, "steps": options.steps}
    report("memory pages", settings, ["training step", "memory", "bp/s", "times faster"], shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("memory_pages", result)
    return result


def run_alone(case: Case, pages: str, steps: int) -> float:
    """Return the seconds of a step, measured in its own process with pages of one kind."""
    command = [sys.executable, __file__, "--one", json.dumps(case), "--steps", str(steps)]
    environment = os.environ | {TUNABLES: PAGES[pages]}
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return float(answer.stdout)


def measure_one(case: Case, steps: int) -> float:
    """Return the median seconds of a training step of a masked language model."""
    torch.manual_seed(0)
    model = ConvNovaForMaskedLM(preset("pretraining", hidden_size=case.channels))
    step = training_step(model, *random_batch(case.batch, case.length), resolve_precision("auto") == "bf16")
    for _ in range(3):
        step()
    return statistics.median(seconds(step) for _ in range(steps))


if __name__ == "__main__":
    main()
