"""What the demo prints: tables, what it took, and what to do next."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from convnova.demo.evidence import Effect
from convnova.demo.steps import Step
from convnova.evaluation.classification import ClassificationScores

NEXT_COMMANDS = (
    "convnova pretrain --genome your_genome.fa.gz --output runs/yours",
    "convnova pretrain --config recipes/yeast.yaml --genome sacCer3.fa.gz --output runs/yeast",
    "convnova demo --help",
)


def score_table(scores: dict[str, ClassificationScores]) -> Table:
    """Return the test scores as a table for the terminal."""
    table = Table(title="test chromosome", title_justify="left")
    table.add_column("classifier")
    for name in ("AUROC", "95 % interval", "AUPRC", "MCC", "accuracy", "n"):
        table.add_column(name, justify="right")
    for name, s in scores.items():
        interval = f"{s.auroc_low:.3f} to {s.auroc_high:.3f}"
        numbers = [f"{s.auroc:.3f}", interval, f"{s.auprc:.3f}", f"{s.mcc:.3f}", f"{s.accuracy:.3f}"]
        table.add_row(name, *numbers, str(s.n))
    return table


def effect_table(effects: list[Effect], sequences: int) -> Table:
    """Return the effects by kind of substitution as a table for the terminal."""
    table = Table(title=f"every substitution in {sequences} start codons of the test chromosome")
    table.add_column("substitution")
    for name in ("number", "median change of log-odds", "lower it"):
        table.add_column(name, justify="right")
    for effect in effects:
        table.add_row(
            effect.kind, str(effect.substitutions), f"{effect.median:+.2f}", f"{effect.share_lower:.0%}"
        )
    return table


def say_what_next(console: Console, report: Path, done: list[Step]) -> None:
    """Print what each step took, where the report is, and commands that go on from here."""
    reused = sum(step.was_reused for step in done)
    console.rule("Done", align="left")
    for step in done:
        how = "reused" if step.was_reused else f"{step.seconds:.0f} s"
        console.print(f"  {step.name}: {how}", highlight=False)
    if reused:
        console.print(f"  {reused} of {len(done)} steps were reused; delete {report.parent} to start anew")
    console.print(f"\n[bold]Open {report}[/bold]\n\nNext:")
    for line in NEXT_COMMANDS:
        console.print(f"  {line}", highlight=False)
