"""Two factors at once: a line for each level of the second over the levels of the first; parallel lines say that effects add up.

In: one row a run with its factors' levels and its score. Out: a `Drawing`. The intervals are Student's t of each point's mean alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rlbench.reports.axis_labels import TickFormatter, end_label, label_ends, right_margin
from rlbench.reports.canvas import GRID, HEIGHT, STYLE, Drawing, colour_of, dash_of, name_axes, panel, render
from rlbench.reports.figures import at_even_ranks
from rlbench.stats import Range, student_interval


def draw_interaction(
    frame: pd.DataFrame,
    first: tuple[str, Sequence[str]],
    second: tuple[str, Sequence[str]],
    *,
    name: str,
    possible: Range | None,
) -> Drawing:
    """`first` and `second` are a factor's name, a column of the frame, and its levels."""
    labels = [end_label(level) for level in second[1]]
    with mpl.rc_context(STYLE):
        figure, axes = panel(HEIGHT, left=52, right=right_margin(labels), bottom=40, top=14)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        ends = []
        for style, level in enumerate(second[1]):
            own = frame[frame[second[0]] == level]
            scores = [own.loc[own[first[0]] == one, "score"].to_numpy(np.float64) for one in first[1]]
            # Beside each other, so that the levels' marks do not hide each other.
            aside = 0.09 * (style - (len(second[1]) - 1) / 2)
            _draw_level(axes, scores, np.arange(len(scores)) + aside, style, possible)
            ends.append(float(scores[-1].mean()))
        axes.set_xlim(-0.3, len(first[1]) - 0.7)
        axes.set_xticks(range(len(first[1])), list(first[1]), parse_math=False)
        axes.yaxis.set_major_formatter(TickFormatter())
        label_ends(figure, axes, ends, labels, range(len(labels)), of_variants=False)
        name_axes(axes, x=first[0], y="mean final return")
        return render(figure, name, f"Mean final return by {first[0]}, a line for each {second[0]}")


def _draw_level(axes: Axes, scores: Sequence[np.ndarray], x: np.ndarray, style: int, possible: Range | None) -> None:
    """The runs as dots, their means as a line, and our interval of each mean."""
    import seaborn as sns  # here and not above: it takes a second

    colour = colour_of(style)
    dots = [at_even_ranks(sorted(own)) for own in scores]
    where, values = np.repeat(x, [len(own) for own in scores]), np.concatenate(scores)
    common = {"ax": axes, "native_scale": True, "legend": False, "color": colour}
    beside = np.repeat(x, [len(own) for own in dots]) + 0.035
    sns.stripplot(x=beside, y=np.concatenate(dots), jitter=False, size=3.6, alpha=0.45, **common)
    for at, own in zip(x, scores, strict=True):
        if len(own) > 1:
            interval = student_interval(own, possible=possible)
            axes.plot([at, at], [interval.low, interval.high], color=colour, linewidth=2.2, solid_capstyle="butt")
    sns.pointplot(x=where, y=values, errorbar=None, markersize=5, linestyle=dash_of(style), linewidth=1.8, **common)
