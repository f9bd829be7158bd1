"""The figures of a suite's report, each as PNG bytes; colours tell apart for the colour-blind."""

import math
from typing import Any

from convnova.benchmark.overview import Overview, Standing
from convnova.benchmark.sheets import parameters_text
from convnova.benchmark.table import Column, ResultsTable, Row, metric_title, scale_of
from convnova.training.figures import new_figure, png, styled

OUR_COLOURS = (
    *("#1b4965", "#e07a2f", "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f"),
    *("#6a3d9a", "#a6c13a", "#b2182b", "#3a3a3a"),
)
THEIR_COLOURS = ("#8a929c", "#c3c9d1", "#6a6270", "#e3e1dc")
_HATCHES = ("", "///", "...", "xx")
BEST = "best published"
_MOST_PUBLISHED = 4
_TASKS_A_LINE = 12


def draw(table: ResultsTable, found: Overview) -> dict[str, bytes]:
    """Return each figure that has something to show, by name."""
    drawn = {"tasks": tasks_figure(table, found)}
    if len(found.standings) > 1:
        drawn["ranks"] = ranks_figure(found)
    sized = [s for s in found.standings if s.column.parameters and not math.isnan(s.mean)]
    if len(sized) > 1:
        drawn["parameters"] = parameters_figure(table, found)
    return drawn


@styled
def tasks_figure(table: ResultsTable, found: Overview) -> bytes:
    """Return a group of bars a task: ours with the spread over seeds, and the published ones beside them."""
    columns = [*table.ours, *_shown_published(found)]
    lines = math.ceil(len(table.rows) / _TASKS_A_LINE)
    per_line = math.ceil(len(table.rows) / lines)
    width = min(15.0, max(6.4, 1.6 + per_line * max(0.8, 0.21 * (len(columns) + 1))))
    figure, grid = new_figure(width, 0.7 + 3.3 * lines, lines, squeeze=False)
    for number, axes in enumerate(grid[:, 0]):
        rows = list(table.rows[number * per_line : (number + 1) * per_line])
        _bars(axes, rows, columns, table)
        axes.set_xlim(-0.6, per_line - 0.4)
    shown: dict[str, Any] = {}
    for axes in grid[:, 0]:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    names = sorted(shown, key=lambda name: name == BEST)  # the line comes after the bars
    ncols = max(1, int(width / 2.4))
    figure.legend([shown[name] for name in names], names, loc="outside upper left", ncols=ncols, fontsize=8)
    return png(figure)


@styled
def ranks_figure(found: Overview) -> bytes:
    """Return the mean rank of each compared column as points, best on top and on the left."""
    standings = list(found.standings)[::-1]
    ours = [s.column for s in found.standings if s.column.is_ours]
    figure, axes = new_figure(6.4, 1.1 + 0.34 * len(standings))
    colours = [_colour(s.column, ours) for s in standings]
    axes.scatter([s.mean_rank for s in standings], range(len(standings)), s=60, c=colours, zorder=2)
    axes.grid(axis="y", color="#e3e8ee", lw=0.8)
    for place, standing in enumerate(standings):
        axes.annotate(
            f"{standing.mean_rank:.2f}",
            (standing.mean_rank, place),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(standings)), [s.column.name for s in standings])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0.6, max(s.mean_rank for s in standings) + 0.1 * len(standings))
    axes.set_ylim(-0.7, len(standings) - 0.3)
    tasks = f"{len(found.rows)} task" + ("s" if len(found.rows) > 1 else "")
    axes.set(xlabel=f"mean rank over {tasks}, of {len(standings)} models (1 is the best)", title="Mean rank")
    return png(figure)


@styled
def parameters_figure(table: ResultsTable, found: Overview) -> bytes:
    """Return the mean score against the number of parameters."""
    standings = [s for s in found.standings if s.column.parameters and not math.isnan(s.mean)]
    scale = min(scale_of(row.metric) for row in table.rows)
    ours = [s.column for s in found.standings if s.column.is_ours]
    is_crowded = len(standings) > 9
    figure, axes = new_figure(*((9.0, 6.2) if is_crowded else (6.4, 4.0)))
    points, line = [], None
    for standing in standings:
        x, y = float(standing.column.parameters or 0), standing.mean * scale
        error = None if standing.sd is None else standing.sd * scale
        look = {"color": _colour(standing.column, ours), "fmt": "o" if standing.column.is_ours else "s"}
        axes.errorbar(x, y, error, ms=8, mec="white", mew=0.8, capsize=3, elinewidth=1.4, **look)
        points.append((x, y, standing))
    best = None if found.best_published is None else found.best_published * scale
    sizes = [x for x, _, _ in points]
    heights = [y + sign * (s.sd or 0.0) * scale for _, y, s in points for sign in (-1, 1)]
    heights += [] if best is None else [best]
    room = 0.12 * ((max(heights) - min(heights)) or 1.0)
    axes.set(xscale="log", xlim=(min(sizes) / 2.5, max(sizes) * 2.5))
    axes.set_ylim(min(heights) - room, max(heights) + room)
    if best is not None:
        axes.axhline(best, color="#555555", lw=1, ls="--", zorder=0)
        line = axes.annotate(
            f"best published of each task: {best:.{1 if scale == 100 else 3}f}",
            (0.995, best),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#444444",
        )
    axes.xaxis.set_major_formatter(lambda value, _: parameters_text(round(value)))
    axes.xaxis.set_minor_formatter("")
    axes.grid(axis="y", color="#e3e8ee", lw=0.8)
    axes.set_axisbelow(True)
    tasks = f"{len(found.rows)} task" + ("s" if len(found.rows) > 1 else "")
    metrics = ", ".join(dict.fromkeys(metric_title(row.metric) for row in table.rows))
    scores = metrics if "," not in metrics else "scores ×100" if scale == 100 else "scores"
    axes.set(xlabel="parameters", ylabel=f"mean over {tasks}, {scores}", title="Quality against size")
    _label(figure, axes, points, line, scale)
    return png(figure)


def _bars(axes: Any, rows: list[Row], columns: list[Column], table: ResultsTable) -> None:
    ours, theirs = list(table.ours), [column for column in columns if not column.is_ours]
    width = 0.84 / len(columns)
    for number, column in enumerate(columns):
        label = column.name
        for place, row in enumerate(rows):
            cell = row.comparable.get(column.name)
            if cell is None:
                continue
            scale = scale_of(row.metric) / 100
            look: dict[str, Any] = {"color": _colour(column, ours)}
            if not column.is_ours:
                rank = theirs.index(column)
                look = {
                    "color": THEIR_COLOURS[rank],
                    "hatch": _HATCHES[rank],
                    "edgecolor": "white",
                    "lw": 0.4,
                }
            x = place - 0.42 + (number + 0.5) * width
            axes.bar(x, cell.value * 100 * scale, width * 0.94, label=label, **look)
            if cell.sd is not None:
                axes.errorbar(
                    x, cell.value * 100 * scale, cell.sd * 100 * scale, color="#222222", capsize=2, lw=1
                )
            label = "_"  # one entry a column
    label = BEST
    for place, row in enumerate(rows):
        values = [row.comparable[c.name].value for c in table.published if c.name in row.comparable]
        if values:
            best = (min if row.lower_is_better else max)(values) * scale_of(row.metric)
            axes.plot(
                [place - 0.46, place + 0.46], [best, best], color="black", lw=1.2, ls=(0, (4, 2)), label=label
            )
            label = "_"
    slanted = max(len(row.task) for row in rows) * len(rows) > 70
    names = [row.task for row in rows]
    axes.set_xticks(
        range(len(rows)), names, rotation=25 if slanted else 0, ha="right" if slanted else "center"
    )
    axes.tick_params(axis="x", length=0, labelsize=9)
    shown = [
        row.comparable[c.name].value * scale_of(row.metric)
        for row in rows
        for c in columns
        if c.name in row.comparable
    ]
    if min(shown) >= 0 and max(shown) > 1:
        axes.set_ylim(0, min(100, max(shown) * 1.12))
    axes.grid(axis="y", color="#e3e8ee", lw=0.8)
    axes.set_axisbelow(True)
    axes.set_ylabel(", ".join(dict.fromkeys(metric_title(row.metric) for row in rows)))


def _shown_published(found: Overview) -> list[Column]:
    """Return the published columns that have every task, at most four: those that do best."""
    columns = [standing.column for standing in found.standings if not standing.column.is_ours]
    return columns[:_MOST_PUBLISHED]


def _colour(column: Column, ours: list[Column]) -> str:
    """Return the colour of a column: of its own for ours, grey for the published ones."""
    if not column.is_ours:
        return THEIR_COLOURS[0]
    names = sorted(one.name for one in ours)
    return OUR_COLOURS[names.index(column.name) % len(OUR_COLOURS)]


def _label(
    figure: Any, axes: Any, points: list[tuple[float, float, Standing]], line: Any, scale: float
) -> None:
    """Write each name where it hides no other name and no point: right, left, above, below, or farther."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    marks = [axes.transData.transform((x, y)) for x, y, _ in points]
    taken = [Bbox.from_bounds(x - 7, y - 7, 14, 14) for x, y in marks]
    for x, y, standing in points:
        reach = (standing.sd or 0.0) * scale  # of the error bar
        ends = axes.transData.transform([(x, y - reach), (x, y + reach)])
        taken.append(Bbox.from_extents(ends[0, 0] - 4, ends[0, 1] - 2, ends[1, 0] + 4, ends[1, 1] + 2))
    if line is not None:  # its words, and the line below them
        words = line.get_window_extent()
        taken += [words, Bbox.from_extents(frame.x0, words.y0 - 8, frame.x1, words.y0)]
    for x, y, standing in sorted(points, key=lambda point: -point[1]):
        text = axes.annotate(
            standing.column.name,
            (x, y),
            (0, 0),
            textcoords="offset points",
            fontsize=8.5 if len(points) < 10 or standing.column.is_ours else 7.5,
            annotation_clip=False,
        )
        costs = []
        for place in _PLACES:
            box = _moved(text, place)
            hidden = sum(box.overlaps(other) for other in taken)
            is_outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            costs.append(hidden + 0.9 * is_outside)
            if costs[-1] == 0:
                break
        dx, dy, *_ = chosen = _PLACES[costs.index(min(costs))]
        taken.append(_moved(text, chosen))
        if max(abs(dx), abs(dy)) > _NEAR:
            line_to = {"xytext": (dx, dy), "textcoords": "offset points"}
            axes.annotate(
                "", (x, y), arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.6}, **line_to
            )


def _moved(text: Any, place: tuple[int, int, str, str]) -> Any:
    """Put a text at a place beside its point, and return its box in pixels."""
    dx, dy, ha, va = place
    text.set(ha=ha, va=va)
    text.xyann = (dx, dy)
    return text.get_window_extent()


_NEAR = 9
_SIDES = [("left", 1), ("right", -1)]
_PLACES = [
    *[
        (9, 0, "left", "center"),
        (-9, 0, "right", "center"),
        (0, 9, "center", "bottom"),
        (0, -9, "center", "top"),
    ],
    *[(sign * 9, dy, ha, "center") for dy in (9, -9) for ha, sign in _SIDES],
    *[
        (sign * dx, dy, ha, "center")
        for dx, heights in ((18, (0, 18, -18, 28, -28)), (36, (0, 12, -12, 24, -24, 38, -38, 52, -52)))
        for dy in heights
        for ha, sign in _SIDES
    ],
]
"""Where a name may stand: distance from the point in typographic points, and how it is aligned."""
