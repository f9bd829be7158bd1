"""The figures of ablations and receptive fields, each as PNG bytes."""

import math
from collections.abc import Sequence

import numpy as np

from convnova.analysis.receptive_field import SHARES, FieldProfile
from convnova.analysis.study_results import AblationRow, FieldScore
from convnova.benchmark.figures import OUR_COLOURS
from convnova.benchmark.table import metric_title
from convnova.training.figures import COLOURS, new_figure, png, styled

_BESIDE = 1.2
"""Factor on the x axis over which the tasks at one field lie side by side."""


@styled
def differences_figure(rows: Sequence[AblationRow]) -> bytes:
    """Return what each variant of a task's studies differs by from the full model, with 95 % intervals."""
    compared = [row for row in rows if row.against_full is not None]
    figure, axes = new_figure(7.2, 1.3 + 0.36 * len(compared))
    axes.axvline(0, color=COLOURS[2], lw=1)
    studies = list(dict.fromkeys(row.study for row in compared))
    for place, row in enumerate(reversed(compared)):
        assert row.against_full is not None
        colour = OUR_COLOURS[studies.index(row.study)]
        axes.plot(100 * row.against_full.difference, place, "o", color=colour)
        low, high = row.against_full.interval
        if not math.isnan(low):
            axes.plot([100 * low, 100 * high], [place, place], color=colour, lw=1.6)
    axes.set_yticks(range(len(compared)), [row.variant.name for row in reversed(compared)])
    first = rows[0]
    axes.set(
        xlabel=f"{metric_title(first.metric)} minus that of the full model, points",
        title=f"{first.task}: full model {100 * first.scores.mean:.1f}, {first.scores.n} seeds",
    )
    if len(studies) > 1:
        for study, colour in zip(studies, OUR_COLOURS, strict=False):
            axes.plot([], [], "o-", color=colour, label=study)
        figure.legend(loc="outside right upper", title="study", fontsize=8, title_fontsize=8)
    return png(figure)


@styled
def profile_figure(profile: FieldProfile, name: str) -> bytes:
    """Return influence against distance, with the windows that hold 50, 90 and 95 % of it."""
    figure, axes = new_figure(7.2, 3.6)
    seen = np.flatnonzero(profile.influence)  # beyond the field, and beyond the windows, there is none
    shown = slice(seen[0], seen[-1] + 1)
    axes.semilogy(profile.offsets[shown], profile.influence[shown], color=COLOURS[0], lw=1.2)
    for share, colour, style in zip(SHARES, OUR_COLOURS[1:], ("-", "--", ":"), strict=False):
        width = profile.width(share)
        label = f"{share:.0%}: {width:,} bp"
        for side, text in ((-1, None), (1, label)):
            axes.axvline(side * (width // 2), color=colour, ls=style, lw=1.6, label=text)
    axes.margins(x=0)
    axes.set(
        xlabel="distance from the output, bp",
        ylabel="share of influence",
        title=f"{name}: receptive field {profile.receptive_field_bp:,} bp",
    )
    figure.legend(loc="outside right upper", title="window that holds", fontsize=8, title_fontsize=8)
    return png(figure)


@styled
def sweep_figure(scores: Sequence[FieldScore]) -> bytes:
    """Return the score against the receptive field of each task, with 95 % intervals."""
    figure, axes = new_figure(7.2, 4.0)
    tasks = list(dict.fromkeys(one.task for one in scores))
    for number, task in enumerate(tasks):
        own = [one for one in scores if one.task == task]
        beside = _BESIDE ** ((number + 0.5) / len(tasks) - 0.5)
        axes.errorbar(
            [beside * one.field_bp / one.length_bp for one in own],
            [100 * one.scores.mean for one in own],
            [100 * (one.interval[1] - one.scores.mean) for one in own],
            fmt="o-",
            color=OUR_COLOURS[number % len(OUR_COLOURS)],
            lw=1.6,
            elinewidth=1.2,
            capsize=3,
            label=task,
        )
    seeds = scores[0].scores.n
    ticks = sorted({one.share for one in scores})
    axes.set(
        xscale="log",
        xlabel="receptive field, share of the input",
        ylabel=metric_title(scores[0].metric) + (f", 95 % interval over {seeds} seeds" if seeds > 1 else ""),
        title="Score against receptive field, at equal parameters",
    )
    axes.set_xticks(ticks, [f"{100 * share:g} %" for share in ticks])
    axes.set_xticks([], minor=True)
    figure.legend(loc="outside right upper", fontsize=8)
    return png(figure)
