"""A sequence as a logo of importance above a heat map of every edit, as a picture or a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convnova.analysis.attribution_figures import logo
from convnova.errors import optional
from convnova.inference.mutagenesis import importance
from convnova.sequence import Ids
from convnova.training.figures import BASES, COLOURS, new_figure, png, styled

MOST_LETTERS = 160
"""Bases up to which letters can be read; more are drawn as a line."""


@styled
def mutagenesis_figure(
    ids: Ids,
    effects: NDArray[np.float32],
    title: str,
    what: str,
    start: int = 0,
    deletions: NDArray[np.float32] | None = None,
) -> bytes:
    """Return the picture of one sequence.

    Args:
        ids: its bases, (L,).
        effects: of substitutions, (L, 4).
        title: above it.
        what: an effect is, in words.
        start: place of the first base, 0-based; the axis counts from 1.
        deletions: effects of deleting each base, (L,), as a row of their own.
    """
    from matplotlib.colors import TwoSlopeNorm

    figure, (top, bottom) = new_figure(12.5, 4.4, rows=2, height_ratios=[1.4, 1])
    lost = np.nan_to_num(importance(ids, effects))
    if len(ids) <= MOST_LETTERS:
        logo(top, np.where(np.arange(4) == ids[:, None], lost[:, None], 0))
    else:
        top.plot(np.arange(len(ids)), lost, color=COLOURS[0], lw=0.8)
    top.axhline(0, color=COLOURS[2], lw=0.6)
    top.set(ylabel="importance", title=title, xlim=(-0.5, len(ids) - 0.5), xticks=[])
    shown, rows = _rows(effects, deletions)
    lowest = len(rows) - 0.5
    limit = _limit(shown)
    image = bottom.imshow(
        shown,
        aspect="auto",
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0, -limit, limit),
        extent=(start + 0.5, start + len(ids) + 0.5, lowest, -0.5),
        interpolation="nearest",
    )
    if len(ids) <= MOST_LETTERS:
        bottom.plot(start + 1 + np.arange(len(ids)), ids, ".", color="#888888", ms=3)
    bottom.set_yticks(range(len(rows)), rows)
    bottom.ticklabel_format(axis="x", useOffset=False, style="plain")
    bottom.set(ylabel="changed to", xlabel="position (bp, from 1)", ylim=(lowest, -0.5))
    figure.colorbar(image, ax=bottom, label=what.replace(" of ", " of\n", 1), pad=0.01)
    return png(figure)


def _rows(
    effects: NDArray[np.float32], deletions: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], list[str]]:
    """Return the rows of the heat map, (4 or 5, L), and what each is called."""
    if deletions is None:
        return effects.T, list(BASES)
    return np.vstack([effects.T, deletions]), [*BASES, "deleted"]


def _limit(shown: NDArray[np.float32]) -> float:
    return float(np.nan_to_num(np.abs(shown)).max()) or 1.0


def mutagenesis_html(
    ids: Ids,
    effects: NDArray[np.float32],
    title: str,
    what: str,
    start: int = 0,
    deletions: NDArray[np.float32] | None = None,
) -> str:
    """Return a page with the heat map, to be moved and looked into; arguments are those of the figure.

    Raises:
        InputError: when plotly is missing.
    """
    graph_objects = html_library()
    letters = np.array(list("ACGTN"))[ids]
    shown, rows = _rows(effects, deletions)
    limit = _limit(shown)
    figure = graph_objects.Figure(
        graph_objects.Heatmap(
            z=shown,
            x=start + 1 + np.arange(len(ids)),
            y=rows,
            zmin=-limit,
            zmax=limit,
            colorscale="RdBu_r",
            colorbar={"title": what},
            customdata=np.broadcast_to(letters, shown.shape),
            hovertemplate="%{x}: %{customdata} to %{y}, %{z:.4g}<extra></extra>",
        )
    )
    figure.update_layout(title=title, xaxis_title="position (bp, from 1)", yaxis_title="changed to")
    figure.update_yaxes(autorange="reversed")
    return figure.to_html(include_plotlyjs=True)


def html_library() -> Any:
    """Return the part of plotly that draws.

    Raises:
        InputError: when it is missing.
    """
    return optional("plotly.graph_objects", "html", "interactive")
