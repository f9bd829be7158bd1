"""What each base of a sequence contributes to an output, against shuffles of the sequence.

    deep-lift-shap         DeepLIFT's rescale rule, averaged over shuffles: a pass forward and back for each
    integrated-gradients   the gradient on the way from a shuffle to the sequence, averaged over shuffles
    mutagenesis            the output with the base, less its mean over the four bases; no shuffles

The first two are additive: what the bases of a sequence contribute adds up to its output less that of a
shuffle, and how far it does not is the convergence delta. Both are computed in double precision.

In a gated sum features + hidden * gate neither factor alone explains a change of the product. Half of it
goes to each, d(h g) = dh (g + g0) / 2 + dg (h + h0) / 2, which is exact, and the Shapley value of the two.

Source: Shrikumar et al., "Learning Important Features Through Propagating Activation Differences", ICML 2017,
arXiv 1704.02685; Lundberg and Lee, NeurIPS 2017, arXiv 1705.07874; Sundararajan et al., ICML 2017,
arXiv 1703.01365. The passes are those of tangermeme (DeepLIFT/SHAP) and captum (integrated gradients).

n sequences, B batch, R shuffles, L length in bp, K outputs.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from convnova.errors import InputError
from convnova.inference.effects import output_of
from convnova.inference.mutagenesis import saturation_mutagenesis
from convnova.model.layers_convnova import GatedSum
from convnova.model.modeling_convnova import Pooling
from convnova.sequence import Ids, N, reverse_complement

Method = Literal["deep-lift-shap", "integrated-gradients", "mutagenesis"]
AT_ONCE = 16
"""Sequences whose contributions are found between two moves of a bar."""
BATCH = 64
"""Pairs of a sequence and a shuffle in one pass."""
STEPS = (50, 100, 200, 400, 800)
"""Points of the path of integrated gradients (Gauss-Legendre): more where fewer leave too large a delta."""
TOLERANCE = 5e-4
"""Convergence delta that asks for more points."""


class Attributions(NamedTuple):
    """What each base contributes to an output."""

    ids: NDArray[np.uint8]
    """The sequences, padded on the right with N, (n, L)."""
    lengths: NDArray[np.int64]
    """Their lengths in bp, (n,)."""
    hypothetical: NDArray[np.float32]
    """What each of A, C, G, T contributes, or would if it stood there, (n, L, 4); 0 at padding."""
    deltas: NDArray[np.float64] | None
    """Convergence delta of each sequence and shuffle, as a share of what the outputs of the sequence and of
    its shuffles differ by on average, (n, R); None for mutagenesis."""

    @property
    def one_hot(self) -> NDArray[np.float32]:
        """The sequences as 0 and 1, (n, L, 4); N is 0 everywhere."""
        return (self.ids[..., None] == np.arange(4)).astype(np.float32)

    @property
    def contributions(self) -> NDArray[np.float32]:
        """What the base that stands there contributes, (n, L)."""
        return (self.hypothetical * self.one_hot).sum(-1)


def attribute(
    model: Any,
    sequences: Sequence[Ids],
    target: int = 1,
    method: Method = "deep-lift-shap",
    shuffles: int = 20,
    both_strands: bool = False,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Attributions:
    """Return what each base of some sequences contributes to an output of a sequence model.

    The output is, for classes, a logit less the mean of the other logits (for two classes the log-odds in
    nats); the logit of an independent label; or the value of a regression.

    Args:
        model: a ConvNova model with a sequence head.
        sequences: ids A 0, C 1, G 2, T 3, N 4, each (L,).
        target: number of the class, label or value.
        method: see above.
        shuffles: of each sequence, which keep its dinucleotides.
        both_strands: whether to average with what is found on the reverse complement.
        seed: of the shuffles.
        advance: is told of sequences that are done.

    Raises:
        InputError: when the library of the method is not installed, or the model has no such output.
    """
    if not 0 <= target < model.config.num_labels:
        raise InputError(f"the model has outputs 0 to {model.config.num_labels - 1}, and not {target}")
    parts = []
    for first in range(0, len(sequences), AT_ONCE):
        some = sequences[first : first + AT_ONCE]
        parts.append(_some(model, some, target, method, shuffles, both_strands, seed + first))
        if advance is not None:
            advance(len(some))
    return _joined(parts)


def _joined(parts: Sequence[Attributions]) -> Attributions:
    """Return parts as one, padded to the longest sequence of all."""
    longest = max(part.ids.shape[1] for part in parts)

    def padded(one: NDArray[Any], value: int) -> NDArray[Any]:
        missing = [(0, 0)] * one.ndim
        missing[1] = (0, longest - one.shape[1])
        return np.pad(one, missing, constant_values=value)

    deltas = [part.deltas for part in parts if part.deltas is not None]
    return Attributions(
        np.concatenate([padded(part.ids, N) for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([padded(part.hypothetical, 0) for part in parts]),
        np.concatenate(deltas) if deltas else None,
    )


def _some(
    model: Any,
    sequences: Sequence[Ids],
    target: int,
    method: Method,
    shuffles: int,
    both_strands: bool,
    seed: int,
) -> Attributions:
    """Return the contributions of a few sequences."""
    found = _one_strand(model, sequences, target, method, shuffles, seed)
    if not both_strands:
        return found
    others = [reverse_complement(ids) for ids in sequences]
    other = _one_strand(model, others, target, method, shuffles, seed)
    for row, length in enumerate(found.lengths):
        found.hypothetical[row, :length] += other.hypothetical[row, :length][::-1, ::-1]
        found.hypothetical[row, :length] /= 2
    deltas = None if found.deltas is None else np.concatenate([found.deltas, other.deltas], axis=1)
    return found._replace(deltas=deltas)


def _one_strand(
    model: Any, sequences: Sequence[Ids], target: int, method: Method, shuffles: int, seed: int
) -> Attributions:
    lengths = np.array([len(ids) for ids in sequences])
    ids = np.full((len(sequences), lengths.max()), N, np.uint8)
    for row, one in enumerate(sequences):
        ids[row, : len(one)] = one
    output = Output(model, target)
    if method == "mutagenesis":
        effects = np.zeros((*ids.shape, 4), np.float32)
        for row, one in enumerate(sequences):
            found = saturation_mutagenesis(model, one, score=output.of_logits).effects
            effects[row, : len(one)] = found - found.mean(axis=1, keepdims=True)
        return Attributions(ids, lengths, effects, None)
    bases = _one_hot(ids)
    mask = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])
    references = _shuffled(bases, lengths, shuffles, seed)
    if method == "deep-lift-shap":
        multipliers = _deep_lift_shap(output, bases, mask, references)
        deltas = _deltas(output, bases, mask, references, multipliers)
    else:
        multipliers, deltas = _integrated_gradients(output, bases, mask, references)
    # A base in place of the reference's: its own multiplier, less that of what is then not there.
    hypothetical = (multipliers - (multipliers * references).sum(2, keepdim=True)).mean(1)
    hypothetical = (hypothetical * mask[:, None]).transpose(1, 2).float()
    return Attributions(ids, lengths, hypothetical.numpy(), deltas.numpy())


class Output(nn.Module):
    """One output of a sequence model in double precision, from one-hot bases: what is attributed."""

    def __init__(self, model: Any, target: int):
        super().__init__()
        self.model = copy.deepcopy(model).cpu().double()
        self.target = target
        self.eval()  # all of it: tangermeme leaves a module in the mode that it found

    def forward(self, bases: Tensor, mask: Tensor) -> Tensor:
        """Return the output, (B, 1).

        Args:
            bases: A, C, G, T, (B, 4, L); what a position lacks to 1 is N.
            mask: whether a position is real, (B, L).
        """
        unknown = mask.to(bases.dtype).unsqueeze(1) - bases.sum(1, keepdim=True)
        embedded = torch.cat([bases, unknown], 1).transpose(1, 2)
        logits = self.model(inputs_embeds=embedded, attention_mask=mask).logits
        return self.of_logits(logits).unsqueeze(1)

    def of_logits(self, logits: Tensor) -> Tensor:
        """Return the output of logits (B, K), (B,)."""
        return output_of(self.model.config, self.target)(logits)

    @torch.no_grad()
    def of(self, bases: Tensor, mask: Tensor) -> Tensor:
        """Return the output of each sequence, (n,), or of each of its shuffles, (n, R, 4, L) to (n, R)."""
        if bases.dim() == 4:
            flat = self.of(bases.flatten(0, 1), mask.repeat_interleave(bases.shape[1], 0))
            return flat.view(bases.shape[:2])
        pairs = zip(bases.split(BATCH), mask.split(BATCH), strict=True)
        return torch.cat([self(some, real)[:, 0] for some, real in pairs])


def _one_hot(ids: NDArray[np.uint8]) -> Tensor:
    """Return A, C, G, T as 0 and 1 in double precision, (n, 4, L); N is 0 everywhere."""
    return F.one_hot(torch.from_numpy(ids).long(), 5)[..., :4].transpose(1, 2).double()


def _shuffled(bases: Tensor, lengths: NDArray[np.int64], shuffles: int, seed: int) -> Tensor:
    """Return shuffles of each sequence that keep its dinucleotides, (n, R, 4, L); padding stays."""
    dinucleotide_shuffle = library("tangermeme.ersatz").dinucleotide_shuffle
    made = torch.zeros(len(bases), shuffles, *bases.shape[1:], dtype=bases.dtype)
    for row, length in enumerate(lengths):
        real = bases[row : row + 1, :, :length]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # One by one: of many at once tangermeme refuses a sequence that has a single shuffle, as AAAA.
            for number in range(shuffles):
                made[row, number, :, :length] = dinucleotide_shuffle(
                    real, n=1, random_state=(seed + row) * shuffles + number, allow_N=True
                )[0]
    return made


def _deep_lift_shap(output: Output, bases: Tensor, mask: Tensor, references: Tensor) -> Tensor:
    """Return the multiplier of each base of each pair of sequence and shuffle, (n, R, 4, L)."""
    deep_lift_shap = library("tangermeme.deep_lift_shap").deep_lift_shap
    with _factors_kept(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of N, and of convergence deltas, which are reported
        return deep_lift_shap(
            output,
            bases,
            args=(mask,),
            references=references,
            raw_outputs=True,
            only_warn=True,
            batch_size=BATCH,
            additional_nonlinear_ops={GatedSum: _gated_sum_rule, Pooling: _pooling_rule},
            device="cpu",
        )


@contextmanager
def _factors_kept(module: nn.Module) -> Iterator[None]:
    """Let each gated sum remember what it multiplied, and each pooling which positions are real."""

    def keep(read: Any, inputs: tuple[Any, ...]) -> None:
        read.factors = tuple(None if one is None else one.detach() for one in inputs[1:])

    readers = [one for one in module.modules() if isinstance(one, GatedSum | Pooling)]
    handles = [one.register_forward_pre_hook(keep) for one in readers]
    try:
        yield
    finally:
        for handle, one in zip(handles, readers, strict=True):
            handle.remove()
            vars(one).pop("factors", None)


def _gated_sum_rule(
    module: Any, grad_input: tuple[Tensor, ...], grad_output: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Return the multipliers of features, hidden and gate; the first half of a batch are the sequences."""
    passed = grad_output[0]
    of_hidden, of_gate = (torch.cat([sum(one.chunk(2)) / 2] * 2) for one in reversed(module.factors))
    return passed, passed * of_hidden, passed * of_gate


def _pooling_rule(
    module: Any, grad_input: tuple[Tensor, ...], grad_output: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Return the multipliers of what is pooled; only the largest value is no sum of what it reads.

    The output goes up by what the largest position of the sequence has more than there was, and down by what
    the largest position of the shuffle has lost.
    """
    if module.config.pooling != "max":
        return grad_input
    x, before = module.input.chunk(2)
    (mask,) = module.factors
    padding = (
        torch.zeros_like(x, dtype=torch.bool) if mask is None else ~mask.bool().chunk(2)[0].unsqueeze(-1)
    )
    change = torch.sub(*module.output.chunk(2)).unsqueeze(1)
    risen, fallen = (one.masked_fill(padding, -torch.inf).argmax(1, keepdim=True) for one in (x, before))
    place = torch.where(change > 0, risen, fallen)
    own = (x - before).gather(1, place)
    share = torch.where(change == 0, 0, change / torch.where(own == 0, 1, own))
    passed = torch.zeros_like(x).scatter(1, place, share)
    return (torch.cat([passed, passed]) * grad_output[0].unsqueeze(1), *grad_input[1:])


def _integrated_gradients(
    output: Output, bases: Tensor, mask: Tensor, references: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean gradient between each shuffle and its sequence, (n, R, 4, L), and deltas, (n, R)."""
    method = library("captum.attr").IntegratedGradients(output, multiply_by_inputs=False)
    multipliers = torch.zeros_like(references)
    deltas = torch.full(references.shape[:2], torch.inf, dtype=bases.dtype)
    for steps in STEPS:
        rows, shuffles = (~(deltas <= TOLERANCE)).nonzero(as_tuple=True)  # NaN is no success
        if not len(rows):
            break
        for row, shuffle in zip(rows.split(BATCH), shuffles.split(BATCH), strict=True):
            multipliers[row, shuffle] = method.attribute(
                bases[row],
                references[row, shuffle],
                target=0,
                additional_forward_args=(mask[row],),
                n_steps=steps,
                internal_batch_size=BATCH,
            ).detach()
        deltas = _deltas(output, bases, mask, references, multipliers)
    return multipliers, deltas


def _deltas(output: Output, bases: Tensor, mask: Tensor, references: Tensor, multipliers: Tensor) -> Tensor:
    """Return how far contributions do not add up, as in `Attributions`, (n, R)."""
    contributed = (multipliers * (bases[:, None] - references)).sum((2, 3))
    differences = output.of(bases, mask)[:, None] - output.of(references, mask)
    scale = differences.abs().mean(1, keepdim=True).clamp(min=1e-12)
    return (contributed - differences).abs() / scale


def library(module: str) -> Any:
    """Return a module of a library that attribution needs.

    Raises:
        InputError: when it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{module.partition('.')[0]} is needed and not installed ({error}); "
            "pip install 'convnova[attribution]'"
        ) from None
