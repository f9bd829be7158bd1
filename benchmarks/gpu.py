"""A GPU: the work of `using.py` on it against the same computer's processor, and steps of training.

A random genome by seed and networks with random weights: speed does not depend on them. Everything runs by
the paths of the commands. Without a GPU only `--quick` runs, on the processor.

- use: tiles of a chromosome, masked likelihood ratios of SNVs, every substitution in 2 kb for a head, and
  embeddings of sequences of mixed lengths; fp32 and bf16, compiled and not, and what differs from the
  processor
- training: forward, backward, AdamW on windows of 1,024 bp, against the channels-first `textbook.py`
"""

import copy
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import arguments, interleaved, paired_ratio, report, save
from model_speed import random_batch, training_step, twins
from multiply_adds import training_multiply_adds_per_bp
from using import SEED, genome_of, masked_lm, network, shown

from convnova.data.packed import pack
from convnova.genome.variant import Variant
from convnova.inference.base_tracks import in_process, tile_length, tiles_of
from convnova.inference.compute import set_arithmetic
from convnova.inference.compute_settings import ComputeSettings
from convnova.inference.effects import output_change
from convnova.inference.embeddings import embed
from convnova.inference.mutagenesis import all_effects, log_odds
from convnova.inference.variant_scores import variant_scorer
from convnova.model import ConvNovaForSequenceClassification
from convnova.sequence import decode

HG38_AS_PUBLISHED_BP = 400 * 34_021 * 1024
ARITHMETICS = (("fp32", False), ("bf16", False), ("bf16", True))
"""Precision, and whether the network is compiled."""
Work = Callable[[Any], np.ndarray]
"""Gives the numbers that a model has for it."""


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--preset", default="pretraining", help="network")
    parser.add_argument("--batch", type=int, default=768, help="windows in a step of training")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    if not torch.cuda.is_available() and not options.quick:
        parser.error("there is no GPU; --quick shows that it runs")
    torch.manual_seed(SEED)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    settings = {"preset": options.preset, "GPU": device}
    result: dict[str, Any] = {"settings": settings}
    for name, part in (("training", training), ("use", uses)):
        rows = result[name] = part(options)
        cells = [[shown(cell) for cell in row.values()] for row in rows]
        report(f"gpu, {name}", settings, list(rows[0]), cells)
    if options.save:
        save("gpu", result)
    return result


def uses(options: Any) -> list[dict[str, Any]]:
    """Return a row a kind of work and way to compute it."""
    rng = np.random.default_rng(SEED)
    bp, snvs, edited, count = (5_000, 10, 40, 10) if options.quick else (1_531_933, 2_000, 2_000, 5_000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        genome = genome_of(Path(folder), bp)
        ids = genome.sequence("chr1")
        starts = np.linspace(bp // 4, bp // 2, snvs).astype(int)
        made = [
            Variant("chr1", int(at), decode(ids[at : at + 1]), "ACGT"[(ids[at] + 1) % 4]) for at in starts
        ]
        lengths = np.exp(rng.uniform(np.log(50), np.log(5000), count)).astype(int)
        sequences = pack([rng.integers(0, 4, length).astype(np.uint8) for length in lengths])
        language = masked_lm(options)
        head = network(options, ConvNovaForSequenceClassification, num_labels=2)

        def tiled(model: Any) -> np.ndarray:
            loaded = language._replace(model=model)
            tile = tile_length(model, 256)
            tiles = tiles_of(genome, genome.chromosomes, tile, model.config.receptive_field)
            groups = in_process(loaded, genome, False)([one] for one in tiles)
            return np.concatenate([values[0] for _, values in groups])

        def ratios(model: Any) -> np.ndarray:
            return variant_scorer(language._replace(model=model), ["masked-llr"]).score(genome, made)

        def substitutions(model: Any) -> np.ndarray:
            return all_effects(model, ids[:edited], output_change(model, log_odds)).substitutions

        works: list[tuple[str, str, Any, Work]] = [
            ("tiles of a chromosome", f"{bp:,} bp", language.model, tiled),
            ("masked-llr of SNVs", f"{snvs:,} variants", language.model, ratios),
            ("mutagenesis, classification head", f"{edited:,} bp", head, substitutions),
            ("embeddings", f"{count:,} sequences", language.model, lambda model: embed(model, sequences)),
        ]
        for what, measured, model, work in works:
            # The shapes of the others vary, and would be compiled one by one.
            arithmetics = ARITHMETICS if work is tiled else ARITHMETICS[:2]
            of_work = ways(model, work, arithmetics, options)
            rows += [{"what": what, "measured": measured} | row for row in of_work]
            print(*(f"{what}: {row}" for row in of_work), sep="\n", flush=True)
    return rows


def ways(model: Any, work: Work, arithmetics: Any, options: Any) -> list[dict[str, Any]]:
    """Return how long a piece of work takes on the processor, and on the GPU in some arithmetics."""
    expected: dict[str, np.ndarray] = {}
    times = interleaved({"processor": lambda: expected.update(of=work(model))}, rounds=1, warmup=0)
    on_processor = times["processor"][0]
    rows = [{"how": "processor, fp32", "seconds": on_processor, "times faster": 1.0, "differs by": 0.0}]
    for precision, is_compiled in arithmetics:
        if is_compiled and options.quick:
            continue
        there = copy.deepcopy(model)
        set_arithmetic(there, ComputeSettings(precision=precision, compile=is_compiled))
        there.to("cuda" if torch.cuda.is_available() else "cpu")
        differs = float(np.abs(work(there) - expected["of"]).max())  # and warms up
        taken = min(interleaved({"GPU": lambda there=there: work(there)}, options.rounds, warmup=0)["GPU"])
        how = f"GPU, {precision}" + ", compiled" * is_compiled
        rows.append(
            {"how": how, "seconds": taken, "times faster": on_processor / taken, "differs by": differs}
        )
    return rows


def training(options: Any) -> list[dict[str, Any]]:
    """Return a row an arithmetic; TFLOP/s are those of the direct form of the network's work."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch, length = (2, 64) if options.quick else (options.batch, 1024)
    config = network(options, ConvNovaForSequenceClassification).config
    ids, labels = (part.to(device) for part in random_batch(batch, length))
    rows = []
    for precision, is_compiled in ARITHMETICS:
        if is_compiled and options.quick:
            continue
        models = dict(zip(("ours", "textbook"), twins(config), strict=True))
        steps = {}
        for name, model in models.items():
            if is_compiled:
                model.compile()
            steps[name] = finished(training_step(model.to(device), ids, labels, precision == "bf16"))
        times = interleaved(steps, options.rounds, warmup=1 if options.quick else 5)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        steps["ours"]()
        speed = ids.numel() / statistics.median(times["ours"])
        rows.append(
            {
                "how": precision + ", compiled" * is_compiled,
                "bp/s": speed,
                "times faster than textbook": paired_ratio(times["ours"], times["textbook"]),
                "TFLOP/s": 2 * training_multiply_adds_per_bp(config) * speed / 1e12,
                "hg38 as published, hours": HG38_AS_PUBLISHED_BP / speed / 3600,
                "peak of ours, GB": torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0,
            }
        )
    return rows


def finished(step: Callable[[], None]) -> Callable[[], None]:
    """Return a call that does a step and waits for the GPU."""

    def call() -> None:
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return call


if __name__ == "__main__":
    main()
