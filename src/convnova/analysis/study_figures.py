"""The figures of ablations and receptive fields, each as PNG bytes."""

import math
from collections.abc import Sequence

from convnova.analysis.receptive_field import SHARES, FieldProfile
from convnova.analysis.study_results import AblationRow, FieldScore
from convnova.benchmark.figures import OUR_COLOURS
from convnova.benchmark.table import metric_title
from convnova.training.figures import COLOURS, new_figure, png, styled


@styled
def differences_figure(rows: Sequence[AblationRow]) -> bytes:
    """Return what each variant of a task's studies differs by from the full model, with 95 % intervals."""
    compared = [row for row in rows if row.against_full is not None]
    figure, axes = new_figure(7.2, 1.3 + 0.36 * len(compared))
    axes.axvline(0, color=COLOURS[2], lw=1)
    studies = list(dict.fromkeys(row.study for row in compared))
    for place, row in enumerate(reversed(compared)):
        assert row.against_full is not None
        colour = COLOURS[studies.index(row.study) % len(COLOURS)]
        middle = 100 * row.against_full.difference
        axes.plot(middle, place, "o", color=colour)
        if not math.isnan(row.interval[0]):
            axes.plot([100 * end for end in row.interval], [place, place], color=colour, lw=1.6)
    axes.set_yticks(range(len(compared)), [row.variant.name for row in reversed(compared)])
    first = rows[0]
    axes.set(
        xlabel=f"{metric_title(first.metric)} minus that of the full model, points",
        title=f"{first.task}: full model {100 * first.scores.mean:.1f}, {first.scores.n} seeds",
    )
    return png(figure)


@styled
def profile_figure(profile: FieldProfile, name: str) -> bytes:
    """Return influence against distance, with the windows that hold 50, 90 and 95 % of it."""
    figure, axes = new_figure(7.2, 3.6)
    axes.semilogy(profile.offsets, profile.influence, color=COLOURS[0], lw=1.2)
    for share, style in zip(SHARES, ("-", "--", ":"), strict=True):
        half = profile.width(share) // 2
        for side in (-half, half):
            label = f"{share:.0%}: {2 * half + 1:,} bp" if side >= 0 else None
            axes.axvline(side, color=COLOURS[1], ls=style, lw=1, label=label)
    axes.set(
        xlabel="distance from the output, bp",
        ylabel="share of influence",
        title=f"{name}: receptive field {profile.receptive_field_bp:,} bp",
    )
    axes.legend(title="window that holds", fontsize=8)
    return png(figure)


@styled
def sweep_figure(scores: Sequence[FieldScore]) -> bytes:
    """Return the score against the receptive field of each task, with 95 % intervals."""
    figure, axes = new_figure(7.2, 4.0)
    for number, task in enumerate(dict.fromkeys(one.task for one in scores)):
        own = [one for one in scores if one.task == task]
        colour = OUR_COLOURS[number % len(OUR_COLOURS)]
        shares = [one.field_bp / one.length_bp for one in own]
        axes.plot(shares, [100 * one.scores.mean for one in own], "o-", color=colour, label=task)
        low, high = ([100 * one.interval[side] for one in own] for side in (0, 1))
        axes.fill_between(shares, low, high, color=colour, alpha=0.15, lw=0)
    axes.set(
        xscale="log",
        xlabel="receptive field, share of the input",
        ylabel=metric_title(scores[0].metric),
        title="Score against receptive field, at equal parameters",
    )
    axes.legend(fontsize=8)
    return png(figure)
