"""Training speed of Caduceus, whose scan runs here without CUDA, against ConvNova with as many weights.

Both see the same sequences; they run in turns, A B A B, in one process. A pass is forward and backward.
Ratios are formed within a round. A profile of Caduceus' pass says where its time goes.
"""

import statistics
from collections.abc import Callable
from typing import Any

import torch
from measure import arguments, interleaved, paired_ratio, report, save
from torch import Tensor, nn

from convnova.baselines.architectures import any_preset, sequence_classifier
from convnova.baselines.heads import parameters_in_use

PARTS = {
    "scan, forward": ("_SelectiveScan",),
    "scan, backward": ("_SelectiveScanBackward",),
    "matrix products": ("aten::linear", "aten::addmm", "AddmmBackward0", "MmBackward0"),
    "convolutions": ("aten::conv1d", "ConvolutionBackward0"),
}
"""Names of the profiler for what a pass spends its time on."""


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=8, help="sequences in a batch")
    parser.add_argument("--length", type=int, default=1024, help="of each in bp")
    parser.add_argument("--channels", type=int, default=118, help="d_model of Caduceus, of four layers")
    parser.add_argument("--rounds", type=int, default=11, help="odd, so that a median is one of them")
    parser.add_argument("--threads", type=int, help="default: all cores")
    options = parser.parse_args(argv)
    if options.quick:
        options.batch, options.length, options.channels, options.rounds = 2, 64, 16, 1
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    caduceus = classifier("caduceus-ph-0.5m", options.channels)
    models = {"ConvNova": as_large_as(caduceus), "Caduceus-Ph": caduceus}
    ids = torch.randint(0, 4, (options.batch, options.length))
    labels = torch.randint(0, 2, (options.batch,))
    rows = []
    for precision in ("fp32", "bf16"):
        passes = {
            name: training_pass(model, ids, labels, is_bf16=precision == "bf16")
            for name, model in models.items()
        }
        times = interleaved(passes, options.rounds, warmup=1 if options.quick else 2)
        rows += [
            {
                "model": f"{name}, {precision}",
                "parameters": parameters_in_use(model),
                "bp/s": ids.numel() / statistics.median(times[name]),
                "of ConvNova": paired_ratio(times[name], times["ConvNova"]),
            }
            for name, model in models.items()
        ]
    settings = {name: getattr(options, name) for name in ("channels", "length", "batch", "rounds")}
    shown = [
        [row["model"], f"{row['parameters']:,}", f"{row['bp/s']:,.0f}", f"{row['of ConvNova']:.3f}"]
        for row in rows
    ]
    report("training with Caduceus' scan", settings, list(rows[0]), shown)
    where = profile(training_pass(caduceus, ids, labels, is_bf16=False))
    shares = [[name, f"{share:.0%}"] for name, share in where.items()]
    report("where Caduceus' time goes, fp32", settings, ["part", "share of the pass"], shares)
    result = {"settings": settings, "rows": rows, "profile": where}
    if options.save:
        save("scan", result)
    return result


def classifier(name: str, channels: int) -> Any:
    """Return the model of a preset with other channels, for two classes."""
    return sequence_classifier(any_preset(name, hidden_size=channels, num_labels=2)).train()


def as_large_as(other: Any) -> Any:
    """Return a ConvNova with about as many weights, of an even number of channels."""
    wanted = parameters_in_use(other)

    def difference(channels: int) -> int:
        with torch.device("meta"):
            return abs(parameters_in_use(classifier("nt-0.5m", channels)) - wanted)

    return classifier("nt-0.5m", min(range(2, 2 * other.config.hidden_size, 2), key=difference))


def training_pass(model: nn.Module, ids: Tensor, labels: Tensor, is_bf16: bool) -> Callable[[], None]:
    """Return a call that computes the gradients of a batch."""

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bf16):
            loss = model(ids, labels=labels).loss
        loss.backward()
        model.zero_grad()

    return run


def profile(run: Callable[[], None]) -> dict[str, float]:
    """Return the share of a pass that its parts take, each with what it calls."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run()
    events = {event.key: event for event in profiler.key_averages()}
    whole = sum(event.self_cpu_time_total for event in events.values())
    shares = {
        part: sum(events[key].cpu_time_total for key in keys if key in events) / whole
        for part, keys in PARTS.items()
    }
    return shares | {"all else": 1 - sum(shares.values())}


if __name__ == "__main__":
    main()
