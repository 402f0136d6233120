"""Forests: a row each for an estimate with its interval, and perhaps a second, fainter one below.

In: plain numbers. Out: a `Drawing`. Never: computes a statistic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from rlbench.reports.axis_labels import TickFormatter
from rlbench.reports.canvas import (
    GRID,
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
    render,
    write,
)
from rlbench.text import place_of

_ROW = 40.0


@dataclass(frozen=True)
class Row:
    """An estimate with its interval; `second` is another interval of the same estimate, drawn hollow."""

    label: str
    note: str
    estimate: float
    low: float | None
    high: float | None
    style: int = 0
    second: tuple[float, float] | None = None
    variants: tuple[int, ...] = ()  # the indices of those that it is of

    @property
    def place(self) -> int | None:
        """The power of ten to which the interval supports the row's numbers."""
        return place_of(self.low, self.high, self.estimate)


def draw_forest(
    rows: Sequence[Row],
    *,
    xlabel: str,
    name: str,
    summary: str,
    zero: float | None = 0.0,
    margin: float | None = None,
    limits: tuple[float, float] | None = None,
) -> Drawing:
    """One row an estimate, from the top; a line at `zero`, and a band of `margin` around it: too small to matter."""
    height = _ROW * max(len(rows), 1) + 54
    with mpl.rc_context(STYLE):
        figure, axes = panel(height, left=12, right=14, bottom=40, top=6)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        if zero is not None:
            axes.axvline(zero, color=MUTED, linewidth=1.1, zorder=1)
            if margin is not None:
                axes.axvspan(zero - margin, zero + margin, color=MUTED, alpha=0.13, linewidth=0, zorder=0)
        for place, row in enumerate(rows):
            with marks_of_variants(axes, *row.variants):
                _draw(axes, row, -float(place))
        axes.set_ylim(-len(rows) + 0.38, 0.62)
        axes.set_xlim(*(limits or _limits(rows, zero, margin)))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        name_axes(axes, x=xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(TickFormatter())
        return render(figure, name, summary)


def _draw(axes: mpl.axes.Axes, row: Row, y: float) -> None:
    # The paper behind the words keeps the line at zero from striking them through.
    paper = {"facecolor": PAPER, "linewidth": 0, "pad": 1}
    at = {"transform": axes.get_yaxis_transform(), "va": "top", "bbox": paper}
    room = WIDTH - 26 - 0.62 * SMALL * len(row.note)
    write(axes, 0.0, y + 0.52, fitting(row.label, room, 10), 10, INK, **at)
    write(axes, 1.0, y + 0.52, row.note, SMALL, MUTED, ha="right", **at)
    axes.axhline(y - 0.42, color=GRID, linewidth=0.7, zorder=0)
    if not math.isfinite(row.estimate):
        return
    colour = colour_of(row.style)
    middle = y - 0.1
    if row.low is not None and row.high is not None and math.isfinite(row.low):
        axes.plot([row.low, row.high], [middle] * 2, color=colour, linewidth=3.2, solid_capstyle="butt")
    axes.plot(row.estimate, middle, "D", markersize=6, color=colour, markeredgecolor=PAPER, markeredgewidth=0.8)
    if row.second is not None and all(math.isfinite(end) for end in row.second):
        axes.plot(row.second, [middle - 0.18] * 2, color=MUTED, linewidth=1.4, linestyle=(0, (3, 1.5)))
        axes.plot(row.estimate, middle - 0.18, "D", markersize=4, color=PAPER, markeredgecolor=MUTED)


def _limits(rows: Sequence[Row], zero: float | None, margin: float | None) -> tuple[float, float]:
    values = [row.estimate for row in rows]
    values += [end for row in rows for end in (row.low, row.high, *(row.second or ())) if end is not None]
    if zero is not None:
        values += [zero - (margin or 0.0), zero + (margin or 0.0)]
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - pad, high + pad
