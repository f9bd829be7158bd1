"""Agreement of genes as tables for people."""

import math

from rich.table import Table

from convnova.console import plain_table
from convnova.evaluation.gene_scores import GeneScores

SHARES = ("sensitivity", "specificity", "f1")
LEGEND = (
    "sensitivity: share of the annotated that was found; specificity: share of the predicted that is right"
)


def gene_table(title: str, scores: GeneScores) -> Table:
    """Return one row a level, from nucleotides to genes."""
    rows = [
        [
            level,
            f"{one.annotated:,}",
            f"{one.predicted:,}",
            *(shown(getattr(one, name)) for name in SHARES),
        ]
        for level, one in scores._asdict().items()
    ]
    table = plain_table(["level", "annotated", "predicted", *SHARES], rows)
    table.title, table.title_justify = title, "left"
    return table


def shown(share: float) -> str:
    """Return a share with four digits; a dash where it is not defined."""
    return "-" if math.isnan(share) else f"{share:.4f}"
