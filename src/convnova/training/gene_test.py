"""What a gene finder reaches on test, base by base and gene by gene, beside a model that only counts.

What a gene and an intron cost is chosen on validation, for both alike; test is read once.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings, LabelSet, label_regions
from convnova.data.base_windows import LabelledBases
from convnova.data.gene_task import GeneTask
from convnova.evaluation.confusion import confusion, merged, scores_of_confusion
from convnova.evaluation.gene_scores import GeneScores
from convnova.genome import Interval
from convnova.inference.annotate import decoder_input
from convnova.inference.genes.content_model import fit_content_model
from convnova.inference.genes.decoder import Decoder
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.genes.regions import Evidence, Stretch, agreement, as_gene, decode_region
from convnova.inference.genes.tuning import choose_costs
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.score_bases import BaseScores, score_bases
from convnova.inference.tiles import Tile, predict_bases

MOST_TUNING_BP = 1_000_000
"""Most bases of validation on which costs are chosen, in stretches that are spread over it."""


class Decoded(NamedTuple):
    """Genes of the test part."""

    genes: list[GeneModel]
    agreement: GeneScores
    """With the annotated ones."""
    mcc: float
    """Of the labels that the decoded genes give to bases."""
    bend_mcc: float
    """The same of BEND's nine labels."""
    settings: DecoderSettings
    """With the costs that were chosen on validation."""


class GeneTest(NamedTuple):
    """What was reached on test."""

    bases: BaseScores
    """Of the network, base by base."""
    decoded: dict[str, Decoded]
    """By source; none where labels have no reading frame or there are no annotated genes."""


NETWORK, COUNTING = "ConvNova", "order-5 content and splice-site matrices"


def choose_decoder(model: Any, saved: SavedGeneFinder, task: GeneTask) -> SavedGeneFinder:
    """Return what is known of a gene finder with the costs that do best on validation.

    As it is where it cannot be decoded, or no gene is known in the sample of validation that is read.
    """
    if not saved.has_coding_exons or "validation" not in task.genes:
        return saved
    evidence = _network_evidence(model, saved, task)
    return saved.with_costs(choose_costs(evidence, task.genes["validation"], DecoderSettings()))


def test_genes(model: Any, saved: SavedGeneFinder, task: GeneTask, labels: GeneLabelSettings) -> GeneTest:
    """Score a gene finder on the test part; do it once, when all is chosen.

    Args:
        model: the network.
        saved: what its labels mean, and its costs.
        task: with a test part.
        labels: how its genes became labels.
    """
    test = task.parts["test"]
    if not saved.has_coding_exons or "test" not in task.genes:
        return GeneTest(score_bases(model, test, task.label_set, saved.average_strands), {})
    settings = saved.decoder(DecoderSettings())
    decoders = [Decoder(region.chromosome, settings) for region in test.regions]

    def feed(index: int, tile: Tile) -> None:
        decoders[index].feed(decoder_input(tile.probabilities, task.label_set.labels), tile.ids)

    scores = score_bases(model, test, task.label_set, saved.average_strands, feed)
    found = [
        gene.shift(region.start)
        for region, decoder in zip(test.regions, decoders, strict=True)
        for gene in decoder.finish()
    ]
    decoded = {NETWORK: _decoded(found, task, labels, settings), COUNTING: _counted(task, labels)}
    return GeneTest(scores, decoded)


def _network_evidence(model: Any, saved: SavedGeneFinder, task: GeneTask) -> dict[Interval, Evidence]:
    """Return what the network says of a sample of validation, predicted once and kept."""
    part = task.parts["validation"].spread(MOST_TUNING_BP)
    label_set = task.label_set
    opposite = np.array(label_set.opposite) if saved.average_strands else None

    def stretches(index: int) -> list[Stretch]:
        tiles = predict_bases(model, part.region_fetch(index), part.regions[index].width, opposite)
        return [Stretch(decoder_input(tile.probabilities, label_set.labels), tile.ids) for tile in tiles]

    return {region: partial(iter, stretches(index)) for index, region in enumerate(part.regions)}


def _counted(task: GeneTask, labels: GeneLabelSettings) -> Decoded:
    """Return what the counting model finds on test."""
    train = task.parts["train"]
    model = fit_content_model(train.genome, train.regions, task.genes["train"])

    def evidence(part: LabelledBases) -> dict[Interval, Evidence]:
        return {
            region: partial(model.stretches, part.region_fetch(index), region.width)
            for index, region in enumerate(part.regions)
        }

    validation = evidence(task.parts["validation"].spread(MOST_TUNING_BP))
    kept = {region: partial(iter, list(stretches())) for region, stretches in validation.items()}
    settings = choose_costs(kept, task.genes["validation"], DecoderSettings())
    found = [
        gene
        for region, one in evidence(task.parts["test"]).items()
        for gene in decode_region(region, one, settings)
    ]
    return _decoded(found, task, labels, settings)


def _decoded(
    found: list[GeneModel], task: GeneTask, labels: GeneLabelSettings, settings: DecoderSettings
) -> Decoded:
    test = task.parts["test"]
    genes = [as_gene(gene, f"g{number}") for number, gene in enumerate(found)]
    rows = label_regions(genes, test.genome.chromosome_sizes, test.regions, labels)
    k = len(task.label_set.labels)
    matrix = np.zeros((k, k), dtype=np.int64)
    for truth, row in zip(test.labels, rows, strict=True):
        matrix += confusion(truth, row, k)
    mcc = scores_of_confusion(matrix, task.label_set.labels).mcc
    scores = agreement(found, task.genes["test"], test.regions)
    return Decoded(found, scores, mcc, bend_mcc(matrix, task.label_set), settings)


def bend_mcc(matrix: NDArray[np.int64], label_set: LabelSet) -> float:
    """Return the MCC of BEND's nine labels, which others report, of a table of counts, (K, K)."""
    return scores_of_confusion(merged(matrix, label_set.in_bend), LABEL_SETS["bend"].labels).mcc
