"""Scores of many variants: references are read once for all variants near each other, and edited.

    chromosome   ──────v────────────v──v─────────────────v────
    stretches      [───v───]     [──v──v──]           [──v───]      a receptive field to either side of each,
                                                                    merged where they meet

A stretch gives what a pass over the whole chromosome gives, as far as its variants reach; where the bases
that differ are all that is looked at, half a receptive field is enough. Heads of whole sequences read a
window of one length around each variant instead, N beyond the ends of a chromosome; where the length of a
variant changes, its window takes the more or less from the right.

n variants, K scores, B batch.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.data.labelled import pad
from convnova.errors import InputError
from convnova.evaluation.mode import evaluating
from convnova.genome import Genome
from convnova.genome.variant import Variant
from convnova.inference.any_model import AnyModel, check_whole
from convnova.inference.edits import Edits, ReferencePass
from convnova.inference.effects import (
    Effect,
    Score,
    both_strands,
    embedding_distance,
    head_score,
    largest_base_change,
    masked_log_odds,
    output_change,
    pseudo_likelihood_change,
    unmasked_log_odds,
)
from convnova.inference.inputs import ids_tensor
from convnova.inference.mutagenesis import is_incremental
from convnova.inference.output_names import check_once
from convnova.inference.predict import batches_by_length
from convnova.inference.tiles import with_halo
from convnova.sequence import Ids, encode, reverse_complement

BATCH_BASES = 2**15
"""Bases of all stretches, or of all windows around edits, that are computed at once."""
LONGEST_BP, LONGEST_MARGINS = 2**13, 4
"""Length that merged stretches have at most, in bases or in the margins of a variant, whichever is more."""

OF_MASKED_LM = ("masked-llr", "unmasked-llr", "pseudo-likelihood", "embedding-distance")
OF_A_HEAD = ("output-change", "embedding-distance")
_OF_WHAT_DIFFERS = {"masked-llr", "unmasked-llr"}
_MEANINGS = {
    "masked-llr": "log P(ALT) - log P(REF) of what differs, hidden from first to last, in nats; same length",
    "unmasked-llr": "log P(ALT) - log P(REF) of what differs, in view of REF, in nats; same length",
    "pseudo-likelihood": "change of the sum of log P(base) over all bases in reach, each in view, nats",
    "embedding-distance": "Euclidean distance between the mean hidden states of the bases in reach",
}


class Column(NamedTuple):
    """A number of each variant."""

    name: str
    meaning: str


class VariantScorer(NamedTuple):
    """What is read of each variant."""

    columns: list[Column]
    score: Callable[[Genome, Sequence[Variant]], NDArray[np.float32]]
    """Gives the scores of variants of one chromosome, (n, K); NaN where there is none."""


def variant_scorer(
    loaded: AnyModel, scores: Sequence[str] = (), strands: bool = False, window_bp: int | None = None
) -> VariantScorer:
    """Return what scores variants with a model.

    Args:
        loaded: the model.
        scores: of `OF_MASKED_LM`, or of other models of `OF_A_HEAD`; default all that the model has.
        strands: whether to average over both strands.
        window_bp: of the sequences that a head of sequences reads; default that of the model, if known.

    Raises:
        InputError: for a score that the model has not, or a length that is missing.
    """
    known: tuple[str, ...] = OF_MASKED_LM if loaded.kind == "masked-lm" else OF_A_HEAD
    if not is_incremental(loaded.model):
        check_whole(loaded)
        known = OF_A_HEAD[:1]
    for name in scores:
        if name not in known:
            raise InputError(f"the model has no score {name!r}; it has {', '.join(known)}")
    check_once(scores, "score")
    chosen = tuple(scores or known)
    window = window_bp or loaded.window_bp
    of_windows = loaded.kind == "sequences" and "output-change" in chosen
    if of_windows and window is None:
        raise InputError("give window_bp, the length of the sequences that the model was trained on")
    of_stretches = [name for name in chosen if not (of_windows and name == "output-change")]
    effects = {name: _effect(loaded, name, strands) for name in of_stretches}
    columns = [column for name in chosen for column in _columns(loaded, name)]

    def score(genome: Genome, variants: Sequence[Variant]) -> NDArray[np.float32]:
        minimal = [variant.trimmed() for variant in variants]
        with evaluating(loaded.model), torch.inference_mode():
            found = _of_stretches(loaded.model, genome, minimal, effects) if effects else {}
            if of_windows and window is not None:
                found["output-change"] = _of_windows(loaded, genome, minimal, window, strands)
        return np.concatenate([found[name] for name in chosen], axis=1)

    return VariantScorer(columns, score)


def _effect(loaded: AnyModel, name: str, strands: bool) -> Effect:
    model = loaded.model
    if name == "embedding-distance":
        return embedding_distance(strands)
    if name == "output-change":
        return largest_base_change(model, strands, loaded.opposite)
    kinds = {
        "masked-llr": masked_log_odds,
        "unmasked-llr": unmasked_log_odds,
        "pseudo-likelihood": pseudo_likelihood_change,
    }
    effect = kinds[name](model)
    return both_strands(effect) if strands else effect


def _columns(loaded: AnyModel, name: str) -> list[Column]:
    if name != "output-change":
        return [Column(name, _MEANINGS[name])]
    if loaded.kind == "bases":
        return [
            Column(label, f"change of the probability of {label} at that base in reach where it changes most")
            for label in loaded.names
        ]
    problem = loaded.model.config.problem_type
    if problem in ("regression", "multi_label_classification"):
        what = "predicted {}" if problem == "regression" else "logit of {}"
        return [Column(label, f"change of the {what.format(label)}") for label in loaded.names]
    if len(loaded.names) == 2:
        first, second = loaded.names
        return [Column(second, f"change of the log-odds of {second} against {first}, nats")]
    return [Column(label, f"change of log P({label}), nats") for label in loaded.names]


class Stretch(NamedTuple):
    """Bases that are read for some variants."""

    start: int
    end: int
    variants: list[int]
    """Their numbers."""


def stretches(variants: Sequence[Variant], margin: int, size: int) -> list[Stretch]:
    """Return the stretches that hold some variants, in the order of the chromosome.

    Args:
        variants: of one chromosome, in any order.
        margin: bases to either side of a variant.
        size: length of the chromosome.
    """
    found: list[Stretch] = []
    longest = max(LONGEST_BP, LONGEST_MARGINS * margin)
    for number in sorted(range(len(variants)), key=lambda number: variants[number].start):
        variant = variants[number]
        start, end, _ = with_halo(variant.start, variant.end, margin, size)
        last = found[-1] if found else None
        if last is not None and start <= last.end and max(end, last.end) - last.start <= longest:
            found[-1] = Stretch(last.start, max(end, last.end), [*last.variants, number])
        else:
            found.append(Stretch(start, end, [number]))
    return found


def _of_stretches(
    model: Any, genome: Genome, variants: Sequence[Variant], effects: dict[str, Effect]
) -> dict[str, NDArray[np.float32]]:
    """Return the effects of variants of one chromosome, each (n, K)."""
    index = genome.index_of(variants[0].chromosome)
    size = genome.chromosome_sizes[variants[0].chromosome]
    found: dict[str, NDArray[np.float32]] = {}
    field = model.config.receptive_field
    margin = field // 2 + 1 if effects.keys() <= _OF_WHAT_DIFFERS else field
    read = stretches(variants, margin, size)
    for some in batches_by_length(np.array([one.end - one.start for one in read]), BATCH_BASES):
        batch = [read[number] for number in some]
        ids, mask = pad([genome.window(index, one.start, one.end) for one in batch])
        lengths = torch.from_numpy(mask.sum(1)).to(model.device)
        is_inner = all(one.start > 0 and one.end < size for one in batch)
        reference = ReferencePass(model.convnova, ids_tensor(model, ids), lengths, is_inner)
        ready = {name: effect(reference) for name, effect in effects.items()}
        rows = {number: row for row, one in enumerate(batch) for number in one.variants}
        begins = {number: one.start for one in batch for number in one.variants}
        for numbers, edits in _edits(model, variants, rows, begins):
            for name, effect in ready.items():
                values = effect(edits).cpu().numpy()
                found.setdefault(name, np.empty((len(variants), values.shape[1]), dtype=np.float32))
                found[name][numbers] = values
    return found


def _edits(
    model: Any, variants: Sequence[Variant], rows: dict[int, int], begins: dict[int, int]
) -> Iterator[tuple[list[int], Edits]]:
    """Yield the numbers of variants that are alike in their lengths, and their edits."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number in rows:
        alike[len(variants[number].reference), len(variants[number].alternate)].append(number)
    for (removed, inserted), numbers in alike.items():
        step = max(1, BATCH_BASES // (model.config.receptive_field + inserted))
        for first in range(0, len(numbers), step):
            some = numbers[first : first + step]
            new = np.stack([encode(variants[number].alternate) for number in some])
            yield (
                some,
                Edits(
                    torch.tensor([rows[number] for number in some], device=model.device),
                    torch.tensor([variants[n].start - begins[n] for n in some], device=model.device),
                    removed,
                    ids_tensor(model, new.reshape(len(some), inserted)),
                ),
            )


def _of_windows(
    loaded: AnyModel, genome: Genome, variants: Sequence[Variant], window: int, strands: bool
) -> NDArray[np.float32]:
    """Return the changes of what is read of a head of sequences, (n, K)."""
    model, score = loaded.model, head_score(loaded.model.config)
    chromosome = genome.index_of(variants[0].chromosome)
    effect = output_change(model, score)
    effect = both_strands(effect) if strands else effect
    found: NDArray[np.float32] | None = None
    step = max(1, BATCH_BASES // window)
    for first in range(0, len(variants), step):
        some = variants[first : first + step]
        starts = np.array([variant.start for variant in some]) - window // 2
        ids = genome.windows(np.full(len(some), chromosome), starts, window).ids
        fits = [not v.growth and v.end <= start + window for v, start in zip(some, starts, strict=True)]
        values: dict[int, NDArray[np.float32]] = {}
        if is_incremental(model) and any(fits):
            rows = {row: row for row, is_fit in enumerate(fits) if is_fit}
            effects = effect(ReferencePass(model.convnova, ids_tensor(model, ids)))
            for numbers, edits in _edits(model, some, rows, dict(enumerate(starts.tolist()))):
                values |= dict(zip(numbers, effects(edits).cpu().numpy(), strict=True))
        rest = [row for row in range(len(some)) if row not in values]
        if rest:
            edited = np.stack([_edited(genome, some[row], int(starts[row]), ids[row]) for row in rest])
            change = _read(model, score, edited, strands) - _read(model, score, ids[rest], strands)
            values |= dict(zip(rest, change, strict=True))
        if found is None:
            found = np.empty((len(variants), len(next(iter(values.values())))), dtype=np.float32)
        found[first : first + step] = [values[row] for row in range(len(some))]
    assert found is not None
    return found


def _edited(genome: Genome, variant: Variant, start: int, ids: Ids) -> Ids:
    """Return the window from a start on as the variant has it, of the same length."""
    window = len(ids)
    left = ids[: variant.start - start]
    right = genome.window(genome.index_of(variant.chromosome), variant.end, variant.end + window)
    return np.concatenate([left, encode(variant.alternate), right])[:window]


def _read(model: Any, score: Score, ids: NDArray[np.uint8], strands: bool) -> NDArray[np.float32]:
    """Return what is read of whole windows (B, L), (B, K)."""
    made = score(model(input_ids=ids_tensor(model, ids)).logits.float())
    values = made.reshape(len(ids), -1).cpu().numpy()
    if strands:
        values = (values + _read(model, score, reverse_complement(ids), False)) / np.float32(2)
    return values.astype(np.float32, copy=False)
