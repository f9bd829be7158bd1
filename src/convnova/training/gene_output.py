"""The folder of a gene finder, and what is printed of it."""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console

from convnova.console import plain_table, say
from convnova.data.gene_task import GeneTask
from convnova.evaluation.scores import METRIC_NAMES
from convnova.inference.genes import write_gff3
from convnova.inference.genes.tables import LEGEND, SHARES, gene_table, shown
from convnova.inference.saved_genes import COSTS, SavedGeneFinder
from convnova.inference.saved_task import TASK_NAME
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.training.checkpoints import write_model
from convnova.training.choice import Evaluation
from convnova.training.gene_figures import CONFUSION_NAME, LEARNING_NAME, confusion_figure, learning_figure
from convnova.training.gene_test import NETWORK, Decoded, GeneTest, bend_mcc
from convnova.training.record import SCORES_NAME
from convnova.writing import write_json, write_text

PREDICTED_NAME, LABELS_NAME = "test_genes.gff3", "test_labels.csv"


class GeneResult(NamedTuple):
    """What was reached."""

    best: Evaluation
    """The look at validation that the model was chosen by."""
    evaluations: list[Evaluation]
    test: GeneTest | None
    """Read once; None where there is no test part."""


def write_genes(
    output: Path,
    saved: SavedGeneFinder,
    model: ConvNovaForTokenClassification,
    task: GeneTask,
    result: GeneResult,
) -> None:
    """Write the folder of a run, the weights last.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    write_json(output / TASK_NAME, saved.to_dict())
    scores: dict[str, Any] = {"metric": saved.metric, "validation": result.best._asdict()}
    scores["evaluations"] = [one._asdict() for one in result.evaluations]
    if result.test is not None:
        bases = result.test.bases
        scores["test"] = {
            "bases": int(bases.confusion.sum()),
            "scores": bases.scores | {"bend_mcc": bend_mcc(bases.confusion, task.label_set)},
            "confusion": bases.confusion.tolist(),
            "decoded": {source: _as_json(one) for source, one in result.test.decoded.items()},
        }
        labels = pl.DataFrame([one._asdict() for one in bases.by_label])
        write_text(output / LABELS_NAME, labels.rename({"name": "label", "n": "bases"}).write_csv())
        if NETWORK in result.test.decoded:
            genes, sizes = result.test.decoded[NETWORK].genes, task.parts["test"].genome.chromosome_sizes
            write_gff3(genes, output / PREDICTED_NAME, sizes)
    write_json(output / SCORES_NAME, scores)
    if importlib.util.find_spec("matplotlib") is not None:
        figure = learning_figure(result.evaluations, result.best, saved.metric)
        (output / LEARNING_NAME).write_bytes(figure)
        if result.test is not None:
            figure = confusion_figure(result.test.bases.confusion, task.label_set.labels)
            (output / CONFUSION_NAME).write_bytes(figure)
    write_model(model, output)


def report_genes(console: Console, output: Path, saved: SavedGeneFinder, result: GeneResult) -> None:
    """Print what was reached, and what to do next."""
    best, name = result.best, METRIC_NAMES[saved.metric]
    say(console, f"validation (chosen, epoch {best.epoch:.1f}): {name} {best.scores[saved.metric]:.4f}")
    if result.test is not None:
        bases = result.test.bases
        values = ", ".join(f"{METRIC_NAMES[key]} {value:.4f}" for key, value in bases.scores.items())
        say(console, f"test (read once), {int(bases.confusion.sum()):,} bases: {values}")
        if saved.label_set != "bend":
            say(console, f"in BEND's nine labels: MCC {bend_mcc(bases.confusion, saved.labels):.4f}")
        rows = [[one.name, f"{one.n:,}", *map(shown, one[1:4])] for one in bases.by_label]
        console.print(plain_table(["label", "bases", "precision", "recall", "F1"], rows))
        for source, decoded in result.test.decoded.items():
            console.print(gene_table(_title(source, decoded), decoded.agreement))
        if result.test.decoded:
            say(console, LEGEND)
    say(console, f"The model, {SCORES_NAME} and figures are in {output}. For the genes of a genome:")
    say(console, f"  convnova annotate --model {output} --genome genome.fa --output genes.gff3")


def _title(source: str, decoded: Decoded) -> str:
    costs = decoded.settings.costs
    cost = f"gene {costs.gene:g}, intron {costs.intron:g}, content x {costs.content:g}"
    return f"{source}, decoded: MCC {decoded.mcc:.4f}, of nine {decoded.bend_mcc:.4f} ({cost})"


def _as_json(decoded: Decoded) -> dict[str, Any]:
    levels = {
        level: one._asdict() | {name: getattr(one, name) for name in SHARES}
        for level, one in decoded.agreement._asdict().items()
    }
    costs = {name: getattr(decoded.settings, name) for name in COSTS}
    return costs | {"mcc": decoded.mcc, "bend_mcc": decoded.bend_mcc} | levels
