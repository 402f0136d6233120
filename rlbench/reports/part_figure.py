"""The figure of an algorithm's parts: a row each, on the left what it adds to the base, on the right what the whole loses without it.

In: plain numbers. Out: a `Drawing`. Never: computes a statistic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
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
    add_axes,
    blank,
    colour_of,
    fitting,
    render,
    write,
)

_ROW, _LEFT, _GAP, _RIGHT, _TOP, _BOTTOM = 24.0, 92.0, 12.0, 10.0, 38.0, 40.0


@dataclass(frozen=True)
class Estimate:
    """A difference of mean returns with its interval; `is_decided` where a test supports its direction."""

    value: float
    low: float | None
    high: float | None
    is_decided: bool


@dataclass(frozen=True)
class PartRow:
    """A part with its two estimates; one that was not asked for is None."""

    part: str
    added: Estimate | None
    left_out: Estimate | None


def draw_parts(
    rows: Sequence[PartRow], *, base: str, whole: str, xlabel: str, name: str, summary: str, margin: float | None
) -> Drawing:
    """Both panels have one scale; filled where the direction is supported, hollow where it is not; a band is too small to matter."""
    width = (WIDTH - _LEFT - _GAP - _RIGHT) / 2
    height = _ROW * max(len(rows), 1)
    with mpl.rc_context(STYLE):
        figure = blank(WIDTH, height + _TOP + _BOTTOM)
        panels = [add_axes(figure, _LEFT + (width + _GAP) * place, _BOTTOM, width, height) for place in range(2)]
        limits, titles = _limits(rows, margin), (("added to", base), ("in", whole))
        for place, axes in enumerate(panels):
            estimates = [(row.added, row.left_out)[place] for row in rows]
            _panel(axes, estimates, titles[place], limits, margin, colour_of(place))
        for place, row in enumerate(rows):
            at = {"transform": panels[0].get_yaxis_transform(), "ha": "right", "va": "center"}
            write(panels[0], -0.06, -float(place), fitting(row.part, _LEFT - 8, SMALL), SMALL, INK, **at)
        figure.text(
            (_LEFT + width + _GAP / 2) / WIDTH,
            9 / (height + _TOP + _BOTTOM),
            xlabel,
            ha="center",
            fontsize=SMALL,
            color=MUTED,
            parse_math=False,
        )
        return render(figure, name, summary)


def _panel(
    axes: Axes,
    estimates: Sequence[Estimate | None],
    title: tuple[str, str],
    limits: tuple[float, float],
    margin: float | None,
    colour: str,
) -> None:
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.axvline(0.0, color=MUTED, linewidth=1.1, zorder=1)
    if margin is not None:
        axes.axvspan(-margin, margin, color=MUTED, alpha=0.13, linewidth=0, zorder=0)
    for place, one in enumerate(estimates):
        if one is None or not math.isfinite(one.value):
            continue
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [-place] * 2, color=colour, linewidth=2.6, solid_capstyle="butt")
        face = colour if one.is_decided else PAPER
        axes.plot(one.value, -place, "D", markersize=6, color=face, markeredgecolor=colour, markeredgewidth=1.3)
    axes.set_ylim(-len(estimates) + 0.4, 0.6)
    axes.set_xlim(*limits)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(TickFormatter())
    short = fitting(title[1], (WIDTH - _LEFT - _GAP - _RIGHT) / 2, SMALL)
    for line, above in ((title[0], 14), (short, 2)):
        write(
            axes,
            0.5,
            1 + above / (_ROW * max(len(estimates), 1)),
            line,
            SMALL,
            INK,
            transform=axes.transAxes,
            ha="center",
            va="bottom",
        )


def _limits(rows: Sequence[PartRow], margin: float | None) -> tuple[float, float]:
    estimates = [one for row in rows for one in (row.added, row.left_out) if one is not None]
    values = [0.0, -(margin or 0.0), margin or 0.0]
    values += [
        end for one in estimates for end in (one.value, one.low, one.high) if end is not None and math.isfinite(end)
    ]
    pad = 0.06 * (max(values) - min(values)) or 1.0
    return min(values) - pad, max(values) + pad
