"""Scores of a masked language model on held-out windows, beside what counting reaches on the same bases.

Every scored base is shown as the mask id. (BERT's 80/10/10 is for training: of the bases that it predicts it
shows a tenth as they are, which a score must not count.) The model reads its window with all scored bases
hidden; the Markov models read the true flanks, which is in their favour.

W windows, B of them in a batch, L window length in bp.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.data.masking import NO_LABEL, MaskingSettings
from convnova.data.windows import PretrainingWindows
from convnova.errors import InputError
from convnova.evaluation.markov import Flanks, MarkovModel, base_frequencies, choose_markov, fit_markov
from convnova.evaluation.mode import evaluating
from convnova.model.modeling_convnova import COMPLEMENT
from convnova.sequence import Ids


class BaseScores(NamedTuple):
    """What one model gives to each scored base; NaN and False where none is scored. Both (W, L)."""

    nats: NDArray[np.float32]
    """Negative log probability of the true base, in nats."""
    is_correct: NDArray[np.bool_]
    """Whether the true base got the highest probability."""


class Summary(NamedTuple):
    """Scores of one model over all scored bases of a split."""

    model: str
    nats_per_base: float
    bits_per_base: float
    perplexity: float
    accuracy: float
    median_window_bits: float
    """Median over windows of bits per base: unlike the mean it is not moved by a few repeats."""
    bases: int


def evaluation_masking(masking: MaskingSettings) -> MaskingSettings:
    """Return the same masking rate with every predicted base hidden."""
    return replace(masking, mask_share=1.0, random_share=0.0, protocol="standard")


@torch.no_grad()
def score_model(
    model: Any, windows: PretrainingWindows, batch_windows: int = 32, both_strands: bool = False
) -> BaseScores:
    """Return what a masked language model gives to each scored base of held-out windows.

    Args:
        model: gives logits (B, L, 5) for ids (B, L); its mode is restored.
        windows: held-out windows (`is_training` false).
        batch_windows: windows in one forward pass.
        both_strands: whether to average the probabilities with those read from the opposite strand.

    Raises:
        InputError: when the model gives NaN for a scored base.
    """
    device = next(model.parameters()).device
    nats, correct = [], []
    with evaluating(model):
        for first in range(0, len(windows), batch_windows):
            batch = windows.__getitems__(range(first, min(first + batch_windows, len(windows))))
            ids, labels = (torch.from_numpy(batch[name]).to(device) for name in ("input_ids", "labels"))
            log_p = base_log_probabilities(model, ids, both_strands)
            is_scored = labels != NO_LABEL
            true = log_p.gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
            if true[is_scored].isnan().any():
                raise InputError("the model gives no number for some bases; its weights are broken")
            nats.append(torch.where(is_scored, -true, torch.nan).cpu().numpy())
            correct.append((is_scored & (log_p.argmax(2) == labels)).cpu().numpy())
    return BaseScores(np.concatenate(nats), np.concatenate(correct))


def base_log_probabilities(model: Any, ids: torch.Tensor, both_strands: bool = False) -> torch.Tensor:
    """Return the natural log of P(A, C, G, T) at each base of ids (B, L), shape (B, L, 4).

    The share of N is left out. With `both_strands` the probabilities are the mean of what the model says of
    the sequence and of its reverse complement, so either strand gets the same answer.
    """
    log_p = model(input_ids=ids).logits[..., :4].float().log_softmax(-1)
    if not both_strands:
        return log_p
    complement = torch.tensor(COMPLEMENT, device=ids.device)
    opposite = base_log_probabilities(model, complement[ids.flip(1)]).flip(1, 2)
    return torch.logaddexp(log_p, opposite) - math.log(2)


def score_counting(log_probabilities: Any, windows: PretrainingWindows) -> BaseScores:
    """Return what a function of true ids (L,) to log probabilities (L, 4) gives to the same bases."""
    nats, correct = [], []
    for index in range(len(windows)):
        true = windows.true_ids([index])[0]
        log_p = log_probabilities(true)
        is_scored = windows[index]["labels"][0] != NO_LABEL
        row = -np.take_along_axis(log_p, np.minimum(true, 3).astype(np.int64)[:, None], axis=1)[:, 0]
        nats.append(np.where(is_scored, row, np.nan).astype(np.float32))
        correct.append(is_scored & (log_p.argmax(axis=1) == true))
    return BaseScores(np.stack(nats), np.stack(correct))


def summarise(name: str, scores: BaseScores) -> Summary:
    """Return the summary of one model's scores.

    Raises:
        InputError: when no base is scored.
    """
    is_scored = ~np.isnan(scores.nats)
    if not is_scored.any():
        raise InputError(
            "no base of the held-out windows is scored; give more windows, or mask a larger share"
        )
    nats = float(scores.nats[is_scored].mean(dtype=np.float64))
    per_window = np.nanmean(scores.nats[is_scored.any(axis=1)], axis=1)
    return Summary(
        model=name,
        nats_per_base=nats,
        bits_per_base=nats / math.log(2),
        perplexity=math.exp(nats),
        accuracy=float(scores.is_correct[is_scored].mean()),
        median_window_bits=float(np.median(per_window) / np.log(2)),
        bases=int(is_scored.sum()),
    )


def compare_with_counting(
    model: Any,
    train: Sequence[Ids],
    validation: Sequence[Ids],
    windows: PretrainingWindows,
    batch_windows: int = 32,
) -> list[Summary]:
    """Return one row a model, weakest idea first: uniform, base frequencies, Markov models, ours.

    Args:
        model: a masked language model.
        train: training regions, that the counting models are fitted on.
        validation: validation regions, on which their order and pseudocount are chosen; without any, they
            are chosen on the last tenth of each training region and fitted on all.
        windows: held-out windows to score.
        batch_windows: windows in one forward pass.
    """
    frequencies = np.log(base_frequencies(train))
    rows = [
        summarise("uniform guess", score_counting(lambda ids: np.full((len(ids), 4), -np.log(4)), windows)),
        summarise(
            "base frequencies", score_counting(lambda ids: np.tile(frequencies, (len(ids), 1)), windows)
        ),
    ]
    names: dict[Flanks, str] = {"left": "left flank", "both": "both flanks"}
    for flanks, given in names.items():
        markov = _best_markov(train, validation, flanks)
        name = f"Markov, {given}, order {markov.order}"
        rows.append(summarise(name, score_counting(markov.log_probabilities, windows)))
    rows.append(summarise("ConvNova", score_model(model, windows, batch_windows)))
    rows.append(summarise("ConvNova, strands averaged", score_model(model, windows, batch_windows, True)))
    return rows


def _best_markov(train: Sequence[Ids], validation: Sequence[Ids], flanks: Flanks) -> MarkovModel:
    if validation:
        return choose_markov(train, validation, flanks).model
    heads, tails = zip(*(np.split(ids, [len(ids) - len(ids) // 10]) for ids in train), strict=True)
    chosen = choose_markov(heads, tails, flanks).model
    return fit_markov(train, chosen.order, flanks, chosen.pseudocount)
