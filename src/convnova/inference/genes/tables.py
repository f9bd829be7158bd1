"""Agreement of genes as tables for people."""

import math

from rich import box
from rich.table import Table

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
    return plain_table(["level", "annotated", "predicted", *SHARES], rows, title)


def plain_table(columns: list[str], rows: list[list[str]], title: str | None = None) -> Table:
    """Return a table that a log file can hold too: the first column to the left, numbers to the right."""
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def shown(share: float) -> str:
    """Return a share with four digits; a dash where it is not defined."""
    return "-" if math.isnan(share) else f"{share:.4f}"
