"""Small multiples: panels of one size on one scale, in a column for a phone and in rows for a page's full width.

In: how many panels there are. Out: a figure and its axes, which the caller draws on. Never: draws data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlbench.reports.axis_labels import TickFormatter
from rlbench.reports.canvas import GRID, WIDTH, add_axes, blank, name_axes

_FULL = 880.0  # points: the page's width on a screen
_LEFT, _RIGHT, _BOTTOM, _BETWEEN, _ABOVE = 52.0, 12.0, 40.0, 24.0, 24.0


@dataclass(frozen=True)
class Panels:
    """An empty figure with its panels, row by row."""

    figure: Figure
    axes: tuple[Axes, ...]
    columns: int

    def __iter__(self) -> Iterator[Axes]:
        return iter(self.axes)

    def name(self, x: str, y: str) -> None:
        """Finish the axes, of which only the outer ones are named; the limits are set by now."""
        for place, axes in enumerate(self.axes):
            is_first, is_last = place % self.columns == 0, place >= len(self.axes) - self.columns
            axes.tick_params(labelleft=is_first, labelbottom=is_last)
            for axis, most in ((axes.xaxis, 5), (axes.yaxis, 4)):
                axis.set_major_formatter(TickFormatter())
                axis.set_major_locator(MaxNLocator(most))
            name_axes(axes, x=x if is_last else "", y=y if is_first else "")


def small_multiples(count: int, *, is_wide: bool) -> Panels:
    """A figure of `count` panels, at least one."""
    columns = min(count, (4 if count > 6 else 2) if is_wide else 1)
    rows = -(-count // columns)
    width = _FULL if is_wide else WIDTH
    tall = (300.0 if is_wide else 210.0) if count == 1 else 150.0 if is_wide else 110.0
    height = rows * (tall + _ABOVE) + _BOTTOM
    wide = (width - _LEFT - _RIGHT - _BETWEEN * (columns - 1)) / columns
    figure = blank(width, height)
    panels = []
    for place in range(count):
        row, column = divmod(place, columns)
        x, y = _LEFT + column * (wide + _BETWEEN), height - (row + 1) * (tall + _ABOVE)
        axes = add_axes(figure, x, y, wide, tall)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.set_gid(f"panel-{place}")
        panels.append(axes)
    return Panels(figure, tuple(panels), columns)
