"""Logos of motifs and profiles of contributions, each as PNG bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.analysis.attribution import Attributions
from convnova.analysis.motifs import Motif
from convnova.training.figures import BASE_COLOURS, BASES, COLOURS, new_figure, png, styled

MOST_MOTIFS, MOST_SEQUENCES = 8, 3


@styled
def motifs_figure(motifs: Sequence[Motif], unit: str) -> bytes:
    """Return the logos of the motifs that contribute most, a row each."""
    shown = motifs[:MOST_MOTIFS]
    if not shown:
        figure, axes = new_figure(7.2, 1.0)
        axes.set_axis_off()
        axes.text(0, 0.5, "no motif was found")
        return png(figure)
    figure, rows = new_figure(7.2, 0.5 + 1.15 * len(shown), rows=len(shown), squeeze=False)
    for axes, motif in zip(rows[:, 0], shown, strict=True):
        logo(axes, motif.contributions)
        known = f"; {motif.matches[0][0]} (E {motif.matches[0][1]:.1g})" if motif.matches else ""
        axes.set_title(f"{motif.name}: {len(motif.starts):,} seqlets{known}")
        axes.set_ylabel(unit)
        axes.set_xticks([])
    return png(figure)


@styled
def profile_figure(found: Attributions, title: str, names: Sequence[str], unit: str) -> bytes:
    """Return the mean contribution by position, and logos of the sequences that contribute most.

    Args:
        found: what each base contributes.
        title: of the output that is explained.
        names: of the sequences.
        unit: of contributions.
    """
    strongest = np.argsort(-found.contributions.sum(1))[:MOST_SEQUENCES]
    figure, rows = new_figure(12.5, 2.6 + 1.5 * len(strongest), rows=1 + len(strongest), squeeze=False)
    top = rows[0, 0]
    is_real = np.arange(found.ids.shape[1]) < found.lengths[:, None]
    positions = np.arange(found.ids.shape[1])
    sizes = np.abs(found.contributions).sum(0) / is_real.sum(0).clip(1)
    sums = found.contributions.sum(0) / is_real.sum(0).clip(1)
    top.plot(positions, sizes, color=COLOURS[2], lw=1, label="size, whatever its sign")
    top.plot(positions, sums, color=COLOURS[0], lw=1.4, label="contribution")
    top.set(ylabel=f"mean, {unit}", title=f"What makes {title} ({len(found.ids):,} sequences)")
    top.legend(fontsize=8)
    for axes, row in zip(rows[1:, 0], strongest, strict=True):
        length = int(found.lengths[row])
        logo(axes, found.hypothetical[row, :length] * found.one_hot[row, :length])
        axes.set(title=f"sequence {names[row]}", ylabel=unit)
    for axes in rows[:, 0]:
        axes.set_xlim(-0.5, found.ids.shape[1] - 0.5)
    rows[-1, 0].set_xlabel("position, bp")
    return png(figure)


def logo(axes: Any, heights: NDArray[Any]) -> None:
    """Draw letters of some heights, (width, 4), into axes."""
    import logomaker
    import pandas as pd

    logomaker.Logo(pd.DataFrame(heights, columns=list(BASES)), ax=axes, color_scheme=BASE_COLOURS)
