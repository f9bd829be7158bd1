"""Share of fine-tuning that is spent in loading data: drawing, augmenting and collating batches.

The clock runs inside one training run: around each batch that the Trainer takes from its DataLoader, and
around all steps together. Looks at validation are left out: they load nothing from a DataLoader.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, report, save
from reading import random_table
from transformers import set_seed

from convnova.data.augmentation import AugmentationSettings
from convnova.data.task import LabelledTask, load_task
from convnova.training.arguments import quiet_libraries
from convnova.training.finetune import make_model
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.finetune_trainer import FinetuneTrainer
from convnova.training.learn import starting_point
from convnova.training.task_settings import TaskNetworkSettings

GOAL = 0.03
CHANGES = {
    "both strands (default)": AugmentationSettings(),
    "both strands, shift, mutations": AugmentationSettings(shift_bp=10, mutation_rate=0.02),
    "nothing changed": AugmentationSettings(reverse_complement=False),
}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--data", help="labelled sequences in any form; default a CSV of random ones")
    parser.add_argument("--sequences", type=int, default=30_000, help="rows of that CSV")
    parser.add_argument("--length", type=int, default=200, help="length of its sequences in bp")
    parser.add_argument("--model", default="preset:nt", help="preset:NAME, or the folder of a model")
    parser.add_argument("--channels", type=int, help="C of a preset; default its own")
    parser.add_argument("--batch", type=int, default=64, help="sequences in a step")
    parser.add_argument("--steps", type=int, default=100, help="steps of each row")
    options = parser.parse_args(argv)
    if options.quick:
        options.sequences, options.length, options.channels = 64, 40, 8
        options.batch, options.steps = 16, 3
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or random_table(Path(folder) / "random.csv", options.sequences, options.length)
        task = load_task(data, on_leakage="state")
    network = TaskNetworkSettings(hidden_size=options.channels)
    training = FinetuneSettings(batch_sequences=options.batch, most_steps=options.steps, epochs=10**6)
    rows: list[dict[str, Any]] = [
        {"task": name, **measure_run(task, options.model, network, replace(training, augmentation=changes))}
        for name, changes in CHANGES.items()
    ]
    settings = {
        "data": Path(data).name,
        "sequences": len(task.train),
        "median bp": int(np.median(task.train.ids.lengths)),
        "model": options.model,
        "channels": options.channels or "own",
        "batch": options.batch,
        "steps": options.steps,
    }
    shown = [
        [row["task"], *(f"{1e3 * row[name]:.2f}" for name in ("loading", "step")), f"{row['share']:.2%}"]
        for row in rows
    ]
    header = ["ms a step", "loading", "all", f"share (goal under {GOAL:.0%})"]
    report("loading in fine-tuning", settings, header, shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("finetune_loading", result)
    return result


def measure_run(
    task: LabelledTask, model: str, network: TaskNetworkSettings, training: FinetuneSettings
) -> dict[str, float]:
    """Return the seconds of a step, those of them that loading takes, and their share."""
    quiet_libraries()
    set_seed(training.seed)
    start = starting_point(model, network, task)
    made, _ = make_model(start.pretrained, start.config, task.train, training)
    trainer = TimedTrainer(training, "mcc", task.train, task.train, model=made)  # it looks at no validation
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    steps = trainer.state.global_step
    return {"loading": trainer.loading / steps, "step": seconds / steps, "share": trainer.loading / seconds}


class TimedTrainer(FinetuneTrainer):
    """A fine-tuning trainer that clocks how long it waits for batches, and looks at no validation."""

    loading = 0.0
    """Seconds."""

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Return the batches of a step."""
        began = time.perf_counter()
        batches = super().get_batch_samples(*args, **kwargs)
        self.loading += time.perf_counter() - began
        return batches

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return no score."""
        return {}


if __name__ == "__main__":
    main()
