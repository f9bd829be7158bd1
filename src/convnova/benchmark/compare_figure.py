"""How the time and memory of each system grow with the length of a sequence, as PNG bytes."""

from collections.abc import Sequence
from itertools import cycle
from typing import Literal

from convnova.benchmark.costs import KINDS, Cost
from convnova.benchmark.figures import OUR_COLOURS, THEIR_COLOURS
from convnova.training.figures import new_figure, png, styled

_COLOURS = (*OUR_COLOURS, *THEIR_COLOURS)


@styled
def growth_figure(costs: Sequence[Cost], kind: Literal["time", "memory"]) -> bytes:
    """Return time or memory a base against length, training on the left and inference on the right."""
    figure, axes = new_figure(9.6, 4.0, 1, ncols=2, squeeze=False, sharey=True)
    names = list(dict.fromkeys(cost.model for cost in costs))
    lengths = sorted({cost.length_bp for cost in costs})
    for panel, passes in zip(axes[0], KINDS, strict=True):
        unit = "microseconds a base" if kind == "time" else "kB a base"
        panel.set(xlabel="length, bp", ylabel=unit, title=passes)
        for name, colour in zip(names, cycle(_COLOURS)):
            own = [c for c in costs if (c.model, c.kind) == (name, passes) and not c.failure]
            if not own:
                continue
            if kind == "time":
                values = [1e6 / cost.bp_per_second for cost in own]
            else:
                values = [max(cost.bytes, 1.0) / cost.batch / cost.length_bp / 1024 for cost in own]
            panel.plot([c.length_bp for c in own], values, marker="o", ms=4, color=colour, label=name)
        panel.set(xscale="log", yscale="log")
        panel.set_xticks(lengths, [f"{one:,}" for one in lengths], rotation=45, ha="right", minor=False)
        panel.minorticks_off()
    handles = {
        label: handle
        for panel in axes[0]
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    shown = [name for name in names if name in handles]
    figure.legend([handles[name] for name in shown], shown, loc="outside upper left", ncols=4, fontsize=8)
    return png(figure)
