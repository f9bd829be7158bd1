"""Saturation mutagenesis: what each single substitution, and deletion, does to a model's output.

Of ConvNova only what a changed base can reach is computed again (see `edits`); other systems, and networks
that downsample, read each mutant whole. Both give the same numbers.

L length in bp, M edits, B batch, K outputs.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.errors import InputError
from convnova.evaluation.mode import evaluating
from convnova.inference.edits import Edits, ReferencePass
from convnova.inference.effects import Effect, Score, base_log_p, masked_log_probabilities, output_change
from convnova.inference.inputs import ids_tensor
from convnova.model.modeling_convnova import ConvNovaPreTrainedModel
from convnova.sequence import Ids

BATCH_BASES = 2**15
"""Bases of all windows that are computed at once."""


class Mutagenesis(NamedTuple):
    """Scores of a sequence and of all its single substitutions."""

    ids: Ids
    """The reference sequence, (L,)."""
    reference: float
    """Its score."""
    effects: NDArray[np.float32]
    """Score of each substitution minus that of the reference, by position and new base A, C, G, T, (L, 4);
    0 where the new base is the reference."""
    deletions: NDArray[np.float32] | None = None
    """Score without the base minus that of the reference, (L,); None where that was not asked for."""

    @property
    def importance(self) -> NDArray[np.float32]:
        """What is lost on average when a base is replaced, (L,): positive where the reference base helps."""
        return importance(self.ids, self.effects)


class AllEffects(NamedTuple):
    """Effects of all single edits of a sequence."""

    substitutions: NDArray[np.float32]
    """By position, new base A, C, G, T, and output, (L, 4, K); 0 where the new base is the reference."""
    deletions: NDArray[np.float32] | None
    """(L, K); None where they were not asked for."""


def log_odds(logits: Tensor) -> Tensor:
    """Return the log-odds of class 1 against class 0 in nats, (B,)."""
    return logits[:, 1] - logits[:, 0]


def importance(ids: Ids, effects: NDArray[np.floating]) -> NDArray[Any]:
    """Return what is lost on average when a base of ids (L,) is replaced, (L,), from effects (L, 4)."""
    is_other = np.arange(4) != ids[:, None]
    return -(effects * is_other).sum(axis=1) / is_other.sum(axis=1)


def is_incremental(model: Any) -> bool:
    """Whether only what an edit reaches needs to be computed again: ConvNova without downsampling."""
    return isinstance(model, ConvNovaPreTrainedModel) and not model.config.downsampling


def check_compile(model: Any, is_wanted: bool) -> None:
    """Check that torch.compile is not wanted where it would change nothing.

    Raises:
        InputError: when it is.
    """
    if is_wanted and is_incremental(model):
        raise InputError(
            "compile is of whole passes, and of a variant only what it reaches is computed; leave it out"
        )


def saturation_mutagenesis(
    model: Any, ids: Ids, score: Score = log_odds, deletions: bool = False, batch_bases: int = BATCH_BASES
) -> Mutagenesis:
    """Return the effect of every substitution of one sequence on what is read of a model's logits.

    Args:
        model: gives logits (B, K) for ids (B, L); its mode is restored.
        ids: the sequence, (L,).
        score: what to read from the logits, (B,).
        deletions: whether to delete each base too, which makes the sequence shorter.
        batch_bases: most bases that are computed at once. It changes no result, only memory and time.

    Raises:
        InputError: for anything but ids of one sequence.
    """
    _check(ids, deletions)
    if not is_incremental(model):
        return by_full_passes(model, ids, score, deletions, batch_bases)
    found = all_effects(model, ids, output_change(model, score), deletions, batch_bases)
    with evaluating(model), torch.inference_mode():
        reference = float(score(model(input_ids=ids_tensor(model, ids[None])).logits.float()))
    gone = None if found.deletions is None else found.deletions[:, 0]
    return Mutagenesis(ids, reference, found.substitutions[..., 0], gone)


def all_effects(
    model: Any,
    ids: Ids,
    effect: Effect,
    deletions: bool = False,
    batch_bases: int = BATCH_BASES,
    within: slice = slice(None),
    advance: Callable[[int], None] | None = None,
) -> AllEffects:
    """Return the effects of all single substitutions, and deletions, of one sequence.

    Args:
        model: a ConvNova model with any head, for which `is_incremental`; its mode is restored.
        ids: the sequence, (L,).
        effect: what is read of an edit.
        deletions: whether to delete each base too.
        batch_bases: most bases that are computed at once.
        within: which positions are changed, the others being there for them to be read; default all.
        advance: is told of edits that are done.

    Raises:
        InputError: for anything but ids of one sequence.
    """
    _check(ids, deletions)
    places = np.arange(len(ids))[within]
    positions, bases = substitutions(ids[within])
    with evaluating(model), torch.inference_mode():
        effects = effect(ReferencePass(model.convnova, ids_tensor(model, ids[None])))

        def of(changed: NDArray[np.int64], inserted: Ids) -> NDArray[np.float32]:
            made = []
            for rows in _batches(len(changed), batch_bases // model.config.receptive_field):
                made.append(effects(_edits(model, changed[rows], inserted[rows])).cpu().numpy())
                if advance is not None:
                    advance(len(made[-1]))
            return np.concatenate(made)

        values = of(places[positions], bases[:, None])
        found = np.zeros((len(places), 4, values.shape[1]), dtype=np.float32)
        found[positions, bases] = values
        gone = of(places, np.empty((len(places), 0), dtype=np.uint8)) if deletions else None
    return AllEffects(found, gone)


def masked_effects(
    model: Any,
    ids: Ids,
    batch_bases: int = BATCH_BASES,
    within: slice = slice(None),
    advance: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Return log P(base) - log P(reference base) at each position while it is hidden, in nats, (L, 4).

    It is NaN at positions where the reference is N.

    Args:
        model: a masked language model for which `is_incremental`; its mode is restored.
        ids: the sequence, (L,).
        batch_bases: most bases that are computed at once.
        within: which positions are looked at; default all.
        advance: is told of positions that are done.
    """
    _check(ids)
    places, made = np.arange(len(ids))[within], []
    with evaluating(model), torch.inference_mode():
        reference = ReferencePass(model.convnova, ids_tensor(model, ids[None]))
        for rows in _batches(len(places), batch_bases // model.config.receptive_field):
            edits = _edits(model, places[rows], ids[places[rows], None])
            made.append(masked_log_probabilities(model, reference, edits)[:, 0].cpu().numpy())
            if advance is not None:
                advance(len(made[-1]))
    return against_reference(np.concatenate(made), ids[within])


@torch.inference_mode()
def unmasked_effects(model: Any, ids: Ids, within: slice = slice(None)) -> NDArray[np.float32]:
    """Return log P(base) - log P(reference base) at each position as it is read, in nats, (L, 4).

    Arguments are those of `masked_effects`.
    """
    with evaluating(model):
        hidden = model.convnova(ids_tensor(model, ids[None])).last_hidden_state[0, within]
        return against_reference(base_log_p(model, hidden).cpu().numpy(), ids[within])


def against_reference(log_p: NDArray[np.float32], ids: Ids) -> NDArray[np.float32]:
    """Return log probabilities (L, 4) less those of the bases of a sequence (L,); NaN where it is N."""
    own = np.take_along_axis(log_p, ids.clip(max=3).astype(np.int64)[:, None], axis=1)
    return np.where(ids[:, None] < 4, log_p - own, np.float32(np.nan))


def substitutions(ids: Ids) -> tuple[NDArray[np.int64], Ids]:
    """Return position and new base of every substitution of a sequence (L,), in reading order."""
    positions, bases = np.nonzero(np.arange(4) != ids[:, None])
    return positions, bases.astype(np.uint8)


@torch.inference_mode()
def by_full_passes(
    model: Any, ids: Ids, score: Score = log_odds, deletions: bool = False, batch_bases: int = BATCH_BASES
) -> Mutagenesis:
    """Return what `saturation_mutagenesis` does for any model, by a pass over each whole mutant."""
    positions, bases = substitutions(ids)
    batch = max(1, batch_bases // len(ids))

    def scores(mutants: NDArray[np.uint8]) -> NDArray[np.float32]:
        return score(model(input_ids=ids_tensor(model, mutants)).logits.float()).cpu().numpy()

    with evaluating(model):
        reference = float(scores(ids[None])[0])
        found = np.zeros((len(ids), 4), dtype=np.float32)
        for rows in _batches(len(positions), batch):
            mutants = np.tile(ids, (len(positions[rows]), 1))
            mutants[np.arange(len(mutants)), positions[rows]] = bases[rows]
            found[positions[rows], bases[rows]] = scores(mutants) - reference
        gone = None
        if deletions:
            shorter = np.stack([np.delete(ids, place) for place in range(len(ids))])
            gone = np.concatenate([scores(shorter[rows]) for rows in _batches(len(ids), batch)])
            gone -= np.float32(reference)
    return Mutagenesis(ids, reference, found, gone)


def _check(ids: Ids, deletions: bool = False) -> None:
    if ids.ndim != 1 or not len(ids):
        raise InputError(f"saturation mutagenesis reads one sequence, ids (L,); got shape {ids.shape}")
    if deletions and len(ids) == 1:
        raise InputError("the sequence has one base, and nothing is left without it; leave out deletions")


def _batches(count: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(first, first + size) for first in range(0, count, size))


def _edits(model: Any, places: NDArray[np.int64], inserted: Ids) -> Edits:
    """Return edits that replace one base each, at places (M,), by ids (M, n)."""
    rows = torch.zeros(len(places), dtype=torch.long, device=model.device)
    return Edits(rows, torch.from_numpy(places).to(model.device), 1, ids_tensor(model, inserted))
