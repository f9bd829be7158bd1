"""Training and inference speed of ConvNova against its textbook twin, and the share of the machine's peak.

Both hold the same weights and see the same windows; they run in turns, A B A B, in one process. Ratios are
formed within a round. Training is one step: forward, backward, AdamW. Inference is a forward pass to logits.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from measure import arguments, interleaved, paired_ratio, report, save, seconds
from multiply_adds import multiply_adds_per_bp, training_multiply_adds_per_bp
from textbook import TextbookForMaskedLM
from torch import Tensor, nn

from convnova.data.masking import NO_LABEL
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM

MASKING_RATE = 0.15


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=8, help="windows in a batch")
    parser.add_argument("--length", type=int, default=1024, help="length of a window in bp")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=11, help="odd, so that a median is one of them")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument(
        "--compile", action="store_true", help="also both under torch.compile (takes minutes)"
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.batch, options.length, options.channels, options.rounds = 2, 128, 16, 1
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=options.channels)
    ids, labels = random_batch(options.batch, options.length)

    peak = convolution_peak(options)
    rows = [
        row for task in ("training", "inference") for row in speeds(task, config, ids, labels, options, peak)
    ]
    settings = {
        "C": options.channels,
        "K": config.kernel_size,
        "dilations": config.dilations,
        "length": options.length,
        "batch": options.batch,
        "rounds": options.rounds,
    }
    report("model speed", settings, list(rows[0]), [_shown(row) for row in rows])
    for task, count in (
        ("inference", multiply_adds_per_bp(config)),
        ("training", training_multiply_adds_per_bp(config)),
    ):
        print(f"{task}: {count:,} multiply-adds a base")
    print("peak, GFLOP/s: " + ", ".join(f"{name} {speed:.0f}" for name, speed in peak.items()))
    print("share of peak: GFLOP/s of the direct form over the fastest convolution or product of the same run")
    result = {"settings": settings, "rows": rows, "peak_gflops": peak}
    if options.save:
        save("model_speed", result)
    return result


def random_batch(batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Return ids (B, L) of random bases, and labels (B, L) at 15 % of them."""
    ids = torch.randint(0, 4, (batch, length))
    return ids, torch.where(torch.rand(batch, length) < MASKING_RATE, ids, NO_LABEL)


def twins(config: ConvNovaConfig) -> tuple[ConvNovaForMaskedLM, TextbookForMaskedLM]:
    """Return our model and its textbook twin with the same weights."""
    ours, textbook = ConvNovaForMaskedLM(config), TextbookForMaskedLM(config)
    textbook.load_state_dict(ours.state_dict())
    return ours, textbook


def speeds(
    task: str, config: ConvNovaConfig, ids: Tensor, labels: Tensor, options: Any, peak: dict[str, float]
) -> list[dict[str, Any]]:
    """Return one row a precision of ours against the twin in one task."""
    make = training_step if task == "training" else inference_pass
    count = training_multiply_adds_per_bp if task == "training" else multiply_adds_per_bp
    rows = []
    for precision in ("fp32", "bf16", *(["fp32 compiled"] if options.compile else [])):
        models: dict[str, nn.Module] = dict(zip(("ours", "textbook"), twins(config), strict=True))
        contenders = {}
        for name, model in models.items():
            if "compiled" in precision:
                model.compile()
            contenders[name] = make(model, ids, labels, is_bf16=precision == "bf16")
        times = interleaved(contenders, options.rounds, warmup=1 if options.quick else 2)
        bp_per_second = {name: ids.numel() / statistics.median(each) for name, each in times.items()}
        gflops = 2 * count(config) * bp_per_second["ours"] / 1e9
        rows.append(
            {
                "task": f"{task}, {precision}",
                "ours bp/s": bp_per_second["ours"],
                "textbook bp/s": bp_per_second["textbook"],
                "times faster": paired_ratio(times["ours"], times["textbook"]),
                "GFLOP/s": gflops,
                # The peak is that of fp32.
                "share of peak": gflops / max(peak.values()) if precision.startswith("fp32") else None,
            }
        )
    return rows


def training_step(model: nn.Module, ids: Tensor, labels: Tensor, is_bf16: bool) -> Callable[[], None]:
    """Return a call that does one step of masked language modelling."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=is_bf16):
            outputs = model(ids, labels=labels)
        loss = outputs[1] if isinstance(outputs, tuple) else outputs.loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def inference_pass(model: nn.Module, ids: Tensor, labels: Tensor, is_bf16: bool) -> Callable[[], None]:
    """Return a call that computes logits; labels are not used."""
    model.eval()

    def forward() -> None:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bf16):
            model(ids)

    return forward


def convolution_peak(options: Any) -> dict[str, float]:
    """Return the best GFLOP/s of dense products and of the dilated convolution of this size, fp32."""
    batch, length, channels = options.batch, options.length, options.channels
    repeats = 2 if options.quick else 20
    peak = {}
    with torch.inference_mode():
        for size in (256,) if options.quick else (512, 1024, 2048):
            square = torch.randn(size, size)
            best = min(seconds(partial(torch.mm, square, square)) for _ in range(repeats))
            peak[f"matmul {size}"] = 2 * size**3 / best / 1e9
        image = torch.randn(batch, length, channels).transpose(1, 2).unsqueeze(2)
        weight = torch.randn(channels, channels, 1, 9).contiguous(memory_format=torch.channels_last)
        for dilation in (1, 4, 16):
            convolve = partial(F.conv2d, image, weight, padding=(0, 4 * dilation), dilation=(1, dilation))
            best = min(seconds(convolve) for _ in range(repeats))
            peak[f"conv dilation {dilation}"] = 2 * batch * length * channels**2 * 9 / best / 1e9
    return peak


def _shown(row: dict[str, Any]) -> list[str]:
    formats = {"ours bp/s": ",.0f", "textbook bp/s": ",.0f", "times faster": ".2f", "GFLOP/s": ".0f"}
    formats["share of peak"] = ".0%"
    return [
        "" if value is None else format(value, formats[key]) if key in formats else str(value)
        for key, value in row.items()
    ]


if __name__ == "__main__":
    main()
