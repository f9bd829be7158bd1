"""What a gene finder reached, and the folder that holds it."""

import importlib.util
import math
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from convnova.console import say
from convnova.data.gene_task import GeneTask
from convnova.evaluation.gene_scores import Agreement, CodingGene, Exons, GeneScores, score_genes
from convnova.evaluation.scores import METRIC_NAMES
from convnova.genome import Gene, Interval
from convnova.inference.annotate import decoder_input
from convnova.inference.genes import Decoder, GeneModel, write_gff3
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.saved_task import TASK_NAME
from convnova.inference.score_bases import BaseScores, score_bases
from convnova.inference.tiles import Tile
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.training.checkpoints import write_model
from convnova.training.choice import Choice, Evaluation
from convnova.training.gene_figures import CONFUSION_NAME, LEARNING_NAME, confusion_figure, learning_figure
from convnova.training.gene_settings import GeneFindingSettings
from convnova.training.record import SCORES_NAME
from convnova.training.weights import WeightsReport
from convnova.writing import write_json, write_text

PREDICTED_NAME, LABELS_NAME = "test_genes.gff3", "test_labels.csv"


class GeneResult(NamedTuple):
    """What was reached."""

    best: Evaluation
    """The look at validation that the model was chosen by."""
    evaluations: list[Evaluation]
    test: BaseScores | None
    """Read once; None where there is no test part."""
    genes: GeneScores | None
    """Of decoded genes against the annotated ones of the test part; None where either is missing."""
    predicted: list[GeneModel]
    weights: WeightsReport | None


def test_genes(
    model: ConvNovaForTokenClassification,
    saved: SavedGeneFinder,
    task: GeneTask,
    choice: Choice,
    weights: WeightsReport | None,
) -> GeneResult:
    """Score a gene finder on the test part, base by base and gene by gene; do it once, when all is chosen."""
    assert choice.best is not None
    result = GeneResult(choice.best, choice.evaluations, None, None, [], weights)
    part = task.parts.get("test")
    if part is None:
        return result
    is_decoded = saved.has_coding_exons and "test" in task.genes
    decoders = [Decoder(region.chromosome) for region in part.regions] if is_decoded else []

    def decode(index: int, tile: Tile) -> None:
        if decoders:
            decoders[index].feed(decoder_input(tile.probabilities, task.label_set.labels), tile.ids)

    scores = score_bases(model, part, task.label_set, saved.average_strands, decode)
    if not is_decoded:
        return result._replace(test=scores)
    predicted = [
        gene.shift(region.start)
        for region, decoder in zip(part.regions, decoders, strict=True)
        for gene in decoder.finish()
    ]
    ours, annotated = map(coding_gene, predicted), map(annotated_gene, task.genes["test"])
    return result._replace(test=scores, genes=score_genes(ours, annotated, part.regions), predicted=predicted)


def coding_gene(gene: GeneModel) -> CodingGene:
    """Return a decoded gene in the form that is scored."""
    return CodingGene(gene.chromosome, gene.strand, (_spans(gene.coding_exons),))


def annotated_gene(gene: Gene) -> CodingGene:
    """Return an annotated gene in the form that is scored."""
    transcripts = tuple(_spans(transcript.coding_exons) for transcript in gene.transcripts)
    return CodingGene(gene.interval.chromosome, gene.interval.strand, transcripts)


def _spans(exons: tuple[Interval, ...]) -> Exons:
    return tuple((exon.start, exon.end) for exon in exons)


def write_genes(
    settings: GeneFindingSettings,
    saved: SavedGeneFinder,
    model: ConvNovaForTokenClassification,
    task: GeneTask,
    result: GeneResult,
) -> None:
    """Write the folder of a run, the weights last.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    output = settings.output
    write_json(output / TASK_NAME, saved.to_dict())
    scores: dict[str, Any] = {
        "metric": saved.metric,
        "validation": result.best._asdict(),
        "evaluations": [one._asdict() for one in result.evaluations],
    }
    if result.test is not None:
        scores["test"] = {"bases": int(result.test.confusion.sum()), "scores": result.test.scores}
        scores["test"]["confusion"] = result.test.confusion.tolist()
        write_text(output / LABELS_NAME, label_table(result.test).write_csv())
    if result.genes is not None:
        scores["test"]["genes"] = {
            level: one._asdict() | {name: _number(getattr(one, name)) for name in _SHARES}
            for level, one in result.genes._asdict().items()
        }
        write_gff3(result.predicted, output / PREDICTED_NAME, task.parts["test"].genome.chromosome_sizes)
    write_json(output / SCORES_NAME, scores)
    if importlib.util.find_spec("matplotlib") is not None:
        figure = learning_figure(result.evaluations, result.best, saved.metric)
        (output / LEARNING_NAME).write_bytes(figure)
        if result.test is not None:
            figure = confusion_figure(result.test.confusion, task.label_set.labels)
            (output / CONFUSION_NAME).write_bytes(figure)
    write_model(model, output)


def label_table(scores: BaseScores) -> pl.DataFrame:
    """Return precision, recall and F1 of each label, one a row."""
    return pl.DataFrame([one._asdict() for one in scores.by_label]).rename({"name": "label", "n": "bases"})


def report_genes(console: Console, output: Path, saved: SavedGeneFinder, result: GeneResult) -> None:
    """Print what was reached, and what to do next."""
    best = result.best
    name = METRIC_NAMES[saved.metric]
    say(console, f"validation (chosen, epoch {best.epoch:.1f}): {name} {best.scores[saved.metric]:.4f}")
    if result.test is not None:
        values = ", ".join(f"{METRIC_NAMES[key]} {value:.4f}" for key, value in result.test.scores.items())
        say(console, f"test (read once), {int(result.test.confusion.sum()):,} bases: {values}")
        rows = [[one.name, f"{one.n:,}", *map(_shown, one[1:4])] for one in result.test.by_label]
        console.print(_table(["label", "bases", "precision", "recall", "F1"], rows))
    if result.genes is not None:
        rows = [_gene_row(level, one) for level, one in result.genes._asdict().items()]
        console.print(_table(["level", "annotated", "predicted", *_SHARES], rows))
        say(
            console,
            "sensitivity: share of the annotated that was found; "
            "specificity: share of the predicted that is right",
        )
    say(console, f"The model, {SCORES_NAME} and figures are in {output}. For the genes of a genome:")
    say(console, f"  convnova annotate --model {output} --genome genome.fa --output genes.gff3")


_SHARES = ("sensitivity", "specificity", "f1")


def _gene_row(level: str, one: Agreement) -> list[str]:
    counts = f"{one.annotated:,}", f"{one.predicted:,}"
    return [level, *counts, *(_shown(getattr(one, name)) for name in _SHARES)]


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _shown(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.4f}"


def _number(value: float) -> float | None:
    """Return a number as JSON can hold it: it knows no NaN."""
    return None if math.isnan(value) else value
