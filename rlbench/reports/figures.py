"""Every run's final return.

In: the cells of one environment. Out: a `Drawing`. Never: computes a statistic, opens a window, touches global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rlbench.reports.axis_labels import TickFormatter, padded
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    STYLE,
    Drawing,
    colour_of,
    name_axes,
    panel,
    render,
    write,
)
from rlbench.reports.cells import Cell, RunCurve
from rlbench.text import number, shortened

# What has a final return worth a mark; that of a run under way is only where it stands.
SHOWN = ("done", "diverged", "failed")
_ROW = 44.0  # a variant's row among the final returns


def draw_final_returns(cells: Sequence[Cell], styles: Sequence[int], baseline: float | None, *, name: str) -> Drawing:
    """Every run's final return as a dot, a row a variant, with the interval and its estimate below the dots."""
    height = max(HEIGHT, _ROW * len(cells) + 54)
    with mpl.rc_context(STYLE):
        figure, axes = panel(height, left=12, right=14, bottom=40, top=6)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        for position, (cell, style) in enumerate(zip(cells, styles, strict=True)):
            _draw_row(axes, cell, -float(position), colour_of(style))
        axes.set_ylim(-len(cells) + 0.38, 0.62)
        _limit_returns(axes, cells, baseline)
        _draw_dots(axes, cells, styles)
        if baseline is not None:
            axes.axvline(baseline, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        name_axes(axes, x="final return, one dot a run")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(TickFormatter())
        told = "; ".join(
            f"{cell.variant} {number(metric.estimate)}"
            + (f" ({metric.statistic.upper()})" if metric.statistic == "iqm" else "")
            for cell in cells
            if (metric := cell.metrics["final_return"])
        )
        return render(figure, name, f"Final return of every run; mean or IQM per variant: {told}")


def _limit_returns(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    values = np.array([curve.final_return for cell in cells for curve in cell.runs if curve.status in SHOWN])
    intervals = [cell.metrics["final_return"].interval for cell in cells]
    ends = np.array([end for interval in intervals if interval is not None for end in (interval.low, interval.high)])
    axes.set_xlim(*padded(values if baseline is None else np.append(values, baseline), ends))


def _draw_row(axes: Axes, cell: Cell, y: float, colour: str) -> None:
    """A variant's name, counts, estimate and interval."""
    metric = cell.metrics["final_return"]
    notes = [f"n = {metric.n}"] + [f"{cell.counts[s]} {s}" for s in ("diverged", "failed") if cell.counts[s]]
    # The paper behind the words keeps the baseline from striking them through.
    at = {"transform": axes.get_yaxis_transform(), "va": "top", "bbox": {"facecolor": PAPER, "linewidth": 0, "pad": 1}}
    write(axes, 0.0, y + 0.52, shortened(cell.variant, 34), 9.5, INK, **at)
    write(axes, 1.0, y + 0.52, " · ".join(notes), 8.5, MUTED, ha="right", **at)
    axes.axhline(y - 0.34, color=GRID, linewidth=0.7, zorder=0)
    if metric.interval is None or metric.estimate is None:
        return
    if not np.isnan(metric.interval.low):
        axes.plot([metric.interval.low, metric.interval.high], [y - 0.2] * 2, color=colour, linewidth=3.2)
    axes.plot(
        metric.estimate, y - 0.2, marker="D", markersize=5.5, color=colour, markeredgecolor=PAPER, markeredgewidth=0.8
    )


def _draw_dots(axes: Axes, cells: Sequence[Cell], styles: Sequence[int]) -> None:
    """One dot a run, none hiding another; a cross for a run that diverged or failed. A done run's dot says which in its id."""
    import seaborn as sns  # here and not above: it takes a second

    for position, (cell, style) in enumerate(zip(cells, styles, strict=True)):
        for is_done in (True, False):
            own = in_order(cell, is_done=is_done)
            if not own:
                continue
            edge = {"edgecolor": PAPER, "linewidth": 0.5} if is_done else {"linewidth": 1.3}
            values, rows = [curve.final_return for curve in own], [0.09 - position] * len(own)
            look = {"color": colour_of(style), "size": 5.2, "marker": "o" if is_done else "x", **edge}
            sns.swarmplot(x=values, y=rows, orient="h", native_scale=True, ax=axes, legend=False, **look)
            axes.collections[-1].set_gid(f"dots-{position}-{int(is_done)}")


def in_order(cell: Cell, *, is_done: bool) -> list[RunCurve]:
    """The runs of a cell that have a mark, done or lost, in the order of their marks."""
    runs = [curve for curve in cell.runs if curve.status in SHOWN and np.isfinite(curve.final_return)]
    return sorted((c for c in runs if (c.status == "done") == is_done), key=lambda curve: curve.final_return)


def marks_of(cells: Sequence[Cell], name: str, films: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """What the page's script says of each dot: its seed, its return, and the film of its run, if there is one."""
    return tuple(
        {
            "id": f"{name}-dots-{position}-{int(is_done)}",
            "variant": cell.variant,
            "runs": [
                {"seed": run.seed, "shown": number(run.final_return), "film": films.get(run.run_id, "")} for run in own
            ],
        }
        for position, cell in enumerate(cells)
        for is_done in (True, False)
        if (own := in_order(cell, is_done=is_done))
    )
