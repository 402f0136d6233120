"""Learning curves of one environment: two together, more of them in a panel each against the grey rest.

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
    INK,
    MUTED,
    STYLE,
    WIDTH,
    Drawing,
    add_axes,
    blank,
    colour_of,
    dash_of,
    name_axes,
    render,
    write,
)
from rlbench.reports.cells import Cell
from rlbench.text import number, shortened

MOST_TOGETHER = 2  # more bands in one panel hide each other
_FULL = 880.0  # points: the page's width on a screen
_LEFT, _RIGHT, _BOTTOM, _BETWEEN, _ABOVE = 52.0, 10.0, 40.0, 16.0, 24.0


def draw_curves(
    cells: Sequence[Cell],
    styles: Sequence[int],
    baseline: float | None,
    *,
    name: str,
    kind: str,
    is_wide: bool = False,
) -> Drawing:
    """Learning curves: a line, a simultaneous band and single runs for each variant, which is named above or in its colour.

    styles: the index of each cell's colour and dash. baseline: the mean return of random actions, or None.
    name: a prefix for ids, different for every figure of a page. kind: what the returns are of.
    """
    shown = [(cell, style) for cell, style in zip(cells, styles, strict=True) if cell.curve is not None]
    panels = [[one] for one in shown] if len(shown) > MOST_TOGETHER else [shown]
    columns = min(len(panels), (4 if len(panels) > 6 else 2) if is_wide else 1)
    rows = -(-len(panels) // columns)
    width = _FULL if is_wide else WIDTH
    tall = (300.0 if is_wide else 230.0) if len(panels) == 1 else 150.0 if is_wide else 120.0
    height = rows * (tall + _ABOVE) + _BOTTOM
    wide = (width - _LEFT - _RIGHT - _BETWEEN * (columns - 1)) / columns
    with mpl.rc_context(STYLE):
        figure = blank(width, height)
        for place, own in enumerate(panels):
            row, column = divmod(place, columns)
            x, y = _LEFT + column * (wide + _BETWEEN), height - (row + 1) * (tall + _ABOVE)
            axes = add_axes(figure, x, y, wide, tall)
            is_last = place >= len(panels) - columns
            axes.tick_params(labelleft=column == 0, labelbottom=is_last)
            axes.grid(axis="y", color=GRID, linewidth=0.7)
            axes.set_gid(f"panel-{place}")
            _draw_panel(axes, own, shown)
            _limit_axes(axes, cells, baseline)
            _draw_baseline(axes, baseline, is_named=place == 0)
            for axis, most in ((axes.xaxis, 5), (axes.yaxis, 4)):
                axis.set_major_formatter(TickFormatter())
                axis.set_major_locator(MaxNLocator(most))
            name_axes(axes, x="environment steps" if is_last else "", y=kind if column == 0 else "")
        return render(figure, name, _summary(cells, kind))


def panels_of(cells: Sequence[Cell], name: str) -> tuple[Mapping[str, Any], ...]:
    """Which panel of a figure, narrow and wide, is of which variant, where each has its own."""
    shown = [cell.variant for cell in cells if cell.curve is not None]
    if len(shown) <= MOST_TOGETHER:
        return ()
    return tuple(
        {"id": f"{prefix}{name}-panel-{place}", "variant": variant, "runs": []}
        for prefix in ("", "wide-")
        for place, variant in enumerate(shown)
    )


def _draw_panel(axes: Axes, own: Sequence[tuple[Cell, int]], shown: Sequence[tuple[Cell, int]]) -> None:
    """One panel: its cells over the lines of all others in grey; a single run of each is a thin line."""
    import seaborn as sns  # here and not above: it takes a second

    if not own:
        where = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        write(axes, 0.5, 0.5, "no finished run yet", 10, MUTED, **where)
    for other, _ in shown if own else ():
        if other.curve is not None and other not in [cell for cell, _ in own]:
            _line(sns, axes, other, color=MUTED, linewidth=1.0, alpha=0.75)
    for index, (cell, style) in enumerate(own):
        colour = colour_of(style)
        _draw_runs(sns, axes, cell, colour)
        assert cell.curve is not None
        band, grid = cell.curve.band, cell.curve.env_steps
        if len(grid) > 1 and not np.isnan(band.low).any():
            # Ours and not seaborn's: it holds over the whole grid at once, where seaborn's holds at each point.
            axes.fill_between(grid, band.low, band.high, color=colour, alpha=0.14, linewidth=0)
            for edge in (band.low, band.high):
                axes.plot(grid, edge, color=colour, linewidth=0.9)
        marker = "o" if len(grid) == 1 else None
        _line(sns, axes, cell, color=colour, linewidth=2.4, linestyle=dash_of(style), marker=marker)
        at = {"transform": axes.transAxes, "ha": "left", "va": "bottom"}
        write(axes, index * 0.5, 1.03, shortened(cell.variant, 30), 10, colour if len(own) > 1 else INK, **at)


def _line(sns: object, axes: Axes, cell: Cell, **style: object) -> None:
    assert cell.curve is not None
    x, y = cell.curve.env_steps, cell.curve.band.estimate
    sns.lineplot(x=x, y=y, ax=axes, estimator=None, legend=False, **style)  # type: ignore[attr-defined]


def _draw_runs(sns: object, axes: Axes, cell: Cell, colour: str) -> None:
    """All runs of a cell, thin; a cross where a diverged one ends."""
    drawn = [curve for curve in cell.runs if len(curve.env_steps)]
    if drawn:
        steps = np.concatenate([curve.env_steps for curve in drawn])
        returns = np.concatenate([curve.returns for curve in drawn])
        runs = np.repeat(np.arange(len(drawn)), [len(curve.env_steps) for curve in drawn])
        faint = {"color": colour, "linewidth": 0.5, "alpha": float(np.clip(4 / len(drawn), 0.1, 0.35))}
        sns.lineplot(x=steps, y=returns, units=runs, estimator=None, ax=axes, legend=False, sort=False, **faint)  # type: ignore[attr-defined]
    for curve in drawn:
        if curve.status == "diverged":
            axes.plot(curve.env_steps[-1], curve.returns[-1], "x", markersize=5, color=colour, markeredgewidth=1.3)


def _draw_baseline(axes: Axes, baseline: float | None, *, is_named: bool) -> None:
    """The return of random actions as a dotted line."""
    if baseline is None:
        return
    axes.axhline(baseline, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)))
    if is_named:
        at = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        write(axes, 0.995, baseline, f"random {number(baseline)}", 8.5, MUTED, **at)


def _limit_axes(axes: Axes, cells: Sequence[Cell], baseline: float | None) -> None:
    bands = [cell.curve.band for cell in cells if cell.curve is not None]
    ends = np.concatenate([np.concatenate([band.low, band.high]) for band in bands]) if bands else np.empty(0)
    parts = [curve.returns for cell in cells for curve in cell.runs]
    values = np.concatenate(parts) if parts else np.empty(0)
    axes.set_ylim(*padded(values if baseline is None else np.append(values, baseline), ends))
    last = max((int(curve.env_steps[-1]) for cell in cells for curve in cell.runs if len(curve.env_steps)), default=1)
    axes.set_xlim(0, last)


def _summary(cells: Sequence[Cell], kind: str) -> str:
    ends = "; ".join(f"{c.variant} ends at {number(float(c.curve.band.estimate[-1]))}" for c in cells if c.curve)
    return f"Learning curves of the {kind} over runs. {ends}".strip()
