"""What evidence is weighed against: chosen on validation, for a network or any other source of emissions.

The decoder adds up what is said of each base as if bases were independent, which they are not: around an end
of an exon that is not sure, many bases in a row say so again. So what is said of bases that are no splice
site weighs less, and a gene and an intron cost something.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convnova.evaluation.gene_scores import GeneScores
from convnova.genome import Gene, Interval
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.genes.regions import Evidence, agreement, decode_region

CHOICES: dict[str, tuple[float, ...]] = {
    "content_weight": (0.1, 0.005, 0.01, 0.02, 0.05, 0.2, 0.5, 1.0),
    "intron_score": (0.0, -15.0, -8.0, -4.0, -2.0, 2.0, 4.0),
    "gene_score": (-5.0, -30.0, -15.0, -10.0, -2.0, 0.0),
}
"""What is tried of each setting; the search begins with the first."""
_SWEEPS = 2


def choose_costs(
    evidence: Mapping[Interval, Evidence], annotated: Sequence[Gene], settings: DecoderSettings
) -> DecoderSettings:
    """Return the settings with the costs that agree best with genes, one after another, in two sweeps.

    Best is the mean of the F1 of nucleotides, exons and genes. Costs that are given are left as they are; all
    are where the regions have no gene.

    Args:
        evidence: of each region to choose on.
        annotated: genes of these regions.
        settings: of the decoder.
    """
    regions = list(evidence)
    open_ = [name for name in CHOICES if getattr(settings, name) is None]
    if not open_ or not agreement([], annotated, regions).gene.annotated:
        return settings
    known: dict[DecoderSettings, float] = {}

    def goodness(choice: DecoderSettings) -> float:
        if choice not in known:
            found = [gene for region, one in evidence.items() for gene in decode_region(region, one, choice)]
            known[choice] = mean_f1(agreement(found, annotated, regions))
        return known[choice]

    best = _changed(settings, **{name: CHOICES[name][0] for name in open_})
    for _ in range(_SWEEPS):
        for name in open_:
            # Of equal ones the one that is there already.
            best = max([best, *(_changed(best, **{name: value}) for value in CHOICES[name])], key=goodness)
    return best


def _changed(settings: DecoderSettings, **costs: float) -> DecoderSettings:
    changes: dict[str, Any] = dict(costs)
    return replace(settings, **changes)


def mean_f1(scores: GeneScores) -> float:
    """Return the mean F1 of nucleotides, exons and genes, of those that are defined; 0 where none is."""
    defined = [one.f1 for one in (scores.nucleotide, scores.exon, scores.gene) if not math.isnan(one.f1)]
    return sum(defined) / max(1, len(defined))
