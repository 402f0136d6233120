"""The names of lines beside their ends, pushed apart where lines end together; and the forms of numbers on axes.

In: axes with their limits set. Out: more artists on them. Never: changes a limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter
from numpy.typing import NDArray

from rlbench.reports.canvas import INK, MUTED, SMALL, WIDTH, colour_of, dash_of, marks_of_variants, write
from rlbench.text import shortened

LINE_HEIGHT = 13.0  # points between two names
_LONGEST = 20


def end_label(name: str) -> str:
    """A variant's name as it stands beside its line."""
    return shortened(name, _LONGEST)


def right_margin(labels: Sequence[str]) -> float:
    """The points that these names take beside the axes."""
    return min(30 + 6.1 * max((len(label) for label in labels), default=0), 150)


def label_ends(
    figure: Figure,
    axes: Axes,
    ends: Sequence[float],
    labels: Sequence[str],
    styles: Sequence[int],
    *,
    of_variants: bool,
) -> None:
    """Each line's name and a piece of it beside the height, in data, at which it ends."""
    points = figure.get_figheight() * 72 * axes.get_position().height
    to_axes = axes.transData + axes.transAxes.inverted()
    left = axes.get_xlim()[0]
    wanted = [float(np.clip(to_axes.transform((left, end))[1], 0.0, 1.0)) * points for end in ends]
    heights = pushed_apart(wanted, LINE_HEIGHT, points)
    width = WIDTH * axes.get_position().width
    for style, label, at, place in zip(styles, labels, wanted, heights, strict=True):
        own: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
        with marks_of_variants(axes, *([style] if of_variants else [])):
            axes.plot([1.0, 1 + 8 / width], [at / points, place / points], color=MUTED, linewidth=0.5, **own)
            x, y = [1 + 9 / width, 1 + 25 / width], [place / points] * 2
            axes.plot(x, y, color=colour_of(style), linewidth=2, linestyle=dash_of(style), **own)
            write(axes, 1 + 28 / width, y[0], label, SMALL, INK, transform=axes.transAxes, va="center_baseline")


class TickFormatter(Formatter):
    """The numbers of an axis with as many digits as tell its ticks apart: 50k, 1.5M, 0.25, 2e-5."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """All ticks in one unit."""
        ticks = np.asarray(values, dtype=np.float64)
        largest = float(np.abs(ticks).max(initial=0.0))
        steps = np.diff(np.unique(ticks))
        step = float(steps.min()) if len(steps) else largest
        if largest >= 1e9 or 0.0 < largest < 1e-3:
            return [_powers(tick, step) for tick in ticks]
        unit, sign = next(((unit, sign) for unit, sign in _UNITS if largest >= unit * 10 ** (unit == 1e3)), (1.0, ""))
        return [f"{_shortest(tick / unit, step / unit)}{sign if abs(tick) > step / 2 else ''}" for tick in ticks]


_UNITS = ((1e6, "M"), (1e3, "k"))  # thousands from ten of them up


def _shortest(value: float, step: float) -> str:
    """The fewest decimals that are within a hundredth of a step of the value."""
    decimals = next((d for d in range(13) if abs(round(value, d) - value) <= 0.01 * step), 13)
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _powers(value: float, step: float) -> str:
    if abs(value) < step / 2 or value == 0.0:
        return "0"
    digits = max(0, math.floor(math.log10(abs(value))) - math.floor(math.log10(step)) + 1) if step else 2
    mantissa, power = f"{value:.{min(digits, 12)}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"


def pushed_apart(wanted: Sequence[float], gap: float, room: float) -> list[float]:
    """Heights near the wanted ones, in their order, at least `gap` apart, and within 0 to `room` where all fit."""
    order = np.argsort(wanted, kind="stable")
    placed = np.asarray(wanted, dtype=np.float64)[order]
    ladder = gap * np.arange(len(placed))
    # Isotonic regression of the slack (pool adjacent violators): labels that touch share the mean of their wishes.
    blocks: list[tuple[float, int]] = []
    for slack in placed - ladder:
        mean, size = float(slack), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    slacks = np.concatenate([np.full(size, mean) for mean, size in blocks])
    slacks = np.clip(slacks, 0.0, max(0.0, room - ladder[-1]))
    heights = np.empty(len(placed))
    heights[order] = slacks + ladder
    return [float(height) for height in heights]


def padded(values: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, float]:
    """Limits that hold all values, and the interval ends as far as 12 % of the range beyond them."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    reach = 0.12 * (high - low) or 0.05 * abs(high) or 0.05
    inner = ends[np.isfinite(ends)]
    if len(inner):
        low, high = min(low, max(float(inner.min()), low - reach)), max(high, min(float(inner.max()), high + reach))
    margin = 0.04 * (high - low) or reach
    return low - margin, high + margin
