"""What a model says of each base, in the classes that the decoder knows, whatever the labels were.

L length in bp, K labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convnova.errors import InputError

EXON, DONOR, INTRON, ACCEPTOR = 0, 3, 4, 5
"""Columns of strand +; an exon has one for each codon position, 0 to 2 in reading direction."""
START, STOP = 6, 7
"""The first and the last base of a gene in reading direction."""
MINUS = 8
"""What is added to a column for strand -."""
INTERGENIC = 16
CLASSES = 17
SITES = [column + strand for strand in (0, MINUS) for column in (DONOR, ACCEPTOR, START, STOP)]
"""Columns of single bases, the ends of introns and of genes."""
IN_PLACE_OF = {START: EXON, STOP: EXON + 2}
"""What is read of the ends of genes where labels do not tell them: the base of the codon."""

LOWEST = -100.0
"""Log-probability of what is said to be impossible, about the logarithm of the smallest float32.

With -infinity for a base, no sum over a chromosome could be taken."""

_COLUMNS = {
    "exon": (0, 1, 2),
    "CDS": (0, 1, 2),
    "codon0": (0,),
    "codon1": (1,),
    "codon2": (2,),
    "donor": (DONOR,),
    "intron": (INTRON,),
    "acceptor": (ACCEPTOR,),
    "start": (START,),
    "stop": (STOP,),
    "UTR": (),  # the grammar is one of coding genes
}


def emissions(log_probabilities: NDArray[np.floating], labels: Sequence[str]) -> NDArray[np.float32]:
    """Return log-probabilities of the decoder's classes, (L, 17).

    Columns are, for strand + and then for -, exon in codon position 0, 1 and 2, donor, intron, acceptor,
    start and stop, and at last intergenic. An exon label without codon positions fills all three;
    untranslated regions are added to intergenic. Labels without start (or stop) fill its column with that of
    codon position 0 (or 2).

    Args:
        log_probabilities: natural logarithms, (L, K).
        labels: name of each column: ``intergenic``, and with ``+`` or ``-`` behind it ``exon``, ``CDS``, or
            ``codon0`` to ``codon2`` by codon position; ``donor``, ``intron``, ``acceptor``, ``start``,
            ``stop``, ``UTR``.

    Raises:
        InputError: for another label, a class that no label is for, or a shape that does not fit.
    """
    if log_probabilities.ndim != 2 or log_probabilities.shape[1] != len(labels):
        raise InputError(
            f"log-probabilities of shape {log_probabilities.shape} do not fit {len(labels)} labels; "
            "give one row a base with a column for each label"
        )
    result = np.full((len(log_probabilities), CLASSES), np.nan, dtype=np.float32)
    outside = []
    filled = {INTERGENIC}
    for index, label in enumerate(labels):
        columns = _columns(label)
        if not columns:
            outside.append(index)
        for column in columns:
            result[:, column] = log_probabilities[:, index]
        filled.update(columns)
    for end, base in IN_PLACE_OF.items():
        for strand in (0, MINUS):
            if end + strand not in filled and base + strand in filled:
                result[:, end + strand] = result[:, base + strand]
                filled.add(end + strand)
    if "intergenic" not in labels or len(filled) < CLASSES:
        raise InputError(
            f"labels {', '.join(labels)} leave a class without one; give exon (or CDS), donor, intron and "
            "acceptor of both strands, and intergenic"
        )
    result[:, INTERGENIC] = np.logaddexp.reduce(log_probabilities[:, outside], axis=1)
    return np.maximum(result, LOWEST, out=result)


def _columns(label: str) -> tuple[int, ...]:
    """Return the columns that a label fills; none where it is no part of a gene that codes."""
    if label == "intergenic":
        return ()
    part, strand = label[:-1], label[-1:]
    if part not in _COLUMNS or strand not in ("+", "-"):
        raise InputError(
            f"label {label!r} has no place in a gene; known are intergenic, and with + or - behind them "
            + ", ".join(_COLUMNS)
        )
    return tuple(column + MINUS * (strand == "-") for column in _COLUMNS[part])
