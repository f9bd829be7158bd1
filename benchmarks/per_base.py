"""What a gene finder costs: receptive field and blocks, and memory of training against the window's length.

Each row is a training step on windows of scored bases with all the context that the network sees, as
`convnova finetune --task gene-finding` takes it, in a process of its own: its time, the memory that the
system sees, and what the step really holds.
"""

import json
import statistics
import subprocess
import sys
from typing import Any, NamedTuple

import torch
from length_scaling import MB
from measure import arguments, report, save, seconds

from convnova.benchmark.costs import exponent
from convnova.benchmark.peak_memory import added_bytes, peak_bytes
from convnova.data.base_labels import LABEL_SETS
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.model.presets import growing_dilations, preset
from convnova.precision import resolve_precision

FIELDS = ((5, 200), (8, 200), (8, 4_000), (8, 16_000), (12, 16_000), (20, 16_000))
LENGTHS_BP = (2_500, 5_000, 10_000, 20_000, 40_000)
USUAL = (8, 4_000)
"""Blocks and receptive field of the preset."""


class Case(NamedTuple):
    """One training step to measure."""

    blocks: int
    field_bp: int
    window_bp: int
    batch: int
    checkpointed: bool
    channels: int


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--one", help="a case as JSON: measure it here and print JSON")
    options = parser.parse_args(argv)
    if options.one:
        cost = measure_one(Case(*json.loads(options.one)))
        print(json.dumps(cost))
        return cost
    channels, batch = (8, 1) if options.quick else (options.channels, options.batch)
    fields, lengths, usual = (FIELDS, LENGTHS_BP, USUAL) if not options.quick else ((), (500, 1_000), (2, 40))
    window = lengths[len(lengths) // 2]
    wide = [Case(blocks, field, window, batch, False, channels) for blocks, field in fields]
    long = [Case(*usual, length, batch, flag, channels) for flag in (False, True) for length in lengths]
    rows = [case._asdict() | run_alone(case) for case in dict.fromkeys(wide + long)]
    settings = {"channels": channels, "precision": resolve_precision("auto")}
    header = ["blocks", "field", "window", "batch", "checkpointed", "parameters", "s", "bp/s"]
    header += ["peak, MB", "held, MB"]
    report("per-base training", settings, header, [_shown(row) for row in rows])
    by_flag = {
        flag: [row for row in rows if (row["blocks"], row["field_bp"], row["checkpointed"]) == (*usual, flag)]
        for flag in (False, True)
    }
    growth = {flag: _growth(found) for flag, found in by_flag.items()}
    whole, saved = (
        next(row["held_bytes"] for row in by_flag[flag] if row["window_bp"] == window)
        for flag in (False, True)
    )
    summary = {"exponent": growth[False], "exponent, checkpointed": growth[True], "share": saved / whole}
    print(
        f"what is held grows as window^{growth[False]:.2f}, checkpointed window^{growth[True]:.2f}; "
        f"checkpointing leaves {saved / whole:.0%} of it"
    )
    result = {
        "settings": settings,
        "rows": rows,
        "summary": {str(key): value for key, value in summary.items()},
    }
    if options.save:
        save("per_base", result)
    return result


def run_alone(case: Case) -> dict[str, float]:
    """Return the cost of a case, measured in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps(case)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def measure_one(case: Case) -> dict[str, float]:
    """Return the seconds of a training step, the bases it scores a second, and the peak memory, in bytes."""
    torch.manual_seed(0)
    labels = LABEL_SETS["bend"].labels
    dilations = growing_dilations(case.field_bp, 9, case.blocks)
    config = preset("gene-finding", hidden_size=case.channels, dilations=dilations, num_labels=len(labels))
    model = ConvNovaForTokenClassification(config).train()
    if case.checkpointed:
        model.activation_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    length = case.window_bp + 2 * (config.receptive_field // 2)
    ids, truth = torch.randint(0, 4, (case.batch, length)), torch.randint(0, 9, (case.batch, length))
    is_bf16 = resolve_precision("auto") == "bf16"

    def step(bases: int) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            model(input_ids=ids[:, :bases], labels=truth[:, :bases]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step(256)
    times = [seconds(lambda: step(length)) for _ in range(4)]
    median = statistics.median(times[1:])
    scored = case.batch * case.window_bp
    cost = {"parameters": model.num_parameters(), "seconds": median, "bp_per_second": scored / median}
    # The C library keeps freed blocks for itself, in pieces that the next tensor may not fit: what the system
    # sees is more than what the step holds.
    return cost | {"peak_bytes": peak_bytes(), "held_bytes": added_bytes(lambda: step(length))}


def _shown(row: dict[str, Any]) -> list[str]:
    return [
        str(row["blocks"]),
        f"{row['field_bp']:,}",
        f"{row['window_bp']:,}",
        str(row["batch"]),
        "yes" if row["checkpointed"] else "no",
        f"{row['parameters']:,}",
        f"{row['seconds']:.2f}",
        f"{row['bp_per_second']:,.0f}",
        f"{row['peak_bytes'] / MB:,.0f}",
        f"{row['held_bytes'] / MB:,.0f}",
    ]


def _growth(rows: list[dict[str, Any]]) -> float:
    """Return the exponent of memory against the bases that are read, context included."""
    read = [row["window_bp"] + row["field_bp"] for row in rows]
    return exponent(read, [row["held_bytes"] for row in rows])


if __name__ == "__main__":
    main()
