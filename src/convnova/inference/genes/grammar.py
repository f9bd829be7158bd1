"""Which genes there can be: start and stop codons, splice sites, and codons that an intron splits.

Both strands are read from left to right, so a gene on strand - begins with its stop codon:

    strand +   ATG ... exon ... |GT ... intron ... AG| ... exon ... TAA
    strand -   TTA ... exon ... |CT ... intron ... AC| ... exon ... CAT

Start and stop codon are each within one exon, and no exon is shorter than 3 bases, so an intron splits one
codon at most, and the bases that it splits off lie beside it. For no stop codon to arise across an intron,
the intron's state remembers what may not follow; on strand + of the standard code there are six:

    codon split after   0 bases   1 base        2 bases
    the bases           -         T | others    TA | TG | others

Words of two bases are numbered by ids in base 5 (25 of them), of three likewise (125), N included.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from convnova.errors import InputError
from convnova.inference.genes.emissions import ACCEPTOR, DONOR, EXON, INTRON, MINUS, START, STOP
from convnova.sequence import ALPHABET, reverse_complement_text

START_CODON = "ATG"


@dataclass(frozen=True)
class DecoderSettings:
    """Which genes are allowed, and what they cost."""

    stop_codons: tuple[str, ...] = ("TAA", "TAG", "TGA")
    """Stop codons of the genetic code."""
    min_intron_bp: int = 20
    """Length of the shortest intron, at least 4; one that an end of the sequence cuts may be shorter."""
    min_coding_bp: int = 60
    """Coding bases of the shortest gene, stop codon included; 0 for any."""
    has_at_ac_introns: bool = False
    """Whether introns may also run from AT to AC, beside GT-AG and GC-AG."""
    has_partial_genes: bool = False
    """Whether the ends of the sequence may cut a gene."""
    gene_score: float | None = None
    """Nats added for each gene; below 0 there are fewer genes, above it more. Default what was best on
    validation, and 0 where nothing was chosen."""
    intron_score: float | None = None
    """Nats added for each intron; below 0 there are fewer introns, above it more; default likewise."""
    content_weight: float | None = None
    """Weight of what is said of bases that are no splice site, start or stop, against that of those. A
    network says the same of neighbouring bases again and again, so below 1 is better; default what was best
    on validation, and 1 where nothing was chosen."""
    min_site_probability: float = 0.01
    """Splice sites, starts and stops whose base has its class with less than this, as it is weighed, are
    passed over, for speed; with 0 the result is the best of all genes."""

    def __post_init__(self) -> None:
        for codon in self.stop_codons:
            if len(codon) != 3 or set(codon) - set("ACGT") or codon == START_CODON:
                raise InputError(f"stop codon {codon!r} is none; write three of A, C, G, T, and not ATG")
        if not self.stop_codons:
            raise InputError("there is no stop codon; give at least one, as in TAA")
        if self.min_intron_bp < 4:
            raise InputError(f"min_intron_bp is {self.min_intron_bp}; give 4 or more, for two splice sites")
        if self.min_coding_bp < 0:
            raise InputError(f"min_coding_bp is {self.min_coding_bp}; give 0 or more")
        if not 0 <= self.min_site_probability < 1:
            raise InputError(
                f"min_site_probability is {self.min_site_probability}; give 0 or more, but less than 1"
            )
        for name in ("gene_score", "intron_score"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{name} is {value}; give a number of nats")
        if self.content_weight is not None and not 0 < self.content_weight < math.inf:
            raise InputError(f"content_weight is {self.content_weight}; give a number above 0")

    @property
    def costs(self) -> "Costs":
        """Return what evidence is weighed against; 0, 0 and 1 where it is left open."""
        weight = 1.0 if self.content_weight is None else self.content_weight
        return Costs(self.gene_score or 0.0, self.intron_score or 0.0, weight)


class Costs(NamedTuple):
    """What evidence is weighed against."""

    gene: float
    """Nats added for each gene."""
    intron: float
    """Nats added for each intron."""
    content: float
    """Weight of bases that are no splice site, start or stop."""


class Introns(NamedTuple):
    """One kind of intron as read from left to right."""

    first: tuple[str, ...]
    """What its first two bases may be."""
    last: tuple[str, ...]
    """What its last two bases may be."""


class StrandGrammar(NamedTuple):
    """Genes of one strand as read from left to right."""

    sign: str
    """``+`` or ``-``."""
    begin: tuple[str, ...]
    """Codons that a gene may begin with."""
    end: tuple[str, ...]
    """Codons that a gene may end with."""
    stops: tuple[str, ...]
    """Codons that a gene may not have inside."""
    introns: tuple[Introns, ...]
    """Kinds of introns."""
    exon_columns: tuple[int, int, int]
    """Emission column of the first, second and third base of a codon."""
    begin_column: int
    """Emission column of the first base of a gene."""
    end_column: int
    """Emission column of its last base."""
    first_column: int
    """Emission column of the first base of an intron."""
    intron_column: int
    """Emission column of its other bases."""
    last_column: int
    """Emission column of its last base."""


def strands(settings: DecoderSettings) -> tuple[StrandGrammar, StrandGrammar]:
    """Return the grammar of strand + and that of strand -."""
    kinds = [Introns(("GT", "GC"), ("AG",))]
    if settings.has_at_ac_introns:
        kinds.append(Introns(("AT",), ("AC",)))
    stops = settings.stop_codons
    plus = StrandGrammar(
        "+",
        begin=(START_CODON,),
        end=stops,
        stops=stops,
        introns=tuple(kinds),
        exon_columns=(EXON, EXON + 1, EXON + 2),
        begin_column=START,
        end_column=STOP,
        first_column=DONOR,
        intron_column=INTRON,
        last_column=ACCEPTOR,
    )
    minus = StrandGrammar(
        "-",
        begin=_reversed(stops),
        end=_reversed((START_CODON,)),
        stops=_reversed(stops),
        introns=tuple(Introns(_reversed(kind.last), _reversed(kind.first)) for kind in kinds),
        exon_columns=(MINUS + EXON + 2, MINUS + EXON + 1, MINUS + EXON),
        begin_column=MINUS + STOP,
        end_column=MINUS + START,
        first_column=MINUS + ACCEPTOR,
        intron_column=MINUS + INTRON,
        last_column=MINUS + DONOR,
    )
    return plus, minus


def _reversed(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reverse_complement_text(word) for word in words)


class SplitCodons(NamedTuple):
    """States of introns by the codon that they split."""

    bases: tuple[int, ...]
    """For each state, how many bases of the codon lie to the left, 0 to 2."""
    into: tuple[tuple[int, int, int], ...]
    """State after a codon is split behind 0, 1 or 2 bases, by the two bases left of the intron, (25, 3)."""
    out_of: tuple[tuple[int, ...], ...]
    """States that the two bases right of the intron may follow, by those bases, (25, .)."""


def split_codons(stops: tuple[str, ...]) -> SplitCodons:
    """Return the states that keep a stop codon from arising across an intron, on one strand.

    Args:
        stops: the stop codons as read from left to right.
    """
    states: dict[tuple[int, frozenset[str]], int] = {}  # bases to the left, and what may not follow them
    into = []
    for word in PAIRS:
        heads = ("", word[1], word)
        forbidden = [
            frozenset(stop[len(head) :] for stop in stops if head and stop.startswith(head)) for head in heads
        ]
        into.append([states.setdefault(key, len(states)) for key in enumerate(forbidden)])
    out_of = [
        tuple(state for (bases, forbidden), state in states.items() if word[: 3 - bases] not in forbidden)
        for word in PAIRS
    ]
    return SplitCodons(
        tuple(bases for bases, _ in states), tuple((a, b, c) for a, b, c in into), tuple(out_of)
    )


PAIRS = tuple(a + b for a, b in product(ALPHABET, repeat=2))
"""Words of two bases, by number."""
CODONS = tuple(a + b for a, b in product(PAIRS, ALPHABET))
"""Words of three bases, by number."""
