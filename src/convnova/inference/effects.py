"""What edits of a sequence do to a model's outputs: of a sequence, of each base, of its language model.

An effect reads references once, and gives what tells the effects of edits of them from then on.

M edits, N reference sequences, W width of a window, K outputs, C channels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convnova.inference.edited_pooling import PooledReference, in_full
from convnova.inference.edits import Changed, Edits, ReferencePass
from convnova.sequence import N

Effects = Callable[[Edits], Tensor]
"""Gives a number for each edit and output, (M, K)."""
Effect = Callable[[ReferencePass], Effects]
Score = Callable[[Tensor], Tensor]
"""Logits (B, K) to one number a sequence, (B,), or to several, (B, n)."""


def output_of(config: Any, label: int) -> Score:
    """Return what is read of logits for one label, (B, K) to (B,).

    For classes it is a logit less the mean of the other logits, which for two is the log-odds in nats; else
    the logit of an independent label, or a value.
    """

    def read(logits: Tensor) -> Tensor:
        own = logits[:, label]
        if not _has_classes(config):
            return own
        return own - (logits.sum(1) - own) / (config.num_labels - 1)

    return read


def label_score(config: Any, label: int) -> Score:
    """Return what a variant changes of one label, (B, K) to (B,).

    Of two classes it is the log-odds against the other, of more log P(label), both in nats; else the logit of
    an independent label, or a value.
    """
    if _has_classes(config) and config.num_labels > 2:
        return lambda logits: logits.log_softmax(-1)[:, label]
    return output_of(config, label)


def head_score(config: Any) -> Score:
    """Return what a variant changes of all labels, (B, K), or of two classes of the second, (B,)."""
    if not _has_classes(config):
        return lambda logits: logits
    if config.num_labels == 2:
        return label_score(config, 1)
    return lambda logits: logits.log_softmax(-1)


def _has_classes(config: Any) -> bool:
    return config.num_labels > 1 and config.problem_type not in ("regression", "multi_label_classification")


def output_change(model: Any, score: Score) -> Effect:
    """Return the change of what `score` reads of a sequence head's logits, (M, n)."""

    def of(reference: ReferencePass) -> Effects:
        pooled = PooledReference(reference, model.config)
        before = _scores(model, score, pooled.pooled)

        def effects(edits: Edits) -> Tensor:
            return _scores(model, score, pooled.edited(edits, reference.edited(edits))) - before[edits.rows]

        return effects

    return of


def embedding_distance(strands: bool = False) -> Effect:
    """Return how far an edit moves the mean hidden state of the bases that it reaches, (M, 1).

    It is the Euclidean distance between the means before and after; bases farther away do not change. With
    both strands hidden states are their mean.
    """

    def move(reference: ReferencePass) -> Effects:
        sums = F.pad(_real(reference, reference.hidden).cumsum(1, dtype=torch.float64), (0, 0, 1, 0))

        def moves(edits: Edits) -> Tensor:
            changed = reference.edited(edits)
            first, last = _span(reference, edits, changed)
            count = (last - first).clamp(min=1).unsqueeze(1)
            before = (sums[edits.rows, last] - sums[edits.rows, first]) / count
            inside = changed.is_inside.unsqueeze(-1)
            after = (changed.hidden * inside).sum(1, dtype=torch.float64) / inside.sum(1).clamp(min=1)
            return (after - before).float()

        return moves

    def of(reference: ReferencePass) -> Effects:
        moves = (both_strands(move) if strands else move)(reference)
        return lambda edits: moves(edits).norm(dim=1, keepdim=True)

    return of


def largest_base_change(model: Any, strands: bool = False, opposite: Sequence[int] = ()) -> Effect:
    """Return the change of each label's probability at that base where it changes most, signed, (M, K).

    Inserted and removed bases, which only one of the two sequences has, are not compared.

    Args:
        model: with a head for each base.
        strands: whether probabilities are the mean of both strands.
        opposite: which label on the other strand is the same as each, (K,).
    """

    def changes(reference: ReferencePass) -> Effects:
        before = in_fp32(model.classifier, reference.hidden).softmax(-1)

        def of_bases(edits: Edits) -> Tensor:
            changed = reference.edited(edits)
            places = edits.reference_places(changed.places)
            is_compared = changed.is_inside & (places >= 0)
            after = in_fp32(model.classifier, changed.hidden).softmax(-1)
            of_reference = before[edits.rows.unsqueeze(1), places.clamp(0, reference.length_bp - 1)]
            return (after - of_reference) * is_compared.unsqueeze(-1)

        return of_bases

    def of(reference: ReferencePass) -> Effects:
        forward = changes(reference)
        backward = changes(reference.opposite()) if strands else None

        def effects(edits: Edits) -> Tensor:
            change = forward(edits)
            if backward is not None:  # its windows are the same bases, from the last to the first
                turned = backward(reference.opposite().opposite_of(edits)).flip(1)
                change = (change + turned[..., list(opposite)]) / 2
            return change.gather(1, change.abs().argmax(dim=1, keepdim=True)).squeeze(1)

        return effects

    return of


def pseudo_likelihood_change(model: Any) -> Effect:
    """Return the change of the sum of log P(base) over all bases, each of them in view: nats, (M, 1)."""

    def of(reference: ReferencePass) -> Effects:
        log_p = _real(reference, _own_log_p(model, reference.hidden, reference.ids).unsqueeze(-1))
        sums = F.pad(log_p.squeeze(-1).cumsum(1, dtype=torch.float64), (1, 0))

        def effects(edits: Edits) -> Tensor:
            changed = reference.edited(edits)
            log_p = _own_log_p(model, changed.hidden, reference.edited_ids(edits, changed))
            first, last = _span(reference, edits, changed)
            before = sums[edits.rows, last] - sums[edits.rows, first]
            return ((log_p * changed.is_inside).sum(1) - before).float().unsqueeze(1)

        return effects

    return of


def masked_log_odds(model: Any) -> Effect:
    """Return log P(new bases) - log P(old bases) while these are hidden: nats, (M, 1).

    It is NaN where the length changes, or an old or new base is N.
    """

    def of(reference: ReferencePass) -> Effects:
        def effects(edits: Edits) -> Tensor:
            if edits.growth:
                return _nothing(edits)
            return _odds(masked_log_probabilities(model, reference, edits), reference, edits)

        return effects

    return of


def unmasked_log_odds(model: Any) -> Effect:
    """Return log P(new bases) - log P(old bases), read from the reference as it is: nats, (M, 1).

    It is NaN where `masked_log_odds` is.
    """

    def of(reference: ReferencePass) -> Effects:
        log_p = base_log_p(model, reference.hidden)

        def effects(edits: Edits) -> Tensor:
            if edits.growth:
                return _nothing(edits)
            return _odds(log_p[edits.rows.unsqueeze(1), _replaced(edits)], reference, edits)

        return effects

    return of


def masked_log_probabilities(model: Any, reference: ReferencePass, edits: Edits) -> Tensor:
    """Return log P(A, C, G, T) at each replaced base while all are hidden: nats, (M, removed, 4)."""
    hidden = edits._replace(inserted=edits.inserted.new_full((len(edits.rows), edits.removed), N))
    return base_log_p(model, reference.edited_alone(hidden))


def base_log_p(model: Any, hidden: Tensor) -> Tensor:
    """Return log P(A, C, G, T) of a language model for hidden states (..., C), (..., 4), N left out."""
    return in_fp32(model.lm_head, hidden)[..., :N].log_softmax(-1)


def in_fp32(head: Any, hidden: Tensor) -> Tensor:
    """Return what a head makes of hidden states (..., C) in single precision; bf16 rounds effects away."""
    with in_full(hidden) as full:
        return head(full)


def both_strands(effect: Effect) -> Effect:
    """Return the mean of an effect over both strands."""

    def of(reference: ReferencePass) -> Effects:
        other = reference.opposite()
        forward, backward = effect(reference), effect(other)
        return lambda edits: (forward(edits) + backward(other.opposite_of(edits))) / 2

    return of


def _replaced(edits: Edits) -> Tensor:
    """Return the places that are replaced, (M, removed)."""
    return edits.starts.unsqueeze(1) + torch.arange(edits.removed, device=edits.starts.device)


def _odds(log_p: Tensor, reference: ReferencePass, edits: Edits) -> Tensor:
    """Return the log-odds of new against old bases, (M, 1), of log probabilities (M, removed, 4)."""
    old = reference.ids[edits.rows.unsqueeze(1), _replaced(edits)]
    of_new, of_old = (
        log_p.gather(2, ids.clamp(max=N - 1).unsqueeze(2)).squeeze(2) for ids in (edits.inserted, old)
    )
    is_known = ((old < N) & (edits.inserted < N)).all(1, keepdim=True)
    return (of_new - of_old).sum(1, keepdim=True).masked_fill(~is_known, torch.nan)


def _nothing(edits: Edits) -> Tensor:
    return torch.full((len(edits.rows), 1), torch.nan, device=edits.rows.device)


def _span(reference: ReferencePass, edits: Edits, changed: Changed) -> tuple[Tensor, Tensor]:
    """Return the bases of the reference that the windows of edits stand for: first and one past the last."""
    last = changed.starts + changed.hidden.shape[1] - edits.growth
    return changed.starts.clamp(min=0), torch.minimum(last, reference.lengths[edits.rows])


def _real(reference: ReferencePass, x: Tensor) -> Tensor:
    """Return x (N, L, C) with zeros at padding."""
    places = torch.arange(reference.length_bp, device=x.device)
    return x * (places < reference.lengths.unsqueeze(1)).unsqueeze(-1)


def _scores(model: Any, score: Score, pooled: Tensor) -> Tensor:
    """Return what is read of the logits, (B, n)."""
    read = score(in_fp32(model.classifier, pooled))
    return read.unsqueeze(1) if read.dim() == 1 else read


def _own_log_p(model: Any, hidden: Tensor, ids: Tensor) -> Tensor:
    """Return log P of each base that is there, (B, L); 0 for N."""
    log_p = base_log_p(model, hidden)
    own = log_p.gather(-1, ids.clamp(max=N - 1).unsqueeze(-1)).squeeze(-1)
    return own.masked_fill(ids == N, 0.0)
