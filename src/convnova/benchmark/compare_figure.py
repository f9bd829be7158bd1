"""How the time and memory of each system grow with the length of a sequence, as PNG bytes."""

from collections.abc import Sequence
from typing import Literal

from convnova.benchmark.costs import KINDS, Cost
from convnova.benchmark.figures import OUR_COLOURS, THEIR_COLOURS
from convnova.training.figures import new_figure, png, styled

_COLOURS = (*OUR_COLOURS, *THEIR_COLOURS)


@styled
def growth_figure(costs: Sequence[Cost], kind: Literal["time", "memory"]) -> bytes:
    """Return time or memory a base against length, training on the left and inference on the right."""
    figure, axes = new_figure(9.6, 4.0, 1, ncols=2, squeeze=False)
    names = list(dict.fromkeys(cost.model for cost in costs))
    for panel, passes in zip(axes[0], KINDS, strict=True):
        for name, colour in zip(names, _COLOURS, strict=False):
            own = [c for c in costs if (c.model, c.kind) == (name, passes) and not c.failure]
            if kind == "time":
                values = [1e6 / cost.bp_per_second for cost in own]
            else:
                values = [max(cost.bytes, 1.0) / cost.batch / cost.length_bp / 1024 for cost in own]
            panel.plot([c.length_bp for c in own], values, marker="o", ms=4, color=colour, label=name)
        unit = "microseconds a base" if kind == "time" else "kB a base"
        panel.set(xscale="log", yscale="log", xlabel="length, bp", ylabel=unit, title=passes)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=8)
    return png(figure)
