"""The figures of the demo's report, each as PNG bytes.

L window length in bp; the A of ATG is at index L // 2 and is position 0 here, as numbered in the pictures.
"""

import numpy as np
from numpy.typing import NDArray

from convnova.demo.evidence import new_stops
from convnova.inference.mutagenesis import Mutagenesis
from convnova.training.figures import BASE_COLOURS, BASES, COLOURS, new_figure, png, styled
from convnova.training.finetune import Evaluation

OTHER_COLOURS = ("#7a7a7a", "#a9a9a9", "#b08d57", "#d0d0d0", "#9a7fb5")


@styled
def finetuning_figure(evaluations: dict[str, list[Evaluation]]) -> bytes:
    """Return AUROC on the validation chromosome during training, with pretraining and without."""
    figure, axes = new_figure(4.6, 3.8)
    for number, (name, curve) in enumerate(evaluations.items()):
        share = [row.epoch / curve[-1].epoch for row in curve]
        auroc = [row.scores["auroc"] for row in curve]
        colour, line = COLOURS[number % 2], "o-" if number < 2 else "o:"
        axes.plot(share, auroc, line, color=colour, lw=2, ms=4, label=name)
        best = int(np.argmax(auroc))
        axes.plot(share[best], auroc[best], "o", ms=11, mfc="none", mec=colour)
    axes.set(xlabel="share of training", ylabel="AUROC, validation chromosome", title="Learning the task")
    axes.legend(loc="lower right", fontsize=8)
    return png(figure)


@styled
def roc_figure(
    labels: NDArray[np.integer], probabilities: dict[str, NDArray[np.float64]], aurocs: dict[str, float]
) -> bytes:
    """Return the ROC curves on the test chromosome."""
    from sklearn.metrics import roc_curve

    figure, axes = new_figure(4.6, 4.4)
    for number, (name, chance) in enumerate(probabilities.items()):
        false_positive, true_positive, _ = roc_curve(labels, chance)
        is_ours = name.startswith("ConvNova")
        colour = COLOURS[number % 2] if is_ours else OTHER_COLOURS[number % len(OTHER_COLOURS)]
        style = {"color": colour, "lw": 2.2 if is_ours else 1.2, "ls": ":" if "starts" in name else "-"}
        axes.plot(false_positive, true_positive, label=f"{name}: {aurocs[name]:.3f}", **style)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="Test chromosome")
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize=6.5)
    return png(figure)


@styled
def mutagenesis_figure(made: Mutagenesis, title: str, upstream: int = 45, downstream: int = 60) -> bytes:
    """Return one sequence as a logo of importance above a heat map of every substitution.

    Args:
        made: the effects of all substitutions.
        title: above the logo.
        upstream: bases shown before the A of ATG.
        downstream: bases shown from it on.
    """
    import logomaker
    import pandas as pd
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.patches import Rectangle

    center = len(made.ids) // 2
    first, last = max(0, center - upstream), min(len(made.ids), center + downstream)
    ids, effects = made.ids[first:last], made.effects[first:last]
    positions = np.arange(first, last) - center
    letters = np.where(np.arange(4) == ids[:, None], made.importance[first:last, None], 0)

    figure, (top, bottom) = new_figure(12.5, 4.6, rows=2, height_ratios=[1.5, 1], sharex=True)
    logomaker.Logo(
        pd.DataFrame(letters, index=positions, columns=list(BASES)), ax=top, color_scheme=BASE_COLOURS
    )
    top.axvspan(-0.5, 2.5, color="#ffe8a3", zorder=-2)
    for codon in range(3, downstream, 6):
        top.axvspan(codon - 0.5, codon + 2.5, color="#f1f3f5", zorder=-2)
    low, high = letters.min(), letters.max()
    top.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    top.set(ylabel="importance\n(nats lost per change)", title=title)
    limit = float(np.abs(effects).max()) or 1.0
    image = bottom.imshow(
        effects.T,
        aspect="auto",
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0, -limit, limit),
        extent=(positions[0] - 0.5, positions[-1] + 0.5, 3.5, -0.5),
        interpolation="nearest",
    )
    for position, base in np.argwhere(new_stops(made.ids, 0)[first:last]):
        bottom.add_patch(
            Rectangle((positions[position] - 0.5, base - 0.5), 1, 1, fill=False, ec="black", lw=1)
        )
    for position, base in zip(positions, ids, strict=True):
        bottom.plot(position, base, ".", color="#888888", ms=3)
    bottom.set_yticks(range(4), list(BASES))
    bottom.set(ylabel="changed to", xlabel="position, from the A of ATG (bp)")
    figure.colorbar(image, ax=bottom, label="change of log-odds", pad=0.01)
    return png(figure)


@styled
def importance_figure(importance: NDArray[np.float64], sequences: int) -> bytes:
    """Return the mean importance of each position over several sequences, by place in the codon."""
    figure, axes = new_figure(12.5, 2.6)
    center = len(importance) // 2
    positions = np.arange(len(importance)) - center
    colours = np.where(positions < 0, COLOURS[2], np.array([*COLOURS[:2], "#7fb3d5"])[positions % 3])
    axes.bar(positions, importance, color=colours, width=0.9)
    axes.axhline(0, color="black", lw=0.6)
    for label, colour in (
        ("upstream", COLOURS[2]),
        ("1st base of a codon", COLOURS[0]),
        ("2nd", COLOURS[1]),
        ("3rd", "#7fb3d5"),
    ):
        axes.bar([0], [0], color=colour, label=label)
    axes.legend(ncols=4, fontsize=8, loc="upper right")
    axes.set_xlim(positions[0] - 1, positions[-1] + 1)
    axes.set(
        xlabel="position, from the A of ATG (bp)",
        ylabel="importance (nats)",
        title=f"Mean over {sequences} start codons of the test chromosome",
    )
    return png(figure)
