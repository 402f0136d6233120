"""How final returns are distributed: the share of runs above each return, a line a variant.

In: the cells of one environment. Out: a `Drawing`. Never: smooths; each step of a line is a run.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from rlbench.reports.axis_labels import TickFormatter, end_label, label_ends, right_margin
from rlbench.reports.canvas import GRID, STYLE, Drawing, colour_of, dash_of, marks_of_variants, name_axes, panel, render
from rlbench.reports.cells import Cell
from rlbench.reports.figures import in_order

MOST_LINES = 12  # more cannot be followed


def draw_distribution(cells: Sequence[Cell], styles: Sequence[int], *, name: str) -> Drawing | None:
    """The empirical distribution of each variant's done runs; None where there are too few variants with runs, or too many."""
    import seaborn as sns  # here and not above: it takes a second

    values = [np.array([run.final_return for run in in_order(cell, is_done=True)]) for cell in cells]
    shown = [(cell, style, own) for cell, style, own in zip(cells, styles, values, strict=True) if len(own) > 1]
    if not 2 <= len(shown) <= MOST_LINES:
        return None
    labels = [end_label(cell.variant) for cell, _, _ in shown]
    with mpl.rc_context(STYLE):
        height = max(230.0, 13.5 * len(labels) + 70)
        figure, axes = panel(height, left=46, right=right_margin(labels), bottom=40, top=10)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        for _, style, own in shown:
            with marks_of_variants(axes, style):
                look = {"color": colour_of(style), "linestyle": dash_of(style), "linewidth": 2.0}
                sns.ecdfplot(x=own, complementary=True, ax=axes, legend=False, **look)
        every = np.concatenate([own for _, _, own in shown])
        margin = 0.04 * float(np.ptp(every)) or 0.5
        axes.set(xlim=(every.min() - margin, every.max() + margin), ylim=(-0.02, 1.02))
        label_ends(figure, axes, [0.0] * len(shown), labels, [style for _, style, _ in shown], of_variants=True)
        axes.xaxis.set_major_formatter(TickFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(4))
        name_axes(axes, x="final return", y="share of runs above")
        return render(figure, name, f"Share of runs above each final return, by variant: {', '.join(labels)}")
