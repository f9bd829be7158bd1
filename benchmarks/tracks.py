"""Seconds to build a data set of many tracks, and the share of a training step that reading it takes.

A random genome and random peaks by seed; the clock of reading runs inside one training run, around each batch
that the Trainer takes from its DataLoader, as in `finetune_loading.py`.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from finetune_loading import GOAL, TimedTrainer
from measure import arguments, report, save, seconds
from rich.console import Console
from transformers import set_seed

from convnova.data.labelled import AugmentedBatches
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.settings import TrackSettings
from convnova.genome import Genome
from convnova.model.presets import preset
from convnova.sequence import decode
from convnova.training.arguments import quiet_libraries
from convnova.training.finetune import make_model
from convnova.training.finetune_settings import FinetuneSettings

BUILDING_GOAL_S = 60
CHROMOSOMES = 12
SEED = 7


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--bp", type=int, default=12_000_000, help="length of the genome")
    parser.add_argument("--tracks", type=int, default=400, help="files of peaks")
    parser.add_argument("--peaks", type=int, default=2500, help="peaks of each, 100 to 600 bp")
    parser.add_argument("--channels", type=int, help="C of the network; default that of preset nt")
    parser.add_argument("--batch", type=int, default=64, help="windows in a step")
    parser.add_argument("--steps", type=int, default=20, help="steps of training")
    options = parser.parse_args(argv)
    if options.quick:
        options.bp, options.tracks, options.peaks = 120_000, 5, 20
        options.channels, options.batch, options.steps = 8, 4, 2
    quiet_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genome = random_genome(folder / "genome.fa", options.bp)
        write_peaks(folder / "peaks", genome, options.tracks, options.peaks)
        settings = TrackSettings([str(folder / "peaks")], folder / "data", folder / "genome.fa")
        began = time.perf_counter()
        facts = build_tracks(settings, Console(quiet=True))
        building = time.perf_counter() - began
        data = TrackData.open(folder / "data", genome)
        reading = measure_reading(data, options.channels, options.batch, options.steps)
    rows = {"building": building, **reading}
    shown = [
        ["building, s", f"{building:.1f}", f"{BUILDING_GOAL_S}"],
        ["reading and collating a batch, ms", f"{1e3 * reading['batch']:.2f}", ""],
        ["a step of training, ms", f"{1e3 * reading['step']:.0f}", ""],
        ["waiting for batches, share of training", f"{reading['share']:.2%}", f"{GOAL:.0%}"],
    ]
    described = {
        "bp": options.bp,
        "tracks": options.tracks,
        "peaks": options.tracks * options.peaks,
        "bins": sum(facts.rows.values()),
        "window": facts.window_bp,
        "channels": options.channels or "own",
        "batch": options.batch,
        "steps": options.steps,
    }
    report("tracks", described, ["what", "measured", "goal, under"], shown)
    result = {"settings": described, "rows": rows}
    if options.save:
        save("tracks", result)
    return result


def random_genome(path: Path, bp: int) -> Genome:
    """Write a FASTA of chromosomes of one length, and return the genome."""
    rng = np.random.default_rng(SEED)
    with path.open("w") as file:
        for number in range(CHROMOSOMES):
            ids = rng.integers(0, 4, bp // CHROMOSOMES, dtype=np.uint8)
            file.write(f">chr{number + 1}\n{decode(ids)}\n")
    return Genome.open(path)


def write_peaks(folder: Path, genome: Genome, tracks: int, peaks: int) -> None:
    """Write a BED file of random peaks for each track."""
    folder.mkdir()
    rng = np.random.default_rng(SEED)
    names = np.array(list(genome.chromosome_sizes))
    size = min(genome.chromosome_sizes.values())
    for track in range(tracks):
        chromosomes, widths = rng.choice(names, peaks), rng.integers(100, 601, peaks)
        starts = rng.integers(0, size - 600, peaks)
        rows = zip(chromosomes, starts, starts + widths, strict=True)
        text = "".join(f"{name}\t{start}\t{end}\n" for name, start, end in rows)
        (folder / f"track{track}.bed").write_text(text)


def measure_reading(data: TrackData, channels: int | None, batch: int, steps: int) -> dict[str, float]:
    """Return the median seconds of a batch read alone; those of a step, and of waiting for batches in it."""
    training = FinetuneSettings(batch_sequences=batch, most_steps=steps, epochs=10**6)
    set_seed(training.seed)
    changes = {} if channels is None else {"hidden_size": channels}
    head = {"problem_type": "multi_label_classification", "num_labels": len(data.facts.names)}
    part, rng = data.part("train"), np.random.default_rng(SEED)
    model, _ = make_model(None, preset("nt", **changes, **head), part, training)
    collate = AugmentedBatches(training.augmentation, SEED)

    def read() -> None:
        collate([part[row] for row in rng.integers(0, len(part), batch).tolist()])

    batch_seconds = statistics.median(seconds(read) for _ in range(10 * steps))
    trainer = TimedTrainer(training, "auroc", part, part, model=model)  # it looks at no validation
    began = time.perf_counter()
    trainer.train()
    total = time.perf_counter() - began
    shares = {"loading": trainer.loading / steps, "step": total / steps, "share": trainer.loading / total}
    return {"batch": batch_seconds, **shares}


if __name__ == "__main__":
    main()
