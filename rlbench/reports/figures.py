"""The figures of a report: learning curves, and every run's final return.

In: the cells of one environment. Out: a `Drawing`. Never: computes a statistic, opens a window, touches global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from rlbench.reports.axis_labels import end_label, label_ends, right_margin, short_count
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    STYLE,
    Drawing,
    colour_of,
    dash_of,
    panel,
    render,
    write,
)
from rlbench.reports.cells import Cell
from rlbench.reports.text import number, shortened

# What has a final return worth a mark; that of a run under way is only where it stands.
SHOWN = ("done", "diverged", "failed")
_ROW = 44.0  # a variant's row among the final returns


def draw_curves(
    cells: Sequence[Cell], styles: Sequence[int], baseline: float | None, *, name: str, kind: str
) -> Drawing:
    """Learning curves of one environment: a line, a band and faint single runs for each variant, labelled at its end.

    styles: the index of each cell's colour and dash. baseline: the mean return of random actions, or None.
    name: a prefix for ids, different for every figure of a page. kind: what the returns are of.
    """
    labelled = [(cell, style) for cell, style in zip(cells, styles, strict=True) if cell.curve is not None]
    labels = [end_label(cell.variant) for cell, _ in labelled]
    height = max(HEIGHT, 13.5 * len(labels) + 70, min(_ROW * len(cells) + 54, 430))
    with mpl.rc_context(STYLE):
        figure, axes = panel(height, left=52, right=right_margin(labels), bottom=40, top=14)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        num_lines = sum(1 for cell in cells for curve in cell.runs if len(curve.env_steps))
        for cell, style in zip(cells, styles, strict=True):
            _draw_runs(axes, cell, colour_of(style), opacity=float(np.clip(5 / max(num_lines, 1), 0.06, 0.25)))
        for cell, style in labelled:
            assert cell.curve is not None
            band, grid = cell.curve.band, cell.curve.env_steps
            if len(grid) > 1 and not np.isnan(band.low).any():
                axes.fill_between(grid, band.low, band.high, color=colour_of(style), alpha=0.08, linewidth=0)
                # Edges, since the fills of several bands that overlap are one grey.
                for edge in (band.low, band.high):
                    axes.plot(grid, edge, color=colour_of(style), linewidth=0.8, alpha=0.55, linestyle=dash_of(style))
            marker = "o" if len(grid) == 1 else None
            axes.plot(
                grid, band.estimate, color=colour_of(style), linewidth=2.0, linestyle=dash_of(style), marker=marker
            )
        _limit_axes(axes, cells, baseline)
        if baseline is not None:
            axes.axhline(baseline, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
            at = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
            write(axes, 0.995, baseline, f"random {number(baseline)}", 8.5, MUTED, **at)
        if labelled:
            ends = [float(cell.curve.band.estimate[-1]) if cell.curve else 0.0 for cell, _ in labelled]
            label_ends(figure, axes, ends, labels, [style for _, style in labelled])
        else:
            said = {"transform": axes.transAxes, "ha": "center", "va": "center"}
            write(axes, 0.5, 0.5, "no finished run yet", 10, MUTED, **said)
        axes.set_xlabel("environment steps")
        axes.set_ylabel(kind)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        told = "; ".join(
            f"{c.variant} ends at {number(float(c.curve.band.estimate[-1]))}" for c, _ in labelled if c.curve
        )
        return render(figure, name, f"Learning curves of the {kind} over runs. {told}".strip())


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
        for position, cell in enumerate(cells):
            _spread_dots(axes, cell, -float(position), colour_of(styles[position]))
        if baseline is not None:
            axes.axvline(baseline, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("final return, one dot a run")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
        told = "; ".join(f"{cell.variant} {number(cell.metrics['final_return'].iqm)}" for cell in cells)
        return render(figure, name, f"Final return of every run; IQM per variant: {told}")


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


def _returns_of(cells: Sequence[Cell]) -> NDArray[np.float64]:
    parts = [curve.returns for cell in cells for curve in cell.runs]
    together = np.concatenate(parts) if parts else np.empty(0)
    return together[np.isfinite(together)]


def _padded(values: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, float]:
    """Limits that hold all values, and the interval ends as far as 12 % of the range beyond them."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    reach = 0.12 * (high - low) or 0.05 * max(abs(high), 1.0)
    inner = ends[np.isfinite(ends)]
    if len(inner):
        low, high = min(low, max(float(inner.min()), low - reach)), max(high, min(float(inner.max()), high + reach))
    margin = 0.04 * (high - low) or reach
    return low - margin, high + margin


def _limit_axes(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    bands = [cell.curve.band for cell in cells if cell.curve is not None]
    ends = np.concatenate([np.concatenate([band.low, band.high]) for band in bands]) if bands else np.empty(0)
    values = _returns_of(cells)
    axes.set_ylim(*_padded(values if baseline is None else np.append(values, baseline), ends))
    last = max((int(curve.env_steps[-1]) for cell in cells for curve in cell.runs if len(curve.env_steps)), default=1)
    axes.set_xlim(0, last)


def _limit_returns(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    values = np.array([curve.final_return for cell in cells for curve in cell.runs if curve.status in SHOWN])
    intervals = [cell.metrics["final_return"].interval for cell in cells]
    ends = np.array([end for interval in intervals if interval is not None for end in (interval.low, interval.high)])
    axes.set_xlim(*_padded(values if baseline is None else np.append(values, baseline), ends))


def _draw_row(axes: Axes, cell: Cell, y: float, colour: str) -> None:
    """A variant's name, counts, estimate and interval."""
    metric = cell.metrics["final_return"]
    notes = [f"n = {metric.n}"] + [f"{cell.counts[s]} {s}" for s in ("diverged", "failed") if cell.counts[s]]
    # The paper behind the words keeps the baseline from striking them through.
    at = {"transform": axes.get_yaxis_transform(), "va": "top", "bbox": {"facecolor": PAPER, "linewidth": 0, "pad": 1}}
    write(axes, 0.0, y + 0.52, shortened(cell.variant, 34), 9.5, INK, **at)
    write(axes, 1.0, y + 0.52, " · ".join(notes), 8.5, MUTED, ha="right", **at)
    axes.axhline(y - 0.34, color=GRID, linewidth=0.7, zorder=0)
    if metric.interval is None or metric.iqm is None:
        return
    if not np.isnan(metric.interval.low):
        axes.plot([metric.interval.low, metric.interval.high], [y - 0.2] * 2, color=colour, linewidth=3.2, alpha=0.55)
    axes.plot(metric.iqm, y - 0.2, marker="D", markersize=5.5, color=colour, markeredgecolor=PAPER, markeredgewidth=0.8)


def _spread_dots(axes: Axes, cell: Cell, y: float, colour: str) -> None:
    """One dot a run, stacked where they would hide each other; a cross for a run that diverged or failed."""
    runs = [curve for curve in cell.runs if curve.status in SHOWN and np.isfinite(curve.final_return)]
    if not runs:
        return
    low, high = axes.get_xlim()
    values = np.array([curve.final_return for curve in runs])
    bins = np.round((values - low) / (high - low) * 62).astype(int)
    ranks = np.zeros(len(runs), int)
    for value in np.unique(bins):
        members = np.flatnonzero(bins == value)
        ranks[members] = np.arange(len(members))
    # 0, +1, -1, +2 ... around the row's middle, closer together where many runs agree.
    sides = np.where(ranks % 2, (ranks + 1) // 2, -(ranks // 2))
    step = min(0.1, 0.17 / max(1, int(np.abs(sides).max())))
    heights = y + 0.09 + sides * step
    done = np.array([curve.status == "done" for curve in runs])
    style: dict[str, Any] = {"color": colour, "linestyle": "none", "markersize": 4.6}
    axes.plot(values[done], heights[done], marker="o", alpha=0.75, markeredgecolor=PAPER, markeredgewidth=0.4, **style)
    axes.plot(values[~done], heights[~done], marker="x", markeredgewidth=1.3, **style)
