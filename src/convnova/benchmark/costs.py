"""What models cost at several lengths: time, memory and multiply-adds, each measured in a process of its own.

A step of training and a pass of inference over about as many bases at every length. Memory is what a pass
holds at its peak beside the weights and the state of the optimiser. What needs more than the memory that is
free, or longer than the time given, is reported as such.

L length in bp.
"""

import json
import math
import resource
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import numpy as np
import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from convnova.baselines.architectures import SequenceClassifier, sequence_classifier
from convnova.baselines.byte_pairs import train_byte_pairs
from convnova.baselines.dnabert2 import DNABERT2Config
from convnova.baselines.heads import parameters_in_use
from convnova.baselines.supervised import SupervisedConfig
from convnova.benchmark.peak_memory import added_bytes
from convnova.errors import InputError
from convnova.precision import resolve_precision
from convnova.sequence import decode
from convnova.training.settings import NetworkSettings
from convnova.training.start import start

Kind = Literal["training", "inference"]
KINDS: tuple[Kind, ...] = ("training", "inference")
BASES = 2**15
"""Of a batch, where sequences are not longer than that."""
_WARMUP_BP, _SIZE_BP = 256, 1024
_USABLE_SHARE, _LONG_SECONDS = 0.8, 5.0
_START_SECONDS = 60.0
"""Most time that a process takes to begin, also on a machine that does other work."""
READS_NO_MORE, TOO_LONG, FAILED = "reads no more", "longer than", "failed"
"""What a failure begins with."""


class Cost(NamedTuple):
    """What one pass of one model costs at one length."""

    model: str
    """Its name."""
    origin: str
    """What it is: a preset, or the checksum of a folder."""
    kind: Kind
    length_bp: int
    batch: int
    """Sequences at once."""
    threads: int
    """Of the processor."""
    processor: str
    bp_per_second: float = math.nan
    """NaN where it was not possible."""
    bytes: float = math.nan
    """That the pass holds at its peak, without weights."""
    failure: str = ""
    """Why it was not possible; empty where it was."""


class Size(NamedTuple):
    """What a model has whatever the length."""

    parameters: int
    multiply_adds_per_bp: float
    """Of matrix products and convolutions in a pass of inference over 1 kb, or the longest sequence that the
    model reads, as PyTorch counts them."""


def measure_cost(asked: Cost, source: str, seconds: float) -> Cost:
    """Return one cost, measured in its own process.

    Args:
        asked: what to measure.
        source: the model, as ``--model`` takes it.
        seconds: most time that it may take, beside its start.
    """
    given = json.dumps([source, asked.kind, asked.length_bp, asked.batch, asked.threads])
    try:
        command = [sys.executable, "-m", __spec__.name, given]
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_START_SECONDS + seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return asked._replace(failure=f"{TOO_LONG} {seconds:g} s")
    if answer.returncode == -signal.SIGKILL:
        return asked._replace(failure="out of memory")  # killed by the system
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"])[-1]
        return asked._replace(failure=f"{FAILED} ({reason})")
    return asked._replace(**json.loads(answer.stdout.splitlines()[-1]))


def measure_one(source: str, kind: Kind, length: int, batch: int) -> dict[str, Any]:
    """Return speed and memory of a pass in this process, or why it is not possible."""
    try:
        run = _pass(made(source, length), kind)
        try:
            run(1, min(_WARMUP_BP, length))
            # Memory comes first: what earlier passes have left would be used again, and not counted.
            added = added_bytes(lambda: run(batch, length))
        except InputError as error:
            return {"failure": f"{READS_NO_MORE} ({error})"}
        times = [_seconds(run, batch, length)]
        if times[0] < _LONG_SECONDS:
            times = [_seconds(run, batch, length) for _ in range(3)]
    except (RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, MemoryError) or "alloc" in str(error) or "memory" in str(error)
        if not is_memory:
            raise
        return {"failure": "out of memory"}
    return {"bp_per_second": batch * length / statistics.median(times), "bytes": added}


def size_of(source: str) -> Size:
    """Return number of weights and multiply-adds of a model."""
    model = made(source, _SIZE_BP)
    length = min(_SIZE_BP, getattr(model.config, "max_length_bp", None) or _SIZE_BP)
    with (
        warnings.catch_warnings(action="ignore"),  # of oneDNN, about graphics cards that are not here
        sdpa_kernel(SDPBackend.MATH),  # PyTorch counts no other attention, and no LSTM of oneDNN
        torch.backends.mkldnn.flags(enabled=False),
        FlopCounterMode(display=False) as counter,
    ):
        _pass(model, "inference")(1, length)
    return Size(parameters_in_use(model), counter.get_total_flops() / 2 / length)


def made(source: str, length: int) -> SequenceClassifier:
    """Return a classifier of two classes, with random weights, for sequences of a length."""
    torch.manual_seed(0)
    config = start(source, NetworkSettings(), ("0", "1"), problem_type="single_label_classification").config
    if isinstance(config, SupervisedConfig):
        config.input_bp = max(length, _WARMUP_BP)
    if isinstance(config, DNABERT2Config) and config.tokenizer is None:
        letters = decode(np.random.default_rng(0).integers(0, 4, 200_000).astype(np.uint8))
        config.tokenizer = train_byte_pairs([letters], config.vocab_size)
    return sequence_classifier(config)


def _pass(model: SequenceClassifier, kind: Kind) -> Callable[[int, int], None]:
    """Return a call that does a step of training, or a pass of inference, over a batch of a length."""
    is_bf16 = resolve_precision("auto") == "bf16"
    is_training = kind == "training"
    model.train(is_training)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad) if is_training else None

    def run(batch: int, length: int) -> None:
        ids, labels = torch.randint(0, 4, (batch, length)), torch.randint(0, 2, (batch,))
        with (
            torch.set_grad_enabled(is_training),
            torch.autocast("cpu", torch.bfloat16, enabled=is_bf16),
        ):
            output = model(ids, labels=labels)
        if optimizer is not None:
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def _seconds(run: Callable[[int, int], None], batch: int, length: int) -> float:
    began = time.perf_counter()
    run(batch, length)
    return time.perf_counter() - began


def growth(costs: Sequence[Cost], what: Literal["seconds", "bytes"]) -> float:
    """Return by what power of the length time or memory of a sequence grows, over the longer half of lengths.

    NaN with fewer than two lengths.
    """
    found = [cost for cost in costs if not cost.failure]
    found = found[len(found) // 2 if len(found) > 3 else 0 :]
    if len(found) < 2:
        return math.nan
    lengths = [cost.length_bp for cost in found]
    values = [
        cost.length_bp / cost.bp_per_second if what == "seconds" else max(cost.bytes / cost.batch, 1.0)
        for cost in found
    ]
    return exponent(lengths, values)


def exponent(lengths: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log(cost) against log(length): 1 when the cost is proportional to the length."""
    return float(np.polyfit(np.log(lengths), np.log(costs), 1)[0])


def _main(given: str) -> None:
    source, kind, length, batch, threads = json.loads(given)
    torch.set_num_threads(threads)
    free = psutil.virtual_memory().available
    used = psutil.Process().memory_info().vms
    with suppress(ValueError, OSError):  # some systems know no such limit
        resource.setrlimit(resource.RLIMIT_AS, (used + int(_USABLE_SHARE * free), resource.RLIM_INFINITY))
    print(json.dumps(measure_one(source, kind, length, batch)))


if __name__ == "__main__":
    _main(sys.argv[1])
