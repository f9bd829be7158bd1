"""The counting baselines that a DNA language model must beat, scored at the same positions.

Guessing uniformly costs 2 bits per base; knowing the base frequencies costs a little less. An interpolated
Markov model also looks at up to eight neighbours of the position x, the nearest first:

    flanks="left", order 4:   4 3 2 1 x              flanks="both", order 2:   3 1 x 2 4

A context c of d neighbours is trusted in proportion to how often training saw it, and otherwise leans on the
context c' without its farthest neighbour, down to the base frequencies and then to uniform:

    p_d(x | c) = (n(c, x) + a p_{d-1}(x | c')) / (n(c) + a)        with the pseudocount a

Contexts of every length share one table: if the neighbour j (0 is the nearest) is base b, it adds (1 + b) 4^j
to the row. So row 0 is the empty context, rows 1 to 4 are one neighbour, rows 5 to 20 two, and so on.

L length in bp, D neighbours in the longest context, R = (4^(D+1) - 1) / 3 rows of the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError
from convnova.sequence import Ids, N, reverse_complement

Flanks = Literal["left", "both"]

# At most eight neighbours, 87381 rows. Longer contexts pay only in a few stretches, as repeats would: on
# yeast chrV, order 5 on both flanks costs 1.896 bits to the 1.914 of order 4 (pseudocount 100), but the best
# 5 % of the 1-kb windows bring more than the whole gain, and the median window loses 0.008.
MAX_ORDER: dict[Flanks, int] = {"left": 8, "both": 4}
PSEUDOCOUNTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)

# Bounds what counting needs besides two copies of the sequence: 250 Mb fit in 0.8 GB, the sequence included.
_CHUNK_BP = 2**20


@dataclass(frozen=True, eq=False)
class MarkovModel:
    """An interpolated Markov model; `fit_markov` and `choose_markov` make them."""

    order: int
    """Neighbours on each flank that is looked at, in bp."""
    flanks: Flanks
    """Where the neighbours are: left of the position (5'), or on both sides."""
    pseudocount: float
    """Weight of the shorter context, in observations."""
    both_strands: bool
    """Whether the reverse complement of the training sequences was counted too."""
    log_table: NDArray[np.float64]
    """Natural log of P(A, C, G, T) after each context, shape (R, 4), read-only."""

    def log_probabilities(self, ids: Ids) -> NDArray[np.float64]:
        """Return the natural log of P(A, C, G, T) at every position, shape (L, 4), 32 bytes per bp.

        The base at the position itself is not looked at. Where a neighbour is N or beyond the end of the
        sequence, it and those after it (in the drawing at the top of this file) are ignored.
        """
        ids = _checked(ids, "sequence")
        log_probabilities = np.empty((len(ids), 4))
        for positions, rows in _context_rows(ids, _neighbours(self.order, self.flanks)):
            log_probabilities[positions] = self.log_table[rows]
        return log_probabilities


class MarkovChoice(NamedTuple):
    """The model that predicts the validation sequences best, and the scores of all that were tried."""

    model: MarkovModel
    validation_nats: dict[tuple[int, float], float]
    """Mean nats per known base of the validation sequences, by (order, pseudocount)."""


def base_frequencies(sequences: Sequence[Ids]) -> NDArray[np.float64]:
    """Return the fractions of A, C, G and T among the known bases, as written (one strand), shape (4,)."""
    counts = _count(sequences, [], False, "sequences")[0]
    return counts / counts.sum()


def fit_markov(
    sequences: Sequence[Ids], order: int, flanks: Flanks, pseudocount: float, both_strands: bool = True
) -> MarkovModel:
    """Return the model of this order and pseudocount, counted on the training sequences.

    Args:
        sequences: ids of each chromosome; no context reaches from one to the next, or across an N.
        order: neighbours per flank in bp, 0 to 8 for "left", 0 to 4 for "both".
        flanks: "left" or "both".
        pseudocount: weight of the shorter context in observations, above 0.
        both_strands: count each sequence and its reverse complement. Twice the data for the same contexts: on
            yeast it gains 0.003 bits per base with either choice of flanks.

    Raises:
        InputError: an argument is out of range, or the sequences hold no known base.
    """
    _check_settings(flanks, [order], [pseudocount])
    length = len(_neighbours(order, flanks))
    counts = _pool(_count(sequences, _neighbours(order, flanks), both_strands, "training sequences"), length)
    return MarkovModel(order, flanks, pseudocount, both_strands, _log_table(counts, length, pseudocount))


def choose_markov(
    train: Sequence[Ids],
    validation: Sequence[Ids],
    flanks: Flanks,
    orders: Sequence[int] | None = None,
    pseudocounts: Sequence[float] = PSEUDOCOUNTS,
    both_strands: bool = True,
) -> MarkovChoice:
    """Return the model whose order and pseudocount predict the validation sequences best.

    Each set is counted once, at the highest order: the table of a lower order is the head of that one.

    Args:
        train: ids of the chromosomes to count.
        validation: ids of the chromosomes to choose on, scored as written (one strand); never the test ones.
        flanks: "left" or "both".
        orders: the orders to try; None tries every one that `flanks` allows.
        pseudocounts: the pseudocounts to try.
        both_strands: count each training sequence and its reverse complement.

    Raises:
        InputError: an argument is out of range, or one of the sets holds no known base.
    """
    orders = range(MAX_ORDER.get(flanks, 0) + 1) if orders is None else orders
    _check_settings(flanks, orders, pseudocounts)
    neighbours = _neighbours(max(orders), flanks)
    counts = _pool(_count(train, neighbours, both_strands, "training sequences"), len(neighbours))
    longest = _count(validation, neighbours, False, "validation sequences")
    pooled = _pool(longest, len(neighbours))

    models: dict[tuple[int, float], MarkovModel] = {}
    nats: dict[tuple[int, float], float] = {}
    for pseudocount in pseudocounts:
        log_table = _log_table(counts, len(neighbours), pseudocount)
        for order in orders:
            rows = _rows_of_length(len(_neighbours(order, flanks)))
            model = MarkovModel(order, flanks, pseudocount, both_strands, log_table[: rows.stop])
            # Whoever knows more neighbours than this order has is counted at the longest context it has.
            seen = np.concatenate([longest[: rows.start], pooled[rows]])
            models[order, pseudocount] = model
            nats[order, pseudocount] = float(-(seen * model.log_table).sum() / seen.sum())
    return MarkovChoice(models[min(nats, key=nats.__getitem__)], nats)


def _neighbours(order: int, flanks: Flanks) -> list[int]:
    """Return the offsets of the neighbours in bp, nearest first: -1, -2, ... or -1, 1, -2, 2, ..."""
    sides = (-1,) if flanks == "left" else (-1, 1)
    return [side * distance for distance in range(1, order + 1) for side in sides]


def _rows_of_length(length: int) -> slice:
    """Return the rows of the contexts with this many neighbours."""
    return slice((4**length - 1) // 3, (4 ** (length + 1) - 1) // 3)


def _context_rows(ids: Ids, neighbours: list[int]) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Yield stretches of positions, and for each position in it the row of its longest known context."""
    reach = max(map(abs, neighbours), default=0)
    padded = np.pad(ids, reach, constant_values=N)
    for start in range(0, len(ids), _CHUNK_BP):
        stop = min(start + _CHUNK_BP, len(ids))
        rows = np.zeros(stop - start, dtype=np.int32)
        is_known = np.ones(stop - start, dtype=np.bool_)
        for digit, offset in enumerate(neighbours):
            base = padded[start + reach + offset : stop + reach + offset]
            is_known &= base != N
            rows += ((base + 1) * is_known).astype(np.int32) << (2 * digit)
        yield slice(start, stop), rows


def _count(
    sequences: Sequence[Ids], neighbours: list[int], both_strands: bool, name: str
) -> NDArray[np.int64]:
    """Return how often each base is seen in each context, shape (R, 4); a position counts at its longest."""
    size = _rows_of_length(len(neighbours)).stop
    counts = np.zeros(size * 5, dtype=np.int64)
    for ids in sequences:
        ids = _checked(ids, name)
        for strand in (ids, reverse_complement(ids)) if both_strands else (ids,):
            for positions, rows in _context_rows(strand, neighbours):
                counts += np.bincount(rows * 5 + strand[positions], minlength=len(counts))
    known = counts.reshape(size, 5)[:, :N]
    if not known.any():
        raise InputError(f"{name}: no A, C, G or T to count; give at least one known base")
    return known


def _pool(longest: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return counts, shape (R, 4), in which a position counts for all its contexts, not only the longest."""
    pooled = longest.copy()
    for shorter in reversed(range(length)):
        # The farthest neighbour is the highest digit of the row, so it is the first axis here.
        pooled[_rows_of_length(shorter)] += pooled[_rows_of_length(shorter + 1)].reshape(4, -1, 4).sum(axis=0)
    return pooled


def _log_table(pooled: NDArray[np.int64], length: int, pseudocount: float) -> NDArray[np.float64]:
    """Return the natural log of the interpolated P(A, C, G, T) after each context, shape (R, 4)."""
    table = np.empty(pooled.shape)
    shorter = np.full((1, 4), 0.25)
    for rows in map(_rows_of_length, range(length + 1)):
        total = pooled[rows].sum(axis=1, keepdims=True)
        table[rows] = (pooled[rows] + pseudocount * shorter) / (total + pseudocount)
        shorter = np.tile(table[rows], (4, 1))
    np.log(table, out=table)
    table.setflags(write=False)
    return table


def _checked(ids: Ids, name: str) -> Ids:
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.dtype != np.uint8:
        raise InputError(f"{name}: allowed are 1-D uint8 arrays of ids, got {ids.dtype} of shape {ids.shape}")
    if (largest := ids.max(initial=0)) > N:
        raise InputError(f"{name}: allowed are ids 0 to {N}, got {largest}")
    return ids


def _check_settings(flanks: Flanks, orders: Sequence[int], pseudocounts: Sequence[float]) -> None:
    if flanks not in MAX_ORDER:
        raise InputError(f"flanks {flanks!r}: allowed are {' and '.join(map(repr, MAX_ORDER))}")
    if len(orders) == 0 or len(pseudocounts) == 0:
        raise InputError("nothing to choose from: give at least one order and one pseudocount")
    for order in orders:
        if order not in range(MAX_ORDER[flanks] + 1):
            raise InputError(f"order {order}: allowed are 0 to {MAX_ORDER[flanks]} with flanks {flanks!r}")
    for pseudocount in pseudocounts:
        if not 0 < pseudocount < np.inf:
            raise InputError(f"pseudocount {pseudocount}: allowed are finite numbers above 0")
