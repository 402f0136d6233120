"""Learning curves of one environment: two together, more of them in a panel each against the grey rest.

In: the cells of one environment. Out: a `Drawing`, and what the page says of it under the pointer. Never: computes a statistic, opens a
window, touches global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from rlbench.reports.axis_labels import padded
from rlbench.reports.canvas import (
    INK,
    MUTED,
    SMALL,
    STYLE,
    Drawing,
    colour_of,
    dash_of,
    marks_of_variants,
    render,
    write,
)
from rlbench.reports.cells import Cell
from rlbench.reports.figures import MOST_MARKS, at_even_ranks
from rlbench.reports.hovering import HoverLine, Limits, hover_of
from rlbench.reports.panels import small_multiples
from rlbench.text import number, shortened

MOST_TOGETHER = 2  # more bands in one panel hide each other

Styled = tuple[Cell, int]  # a cell with a curve, and the index of its variant


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
    name: a prefix for ids, different for every figure of a page. kind: what the returns are of. The narrow form is for the page only.
    """
    shown, panels = _panels(cells, styles)
    with mpl.rc_context(STYLE):
        multiples = small_multiples(len(panels), is_wide=is_wide)
        x, y = _limits(cells, baseline)
        for place, (axes, own) in enumerate(zip(multiples, panels, strict=True)):
            _draw_panel(axes, own, shown)
            axes.set(xlim=x, ylim=y)
            _draw_baseline(axes, baseline, is_named=place == 0)
        multiples.name("environment steps", kind)
        whole = f"wide-{name}" if is_wide else name
        return render(multiples.figure, whole, _summary(cells, kind), is_for_page=not is_wide)


def hover_of_curves(
    cells: Sequence[Cell],
    styles: Sequence[int],
    baseline: float | None,
    *,
    name: str,
    told: Mapping[str, Sequence[str]],
) -> Mapping[str, Any]:
    """What the page says under the pointer; `told` is by variant, a text for each point of its curve."""
    shown, panels = _panels(cells, styles)
    lines = [
        HoverLine(cell.variant, (style,), cell.curve.env_steps, cell.curve.band.estimate, told[cell.variant])
        for cell, style in shown
        if cell.curve is not None
    ]
    return hover_of(name, lines, [[shown.index(one) for one in own] for own in panels], _limits(cells, baseline))


def _panels(cells: Sequence[Cell], styles: Sequence[int]) -> tuple[list[Styled], list[list[Styled]]]:
    """All that has a curve, and what each panel is of."""
    shown = [(cell, style) for cell, style in zip(cells, styles, strict=True) if cell.curve is not None]
    return shown, [[one] for one in shown] if len(shown) > MOST_TOGETHER else [shown]


def _draw_panel(axes: Axes, own: Sequence[Styled], shown: Sequence[Styled]) -> None:
    """One panel: its cells over the lines of all others in grey; a single run of each is a thin line."""
    if not own:
        where = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        write(axes, 0.5, 0.5, "no finished run yet", 10, MUTED, **where)
        return
    _draw_others(axes, [one for one in shown if one not in own])
    for index, (cell, style) in enumerate(own):
        with marks_of_variants(axes, style):
            _draw_cell(axes, cell, style)
            at = {"transform": axes.transAxes, "ha": "left", "va": "bottom"}
            write(
                axes,
                index * 0.5,
                1.03,
                shortened(cell.variant, 30),
                10,
                colour_of(style) if len(own) > 1 else INK,
                **at,
            )


def _draw_cell(axes: Axes, cell: Cell, style: int) -> None:
    """A cell's single runs, its band and its line."""
    assert cell.curve is not None
    colour = colour_of(style)
    _draw_runs(axes, cell, colour)
    band, grid = cell.curve.band, cell.curve.env_steps
    if len(grid) > 1 and not np.isnan(band.low).any():
        # Ours and not seaborn's: it holds over the whole grid at once, where seaborn's holds at each point.
        axes.fill_between(grid, band.low, band.high, color=colour, alpha=0.14, linewidth=0)
        for edge in (band.low, band.high):
            axes.plot(grid, edge, color=colour, linewidth=0.9)
    marker = "o" if len(grid) == 1 else None
    axes.plot(grid, band.estimate, color=colour, linewidth=2.4, linestyle=dash_of(style), marker=marker)


def _draw_others(axes: Axes, others: Sequence[Styled]) -> None:
    """The other variants' lines in grey."""
    for cell, style in others:
        with marks_of_variants(axes, style):
            assert cell.curve is not None
            axes.plot(cell.curve.env_steps, cell.curve.band.estimate, color=MUTED, linewidth=1.0, alpha=0.75)


def _draw_runs(axes: Axes, cell: Cell, colour: str) -> None:
    """The runs of a cell, thin, of very many those at even ranks of their final returns; a cross where a diverged one ends."""
    drawn = [curve for curve in cell.runs if len(curve.env_steps)]
    if len(drawn) > MOST_MARKS:
        drawn = at_even_ranks(sorted(drawn, key=lambda curve: curve.final_return))
    if drawn:
        import seaborn as sns  # here and not above: it takes a second

        x, y = (np.concatenate(side) for side in zip(*((c.env_steps, c.returns) for c in drawn), strict=True))
        faint = {"color": colour, "linewidth": 0.5, "alpha": float(np.clip(4 / len(drawn), 0.1, 0.35))}
        units = np.repeat(np.arange(len(drawn)), [len(curve.env_steps) for curve in drawn])
        sns.lineplot(x=x, y=y, units=units, estimator=None, ax=axes, legend=False, sort=False, **faint)
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
        write(axes, 0.995, baseline, f"random {number(baseline)}", SMALL, MUTED, **at)


def _limits(cells: Sequence[Cell], baseline: float | None) -> Limits:
    bands = [cell.curve.band for cell in cells if cell.curve is not None]
    ends = np.concatenate([np.concatenate([band.low, band.high]) for band in bands]) if bands else np.empty(0)
    parts = [curve.returns for cell in cells for curve in cell.runs]
    values = np.concatenate(parts) if parts else np.empty(0)
    last = max((int(curve.env_steps[-1]) for cell in cells for curve in cell.runs if len(curve.env_steps)), default=1)
    return (0.0, float(last)), padded(values if baseline is None else np.append(values, baseline), ends)


def _summary(cells: Sequence[Cell], kind: str) -> str:
    ends = "; ".join(f"{c.variant} ends at {number(float(c.curve.band.estimate[-1]))}" for c in cells if c.curve)
    return f"Learning curves of the {kind} over runs. {ends}".strip()
