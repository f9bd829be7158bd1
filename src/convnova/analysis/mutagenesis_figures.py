"""A sequence as a logo of importance above a heat map of every edit, as a picture or a page."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.analysis.attribution_figures import logo
from convnova.errors import optional
from convnova.inference.mutagenesis import importance
from convnova.sequence import Ids, N
from convnova.training.figures import BASES, COLOURS, new_figure, png, styled

MOST_LETTERS = 160
"""Bases up to which letters can be read; more are drawn as a line."""


class Drawn(NamedTuple):
    """What is drawn of one sequence."""

    ids: Ids
    """Its bases, (L,)."""
    effects: NDArray[np.float32]
    """Of substitutions, (L, 4)."""
    title: str
    """Above the picture."""
    what: str
    """What an effect is, in words."""
    start: int = 0
    """Place of the first base, 0-based; the axis counts from 1."""
    deletions: NDArray[np.float32] | None = None
    """Effects of deleting each base, (L,), as a row of their own."""

    @property
    def names(self) -> list[str]:
        """What the rows of the heat map are called."""
        return list(BASES) if self.deletions is None else [*BASES, "deleted"]

    @property
    def rows(self) -> NDArray[np.float32]:
        """The rows of the heat map, (4 or 5, L)."""
        return self.effects.T if self.deletions is None else np.vstack([self.effects.T, self.deletions])

    @property
    def limit(self) -> float:
        """The largest effect of either sign, which has the strongest colour."""
        return float(np.nan_to_num(np.abs(self.rows)).max()) or 1.0


@styled
def mutagenesis_figure(drawn: Drawn) -> bytes:
    """Return the picture of one sequence."""
    from matplotlib.colors import TwoSlopeNorm

    figure, (top, bottom) = new_figure(12.5, 4.4, rows=2, height_ratios=[1.4, 1])
    ids, start = drawn.ids, drawn.start
    lost = np.nan_to_num(importance(ids, drawn.effects))
    if len(ids) <= MOST_LETTERS:
        logo(top, np.where(np.arange(4) == ids[:, None], lost[:, None], 0))
    else:
        top.plot(np.arange(len(ids)), lost, color=COLOURS[0], lw=0.8)
    top.axhline(0, color=COLOURS[2], lw=0.6)
    top.set(ylabel="importance", title=drawn.title, xlim=(-0.5, len(ids) - 0.5), xticks=[])
    lowest = len(drawn.names) - 0.5
    image = bottom.imshow(
        drawn.rows,
        aspect="auto",
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0, -drawn.limit, drawn.limit),
        extent=(start + 0.5, start + len(ids) + 0.5, lowest, -0.5),
        interpolation="nearest",
    )
    if len(ids) <= MOST_LETTERS:
        known = np.flatnonzero(ids < N)
        bottom.plot(start + 1 + known, ids[known], ".", color="#888888", ms=3)
    bottom.set_yticks(range(len(drawn.names)), drawn.names)
    bottom.ticklabel_format(axis="x", useOffset=False, style="plain")
    bottom.set(ylabel="changed to", xlabel="position (bp, from 1)", ylim=(lowest, -0.5))
    figure.colorbar(image, ax=bottom, label=drawn.what.replace(" of ", " of\n", 1), pad=0.01)
    return png(figure)


def mutagenesis_html(drawn: Drawn) -> str:
    """Return a page with the heat map, to be moved and looked into.

    Raises:
        InputError: when plotly is missing.
    """
    graph_objects = html_library()
    letters = np.array(list("ACGTN"))[drawn.ids]
    figure = graph_objects.Figure(
        graph_objects.Heatmap(
            z=drawn.rows,
            x=drawn.start + 1 + np.arange(len(drawn.ids)),
            y=drawn.names,
            zmin=-drawn.limit,
            zmax=drawn.limit,
            colorscale="RdBu_r",
            colorbar={"title": drawn.what},
            customdata=np.broadcast_to(letters, drawn.rows.shape),
            hovertemplate="%{x}: %{customdata} to %{y}, %{z:.4g}<extra></extra>",
        )
    )
    figure.update_layout(title=drawn.title, xaxis_title="position (bp, from 1)", yaxis_title="changed to")
    figure.update_yaxes(autorange="reversed")
    return figure.to_html(include_plotlyjs=True)


def html_library() -> Any:
    """Return the part of plotly that draws.

    Raises:
        InputError: when it is missing.
    """
    return optional("plotly.graph_objects", "html", "interactive")
