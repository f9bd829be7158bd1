"""Predictions and embeddings of whole sequences, padded in batches of similar length.

n sequences, B batch, L length in bp, C channels, K classes, labels or values.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.data.labelled import Sequences
from convnova.evaluation.mode import evaluating
from convnova.inference.inputs import ahead, model_inputs
from convnova.sequence import reverse_complement

BATCH_BASES = {"cpu": 2**16, "cuda": 2**18}
"""Of a batch by default; an H200 embeds in fp32 7.5 times faster in batches of 2**18 bases than of 2**15."""


def predict(
    model: Any, sequences: Sequences, both_strands: bool = False, batch_bases: int | None = None
) -> NDArray[np.float32]:
    """Return the prediction of a sequence model for each sequence, (n, K); the model's mode is restored.

    What comes back follows `model.config.problem_type`: probabilities that sum to 1 for classes,
    independent probabilities for multi-label, the values themselves for regression.

    Args:
        model: a model with a sequence head.
        sequences: n sequences; they are batched by length, which changes no result.
        both_strands: whether to average with the prediction for the reverse complement.
        batch_bases: most bases of a batch, padding included, by default `BATCH_BASES`; a longer sequence
            goes alone.
    """
    activation = {
        "regression": lambda logits: logits,
        "multi_label_classification": torch.sigmoid,
        "single_label_classification": lambda logits: logits.softmax(-1),
    }[model.config.problem_type or "single_label_classification"]

    def probabilities(inputs: dict[str, Tensor]) -> Tensor:
        return activation(model(**inputs).logits.float())

    return _by_batch(model, probabilities, model.config.num_labels, sequences, both_strands, batch_bases)


def pooled_embeddings(
    model: Any, sequences: Sequences, both_strands: bool = False, batch_bases: int | None = None
) -> NDArray[np.float32]:
    """Return what a sequence model's head reads of each sequence, (n, `config.pooled_size`).

    Arguments are those of `predict`.
    """

    def embeddings(inputs: dict[str, Tensor]) -> Tensor:
        return model.embed(**inputs).float()

    return _by_batch(model, embeddings, model.config.pooled_size, sequences, both_strands, batch_bases)


@torch.no_grad()
def _by_batch(
    model: Any,
    run: Callable[[dict[str, Tensor]], Tensor],
    width: int,
    sequences: Sequences,
    both_strands: bool,
    batch_bases: int | None,
) -> NDArray[np.float32]:
    """Return what `run` makes of the inputs of each batch, (B, width), in the order of the sequences."""
    out = np.empty((len(sequences), width), dtype=np.float32)

    def inputs() -> Iterator[tuple[NDArray[np.int64], list[dict[str, Tensor]]]]:
        for rows in batches_by_length(sequences.lengths, batch_bases or bases_at_once(model)):
            ids = [sequences[int(row)] for row in rows]
            strands = [ids, [reverse_complement(one) for one in ids]] if both_strands else [ids]
            yield rows, [model_inputs(model, one) for one in strands]

    with evaluating(model):
        for rows, given in ahead(inputs()):
            out[rows] = torch.stack([run(one) for one in given]).mean(0).cpu().numpy()
    return out


def bases_at_once(model: Any) -> int:
    """Return how many bases a batch has by default where a model is."""
    return BATCH_BASES.get(model.device.type, BATCH_BASES["cpu"])


def batches_by_length(lengths: NDArray[np.int64], batch_bases: int) -> list[NDArray[np.int64]]:
    """Return indices by batch, shortest sequences first, each with at most so many bases once padded."""
    order = np.argsort(lengths, kind="stable")
    batches, first = [], 0
    for place, row in enumerate(order):
        if place > first and (place + 1 - first) * lengths[row] > batch_bases:
            batches.append(order[first:place])
            first = place
    return [*batches, order[first:]] if len(order) else []
