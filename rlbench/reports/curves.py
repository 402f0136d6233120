"""Learning curves of one environment: together where a few variants are told apart by eye, each in a panel of its own where more are not.

In: the cells of one environment. Out: a `Drawing`. Never: computes a statistic, opens a window, touches global state.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rlbench.reports.axis_labels import TickFormatter, end_label, label_ends, padded, right_margin
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    STYLE,
    WIDTH,
    Drawing,
    add_axes,
    colour_of,
    dash_of,
    name_axes,
    panel,
    render,
    write,
)
from rlbench.reports.cells import Cell
from rlbench.reports.text import number, shortened

MOST_TOGETHER = 5  # bands of more are one grey
_PANEL, _GAP = 92.0, 26.0  # height of a panel, and of the room above it for its name


def draw_curves(
    cells: Sequence[Cell], styles: Sequence[int], baseline: float | None, *, name: str, kind: str
) -> Drawing:
    """Learning curves of one environment: a line, a band and faint single runs for each variant, labelled at its end.

    styles: the index of each cell's colour and dash. baseline: the mean return of random actions, or None.
    name: a prefix for ids, different for every figure of a page. kind: what the returns are of.
    """
    labelled = [(cell, style) for cell, style in zip(cells, styles, strict=True) if cell.curve is not None]
    if len(labelled) > MOST_TOGETHER:
        return _draw_panels(cells, labelled, baseline, name=name, kind=kind)
    labels = [end_label(cell.variant) for cell, _ in labelled]
    # As tall as the final returns beside it, while these are few.
    height = max(HEIGHT, min(44.0 * len(cells) + 54, 430))
    with mpl.rc_context(STYLE):
        figure, axes = panel(height, left=52, right=right_margin(labels), bottom=40, top=14)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        num_lines = sum(1 for cell in cells for curve in cell.runs if len(curve.env_steps))
        for cell, style in zip(cells, styles, strict=True):
            _draw_runs(axes, cell, colour_of(style), opacity=float(np.clip(5 / max(num_lines, 1), 0.06, 0.25)))
        for cell, style in labelled:
            _draw_band(axes, cell, style)
        _limit_axes(axes, cells, baseline)
        _draw_baseline(axes, baseline)
        if labelled:
            ends = [float(cell.curve.band.estimate[-1]) if cell.curve else 0.0 for cell, _ in labelled]
            label_ends(figure, axes, ends, labels, [style for _, style in labelled])
        else:
            said = {"transform": axes.transAxes, "ha": "center", "va": "center"}
            write(axes, 0.5, 0.5, "no finished run yet", 10, MUTED, **said)
        name_axes(axes, x="environment steps")
        name_axes(axes, y=kind)
        axes.yaxis.set_major_formatter(TickFormatter())
        axes.xaxis.set_major_formatter(TickFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return render(figure, name, _summary(cells, kind))


def _draw_panels(
    cells: Sequence[Cell], shown: Sequence[tuple[Cell, int]], baseline: float | None, *, name: str, kind: str
) -> Drawing:
    """A panel for each of the shown cells, with its style, over the lines of all others in grey; all have the same axes."""
    rows = -(-len(shown) // 2)
    left, right, bottom, between = 52.0, 8.0, 40.0, 14.0
    height = rows * (_PANEL + _GAP) + bottom
    wide = (WIDTH - left - right - between) / 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72), facecolor=PAPER)
        for place, (cell, style) in enumerate(shown):
            row, column = divmod(place, 2)
            x, y = left + column * (wide + between), height - (row + 1) * (_PANEL + _GAP)
            axes = add_axes(figure, x, y, wide, _PANEL)
            axes.tick_params(labelsize=8.5, labelleft=column == 0, labelbottom=place >= len(shown) - 2)
            axes.grid(axis="y", color=GRID, linewidth=0.7)
            for other, _ in shown:
                if other is not cell and other.curve is not None:
                    axes.plot(other.curve.env_steps, other.curve.band.estimate, color=MUTED, linewidth=0.7, alpha=0.35)
            _draw_runs(axes, cell, colour_of(style), opacity=0.2)
            _draw_band(axes, cell, style)
            _limit_axes(axes, cells, baseline)
            _draw_baseline(axes, baseline, named=place == 0)
            at = {"transform": axes.transAxes, "ha": "left", "va": "bottom"}
            write(axes, 0.0, 1.04, shortened(cell.variant, 30), 9, INK, **at)
            axes.xaxis.set_major_formatter(TickFormatter())
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(TickFormatter())
            if column == 0:
                name_axes(axes, y=kind, fontsize=8.5)
            if place >= len(shown) - 2:
                name_axes(axes, x="environment steps", fontsize=8.5)
        return render(figure, name, _summary(cells, kind))


def _summary(cells: Sequence[Cell], kind: str) -> str:
    ends = "; ".join(f"{c.variant} ends at {number(float(c.curve.band.estimate[-1]))}" for c in cells if c.curve)
    return f"Learning curves of the {kind} over runs. {ends}".strip()


def _draw_band(axes: Axes, cell: Cell, style: int) -> None:
    """The line of a cell and its band."""
    assert cell.curve is not None
    band, grid = cell.curve.band, cell.curve.env_steps
    if len(grid) > 1 and not np.isnan(band.low).any():
        axes.fill_between(grid, band.low, band.high, color=colour_of(style), alpha=0.08, linewidth=0)
        # Edges, since the fills of several bands that overlap are one grey.
        for edge in (band.low, band.high):
            axes.plot(grid, edge, color=colour_of(style), linewidth=0.8, alpha=0.55, linestyle=dash_of(style))
    marker = "o" if len(grid) == 1 else None
    axes.plot(grid, band.estimate, color=colour_of(style), linewidth=2.0, linestyle=dash_of(style), marker=marker)


def _draw_baseline(axes: Axes, baseline: float | None, *, named: bool = True) -> None:
    """The return of random actions as a dotted line."""
    if baseline is None:
        return
    axes.axhline(baseline, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    if named:
        at = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        write(axes, 0.995, baseline, f"random {number(baseline)}", 8.5, MUTED, **at)


def _draw_runs(axes: Axes, cell: Cell, colour: str, *, opacity: float) -> None:
    """All runs of a cell as one path with gaps, faint; a cross where a diverged one ends."""
    drawn = [curve for curve in cell.runs if len(curve.env_steps)]
    if not drawn:
        return
    steps = np.concatenate([np.append(curve.env_steps.astype(float), np.nan) for curve in drawn])
    returns = np.concatenate([np.append(curve.returns, np.nan) for curve in drawn])
    axes.plot(steps, returns, color=colour, linewidth=0.6, alpha=opacity)
    for curve in drawn:
        if curve.status == "diverged":
            axes.plot(
                curve.env_steps[-1], curve.returns[-1], marker="x", markersize=5, color=colour, markeredgewidth=1.3
            )


def _limit_axes(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    bands = [cell.curve.band for cell in cells if cell.curve is not None]
    ends = np.concatenate([np.concatenate([band.low, band.high]) for band in bands]) if bands else np.empty(0)
    values = _returns_of(cells)
    axes.set_ylim(*padded(values if baseline is None else np.append(values, baseline), ends))
    last = max((int(curve.env_steps[-1]) for cell in cells for curve in cell.runs if len(curve.env_steps)), default=1)
    axes.set_xlim(0, last)


def _returns_of(cells: Sequence[Cell]) -> NDArray[np.float64]:
    parts = [curve.returns for cell in cells for curve in cell.runs]
    together = np.concatenate(parts) if parts else np.empty(0)
    return together[np.isfinite(together)]
