"""Every run's final return, and of very many runs those at even ranks.

In: the cells of one environment. Out: a `Drawing`. Never: computes a statistic, opens a window, touches global state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.ticker import MaxNLocator

from rlbench.reports.axis_labels import TickFormatter, padded
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    SMALL,
    STYLE,
    WIDTH,
    Drawing,
    colour_of,
    fitting,
    marks_of_variants,
    name_axes,
    panel,
    place,
    render,
    write,
)
from rlbench.reports.cells import Cell, RunCurve
from rlbench.text import number

# What has a final return worth a mark; that of a run under way is only where it stands.
SHOWN = ("done", "diverged", "failed")
_ROW = 44.0  # a variant's row among the final returns
_DOTS, _ROOM = 0.09, 0.16  # in rows: how high above its middle the dots are, and how far they may stray from there
_WIDE = 440.0  # points: what stands beside the answer on a screen
# The shape of fewer runs than these is that of the smoothing, not of the runs.
MIN_RUNS_FOR_SHAPE = 20
# Marks of one look in a figure: more hide each other, and to place dots side by side takes the square of their number.
MOST_MARKS = 300

Marked = TypeVar("Marked")


def draw_final_returns(
    cells: Sequence[Cell], styles: Sequence[int], baseline: float | None, *, name: str, is_wide: bool = False
) -> Drawing:
    """Every run's final return as a dot, a row a variant, with the interval and its estimate below the dots.

    Behind many dots stands the shape of the distribution of all runs.
    """
    height = max(HEIGHT, _ROW * len(cells) + 54)
    with mpl.rc_context(STYLE):
        width = _WIDE if is_wide else WIDTH
        figure, axes = panel(height, left=12, right=14, bottom=40, top=6, width=width)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        axes.set_ylim(-len(cells) + 0.38, 0.62)
        _limit_returns(axes, cells, baseline)
        groups: list[tuple[Collection, float]] = []
        for position, (cell, style) in enumerate(zip(cells, styles, strict=True)):
            with marks_of_variants(axes, style):
                _draw_row(axes, cell, -float(position), colour_of(style), width - 26)
                groups += _draw_dots(axes, cell, position, colour_of(style))
        place(figure)
        _keep_in_rows(groups)
        if baseline is not None:
            axes.axvline(baseline, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        is_thinned = most_runs(cells) > MOST_MARKS
        name_axes(axes, x=f"final return, {'runs at even ranks' if is_thinned else 'one dot a run'}")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(TickFormatter())
        told = "; ".join(
            f"{cell.variant} {number(metric.estimate)}"
            + (f" ({metric.statistic.upper()})" if metric.statistic == "iqm" else "")
            for cell in cells
            if (metric := cell.metrics["final_return"])
        )
        name = f"wide-{name}" if is_wide else name
        shown = "runs at even ranks" if is_thinned else "every run"
        return render(figure, name, f"Final return of {shown}; mean or IQM per variant: {told}")


def _limit_returns(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    values = np.array([curve.final_return for cell in cells for curve in cell.runs if curve.status in SHOWN])
    intervals = [cell.metrics["final_return"].interval for cell in cells]
    ends = np.array([end for interval in intervals if interval is not None for end in (interval.low, interval.high)])
    axes.set_xlim(*padded(values if baseline is None else np.append(values, baseline), ends))


def _draw_row(axes: Axes, cell: Cell, y: float, colour: str, width: float) -> None:
    """A variant's name, counts, estimate and interval."""
    metric = cell.metrics["final_return"]
    notes = [f"n = {metric.n}"] + [f"{cell.counts[s]} {s}" for s in ("diverged", "failed") if cell.counts[s]]
    told = " · ".join(notes)
    # The paper behind the words keeps the baseline from striking them through.
    at = {"transform": axes.get_yaxis_transform(), "va": "top", "bbox": {"facecolor": PAPER, "linewidth": 0, "pad": 1}}
    write(axes, 0.0, y + 0.52, fitting(cell.variant, width - 6.5 * len(told), 10), 10, INK, **at)
    write(axes, 1.0, y + 0.52, told, SMALL, MUTED, ha="right", **at)
    axes.axhline(y - 0.34, color=GRID, linewidth=0.7, zorder=0)
    if metric.interval is None or metric.estimate is None:
        return
    if not np.isnan(metric.interval.low):
        axes.plot([metric.interval.low, metric.interval.high], [y - 0.2] * 2, color=colour, linewidth=3.2)
    axes.plot(
        metric.estimate, y - 0.2, marker="D", markersize=5.5, color=colour, markeredgecolor=PAPER, markeredgewidth=0.8
    )


def _draw_dots(axes: Axes, cell: Cell, position: int, colour: str) -> Iterator[tuple[Collection, float]]:
    """One dot a run, side by side; a cross for a run that diverged or failed. Yields each group, which has an id, and its height."""
    import seaborn as sns  # here and not above: it takes a second

    at: dict[str, Any] = {"orient": "h", "native_scale": True, "ax": axes, "legend": False, "color": colour}
    for is_done in (True, False):
        own = in_order(cell, is_done=is_done)
        if not own:
            continue
        values, y = [curve.final_return for curve in own], _DOTS - position
        if is_done and len(own) >= MIN_RUNS_FOR_SHAPE and np.ptp(values) > 0.0:
            # Not beyond the runs, and all of one width: a shape's height says nothing of how many runs there are.
            shape = {"cut": 0, "inner": None, "density_norm": "width", "width": 0.42, "linewidth": 0.8}
            sns.violinplot(x=values, y=[y] * len(values), alpha=0.22, linecolor=colour, **shape, **at)
        edge = {"edgecolor": PAPER, "linewidth": 0.5} if is_done else {"linewidth": 1.3}
        shown = at_even_ranks(values)
        sns.swarmplot(x=shown, y=[y] * len(shown), size=5.2, marker="o" if is_done else "x", **edge, **at)
        axes.collections[-1].set_gid(f"dots-{position}-{int(is_done)}")
        yield axes.collections[-1], y


def _keep_in_rows(groups: Sequence[tuple[Collection, float]]) -> None:
    """Where many runs have one return, let their dots overlap instead of covering names and other rows.

    Seaborn has placed the dots, and would again whenever they are drawn.
    """
    for dots, height in groups:
        dots.__dict__.pop("draw", None)  # one alone is where it belongs
        places = np.asarray(dots.get_offsets())
        away = places[:, 1] - height
        places[:, 1] = height + away * (_ROOM / max(_ROOM, np.abs(away).max()))
        dots.set_offsets(places)


def in_order(cell: Cell, *, is_done: bool) -> list[RunCurve]:
    """The runs of a cell that have a mark, done or lost, in the order of their marks."""
    runs = [curve for curve in cell.runs if curve.status in SHOWN and np.isfinite(curve.final_return)]
    return sorted((c for c in runs if (c.status == "done") == is_done), key=lambda curve: curve.final_return)


def at_even_ranks(ordered: Sequence[Marked]) -> list[Marked]:
    """All of these, or `MOST_MARKS` of them at even ranks, the first and the last among them."""
    if len(ordered) <= MOST_MARKS:
        return list(ordered)
    return [ordered[place] for place in np.linspace(0, len(ordered) - 1, MOST_MARKS).round().astype(int)]


def most_runs(cells: Sequence[Cell]) -> int:
    """The most runs that a variant has of one kind, done or not."""
    kinds = (sum((run.status == "done") == is_done for run in cell.runs) for cell in cells for is_done in (True, False))
    return max(kinds, default=0)


def thinning(count: int, whole: str) -> str:
    """What a caption says where so many runs of one kind do not all have a mark: which have one, and where all runs are."""
    if count <= MOST_MARKS:
        return ""
    return (
        f" Of more than {MOST_MARKS} runs of one kind so many are drawn, at even ranks of their final returns from the"
        f" lowest to the highest; {whole} has all."
    )


def marks_of(cells: Sequence[Cell], name: str, films: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """What the page's script says of each dot: its seed, its return, and the film of its run, if there is one."""
    return tuple(
        {
            "id": f"{prefix}{name}-dots-{position}-{int(is_done)}",
            "variant": cell.variant,
            "runs": [
                {"seed": run.seed, "shown": number(run.final_return), "film": films.get(run.run_id, "")}
                for run in at_even_ranks(own)
            ],
        }
        for prefix in ("", "wide-")
        for position, cell in enumerate(cells)
        for is_done in (True, False)
        if (own := in_order(cell, is_done=is_done))
    )
