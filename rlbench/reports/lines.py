"""Lines over a common axis, one a variant with its name at its end: profiles, time to threshold, diagnostics.

In: plain numbers. Out: a `Drawing`. Never: computes a statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from rlbench.reports.axis_labels import TickFormatter, end_label, label_ends, right_margin
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    STYLE,
    Drawing,
    colour_of,
    dash_of,
    marks_of_variants,
    name_axes,
    panel,
    render,
)


@dataclass(frozen=True)
class Curve:
    """One line: x and y [points], perhaps with a band; `style` is the index of its variant."""

    label: str
    style: int
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None


def draw_lines(
    curves: Sequence[Curve],
    *,
    xlabel: str,
    ylabel: str,
    name: str,
    summary: str,
    height: float = HEIGHT,
    is_step: bool = False,
    is_log: bool = False,
    ylim: tuple[float, float] | None = None,
) -> Drawing:
    """Lines with their names at their right ends."""
    labels = [end_label(curve.label) for curve in curves]
    with mpl.rc_context(STYLE):
        tall = max(height, 13.5 * len(labels) + 70)
        figure, axes = panel(tall, left=52, right=right_margin(labels), bottom=40, top=14)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        for curve in curves:
            with marks_of_variants(axes, curve.style):
                _draw(axes, curve, is_step=is_step)
        if is_log:
            axes.set_yscale("log")
            # Plain numbers: powers typeset as mathematics take a fifth of a large report's time.
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.yaxis.set_major_formatter(TickFormatter())
        if ylim:
            axes.set_ylim(*ylim)
        _limit(axes, curves)
        if curves:
            ends = [float(np.asarray(curve.y, float)[-1]) for curve in curves]
            label_ends(figure, axes, ends, labels, [curve.style for curve in curves], of_variants=True)
        name_axes(axes, x=xlabel, y=ylabel)
        return render(figure, name, summary)


def _draw(axes: Axes, curve: Curve, *, is_step: bool) -> None:
    colour, dash = colour_of(curve.style), dash_of(curve.style)
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    if curve.low is not None and curve.high is not None:
        low, high = np.asarray(curve.low), np.asarray(curve.high)
        step: Literal["post"] | None = "post" if is_step else None
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, step=step)
    drawn = "steps-post" if is_step else "default"
    marker = "o" if len(x) == 1 else None
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=2.0, drawstyle=drawn, marker=marker, markersize=5)


def _limit(axes: Axes, curves: Sequence[Curve]) -> None:
    if curves:
        low = min(float(np.min(np.asarray(curve.x, float))) for curve in curves)
        high = max(float(np.max(np.asarray(curve.x, float))) for curve in curves)
        axes.set_xlim(min(low, 0.0), high if high > min(low, 0.0) else 1.0)
    axes.xaxis.set_major_formatter(TickFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5))
