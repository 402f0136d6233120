"""The probabilities of improvement as a heat map: how often a run of the row's variant beats one of the column's.

In: intervals by pair of variants. Out: a `Drawing`. Never: computes a statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba

from rlbench.reports.canvas import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    SMALL,
    STYLE,
    WIDTH,
    Drawing,
    fitting,
    marks_of_variants,
    name_axes,
    panel,
    render,
    write,
)
from rlbench.stats import Interval
from rlbench.text import share

MOST_ON_A_PHONE = 6  # beyond, a screen has a wide form
_WIDE = 640.0  # points
_LEFT, _RIGHT, _BOTTOM, _TOP = 84.0, 14.0, 76.0, 8.0
_NARROWEST = 23.0  # points of a cell that holds a number
# Ink stays legible on the strongest colour, in both themes: a test of contrast holds it.
STRONGEST = 0.45
_SHADES = 64


def draw_heat_map(
    variants: Sequence[str],
    styles: Sequence[int],
    pairs: Mapping[tuple[str, str], Interval],
    *,
    name: str,
    is_wide: bool = False,
) -> Drawing:
    """A row and a column a variant; blue where the row's is better, orange where the column's; bold where 0.5 is left out."""
    import seaborn as sns  # here and not above: it takes a second

    width = _WIDE if is_wide else WIDTH
    side = (width - _LEFT - _RIGHT) / len(variants)
    table = np.full((len(variants), len(variants)), np.nan)
    for (x, y), interval in pairs.items():
        row, column = variants.index(x), variants.index(y)
        table[row, column], table[column, row] = interval.estimate, 1.0 - interval.estimate
    with mpl.rc_context(STYLE):
        height = min(side, 40.0) * len(variants) + _BOTTOM + _TOP
        figure, axes = panel(height, left=_LEFT, right=_RIGHT, bottom=_BOTTOM, top=_TOP, width=width)
        look = {"linewidths": 1.2, "linecolor": PAPER, "cbar": False, "xticklabels": False, "yticklabels": False}
        sns.heatmap(table, ax=axes, vmin=0.0, vmax=1.0, cmap=_colours(), **look)
        axes.collections[0].set_edgecolor(PAPER)
        if side >= _NARROWEST:
            _numbers(axes, variants, styles, pairs)
        _names(axes, variants, styles, side)
        name_axes(axes, x="", y="")
        whole = f"wide-{name}" if is_wide else name
        told = "; ".join(f"{x} beats {y} {share(interval.estimate)}" for (x, y), interval in pairs.items())
        return render(figure, whole, f"Probability of improvement between variants: {told}")


def _colours() -> ListedColormap:
    """From the column's colour through none to the row's: exact colours of the page, only their strength differs."""
    strength = np.linspace(STRONGEST, 0.0, _SHADES)
    worse = [to_rgba(SERIES[1], one) for one in strength]
    return ListedColormap([*worse, *(to_rgba(SERIES[0], one) for one in strength[::-1])])


def _numbers(
    axes: Axes, variants: Sequence[str], styles: Sequence[int], pairs: Mapping[tuple[str, str], Interval]
) -> None:
    for (x, y), interval in pairs.items():
        row, column = variants.index(x), variants.index(y)
        is_clear = interval.low > 0.5 or interval.high < 0.5
        at = {"ha": "center", "va": "center", "fontweight": "bold" if is_clear else "normal"}
        with marks_of_variants(axes, styles[row], styles[column]):
            write(axes, column + 0.5, row + 0.5, share(interval.estimate), SMALL, INK, **at)
            write(axes, row + 0.5, column + 0.5, share(1.0 - interval.estimate), SMALL, INK, **at)


def _names(axes: Axes, variants: Sequence[str], styles: Sequence[int], side: float) -> None:
    axes.tick_params(length=0)
    for place, (variant, style) in enumerate(zip(variants, styles, strict=True)):
        with marks_of_variants(axes, style):
            short = fitting(variant, _LEFT - 8, SMALL)
            write(axes, -0.06, place + 0.5, short, SMALL, INK, ha="right", va="center")
            under = {"ha": "right", "va": "top", "rotation": 40, "rotation_mode": "anchor"}
            write(axes, place + 0.6, len(variants) + 5 / side, short, SMALL, INK, **under)
    axes.annotate(
        "row beats column", (1.0, 0.0), (0, -_BOTTOM + 14), xycoords="axes fraction", textcoords="offset points",
        ha="right", fontsize=SMALL, color=MUTED,
    )  # fmt: skip
