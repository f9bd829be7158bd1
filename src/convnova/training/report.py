"""What a pretraining run tells people: what it is about to do, how it ended, and what to do next."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from convnova.console import say
from convnova.data.splits import Split
from convnova.data.windows import PretrainingWindows
from convnova.evaluation.masked_lm import Summary
from convnova.genome import Genome, Interval


def describe_run(
    console: Console,
    genome: Genome,
    regions: dict[Split, list[Interval]],
    data: dict[Split, PretrainingWindows],
    model_facts: dict[str, Any],
    output: Path,
) -> None:
    """Print what is read, what is held out, and the network."""
    index = "reused" if genome.was_cached else "built"
    chromosomes = f"{len(genome.chromosome_sizes)} chromosomes, {genome.total_bp:,} bp"
    say(console, f"{genome.path.name}: {chromosomes} (index {index})")
    for split, windows in data.items():
        names = ", ".join(str(region) for region in regions[split][:3])
        names += ", ..." if len(regions[split]) > 3 else ""
        count = f"{windows.windows_per_epoch:,} windows of {windows.settings.window_bp} bp"
        say(console, f"  {split}: {count} from {names}")
    network = f"{model_facts['parameters']:,} parameters, {len(model_facts['dilations'])} blocks"
    say(console, f"ConvNova: {network}, receptive field {model_facts['receptive_field']} bp -> {output}")


def score_table(title: str, rows: list[Summary]) -> Table:
    """Return the scores as a table that fits a terminal of 80 columns and a log file."""
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("model", no_wrap=True)
    for name in ("nats\n/base", "bits\n/base", "median\nbits", "perp-\nlexity", "accu-\nracy", "bases"):
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for row in rows:
        numbers = (row.nats_per_base, row.bits_per_base, row.median_window_bits, row.perplexity, row.accuracy)
        table.add_row(row.model, *(f"{number:.4f}" for number in numbers), str(row.bases))
    return table


def print_scores(console: Console, tables: dict[str, list[Summary]], masking_rate: float) -> None:
    """Print one table a split."""
    for split, rows in tables.items():
        console.print(score_table(f"{split}: every scored base hidden, {masking_rate:.0%} at once", rows))
    if tables:
        say(console, "median bits: of the windows, which a few repeats do not move as they move the mean")


def print_next_steps(console: Console, output: Path, figure: Path) -> None:
    """Print where the model and its learning curve are, and a first thing to do with it."""
    if figure.exists():  # without matplotlib there is none
        say(console, f"The learning curve is in {figure}.")
    say(
        console,
        f"The model is in {output}, its scores in {output / 'scores.json'}. Ask it for a hidden base:",
    )
    say(console, "  from transformers import pipeline")
    say(console, f'  pipeline("fill-mask", "{output}", trust_remote_code=True)("GATTACANGATTACA", top_k=4)')
