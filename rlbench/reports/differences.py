"""Along training: the difference of two variants' curves, with a band that holds over the whole grid, and its figure.

In: a `Summary` and its analysed families. Out: `CurveDifference`s, and a `Drawing` of them. Never: decides anything; the verdicts do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rlbench.reports.axis_labels import padded
from rlbench.reports.canvas import INK, MUTED, STYLE, Drawing, colour_of, marks_of_variants, render, write
from rlbench.reports.cells import MIN_RUNS_FOR_BAND
from rlbench.reports.comparisons import Family, Pairwise
from rlbench.reports.hovering import HoverLine, Limits, hover_of
from rlbench.reports.panels import small_multiples
from rlbench.reports.summary import Summary
from rlbench.stats import Band, simultaneous_band
from rlbench.text import shortened

_RESAMPLES = 1_000


@dataclass(frozen=True)
class CurveDifference:
    """The mean curve of x less that of y on their common grid env_steps [points]; paired by seed where the comparison is."""

    member: Pairwise
    variants: tuple[int, int]  # the indices of x and y
    env_steps: NDArray[np.int64]
    band: Band

    @property
    def label(self) -> str:
        """The difference in words."""
        return f"{self.member.x} − {self.member.y}"

    @property
    def is_apart(self) -> NDArray[np.bool_]:
        """At which points the band leaves 0."""
        return (self.band.low > 0) | (self.band.high < 0)


def curve_differences(summary: Summary, families: Sequence[Family], env: str) -> list[CurveDifference]:
    """Of every declared comparison on an environment, or of two variants where none is declared, as far as grids and runs allow."""
    members = [m for family in families if family.name for m in family.members if m.env == env]
    if not members and len(summary.variants) == 2:
        members = [m for family in families for m in family.members if m.env == env]
    found = []
    for member in members:
        x, y = (cell.curve if (cell := summary.cell(v, env)) else None for v in (member.x, member.y))
        if x is None or y is None or not np.array_equal(x.env_steps, y.env_steps):
            continue
        possible = None if member.reach is None else (-member.reach, member.reach)
        places = {seed: place for place, seed in enumerate(y.seeds)}
        shared = [(place, places[seed]) for place, seed in enumerate(x.seeds) if seed in places]
        if member.is_paired and len(shared) >= MIN_RUNS_FOR_BAND:
            one, other = (c.values[list(own)] for c, own in zip((x, y), zip(*shared, strict=True), strict=True))
            band = simultaneous_band(one - other, resamples=_RESAMPLES, possible=possible)
        elif not member.is_paired and min(len(x.values), len(y.values)) >= MIN_RUNS_FOR_BAND:
            band = simultaneous_band(x.values, y.values, resamples=_RESAMPLES, possible=possible)
        else:
            continue
        styles = summary.variants.index(member.x), summary.variants.index(member.y)
        found.append(CurveDifference(member, styles, x.env_steps, band))
    return found


def draw_differences(
    differences: Sequence[CurveDifference], margin: float | None, *, name: str, kind: str, is_wide: bool = False
) -> Drawing:
    """A panel each: the difference, its band, a dot wherever the band leaves 0; grey: what is too small to matter."""
    with mpl.rc_context(STYLE):
        multiples = small_multiples(len(differences), is_wide=is_wide)
        x, y = _limits(differences, margin)
        for axes, one in zip(multiples, differences, strict=True):
            axes.axhline(0.0, color=MUTED, linewidth=1.1, zorder=1)
            if margin is not None:
                axes.axhspan(-margin, margin, color=MUTED, alpha=0.13, linewidth=0, zorder=0)
            with marks_of_variants(axes, *one.variants):
                _draw(axes, one)
            axes.set(xlim=x, ylim=y)
        multiples.name("environment steps", "difference")
        whole = f"wide-{name}" if is_wide else name
        told = "; ".join(
            f"{one.label}: {int(one.is_apart.sum())} of {len(one.env_steps)} points apart" for one in differences
        )
        summary = f"Difference of mean {kind} along training. {told}"
        return render(multiples.figure, whole, summary, is_for_page=not is_wide)


def _draw(axes: Axes, one: CurveDifference) -> None:
    import seaborn as sns  # here and not above: it takes a second

    colour, band = colour_of(0), one.band
    axes.fill_between(one.env_steps, band.low, band.high, color=colour, alpha=0.14, linewidth=0)
    for edge in (band.low, band.high):
        axes.plot(one.env_steps, edge, color=colour, linewidth=0.9)
    sns.lineplot(x=one.env_steps, y=band.estimate, estimator=None, ax=axes, color=colour, linewidth=2.0, legend=False)
    axes.plot(one.env_steps[one.is_apart], band.estimate[one.is_apart], "o", color=colour, markersize=5)
    write(axes, 0.0, 1.03, shortened(one.label, 44), 10, INK, transform=axes.transAxes, ha="left", va="bottom")


def hover_of_differences(
    differences: Sequence[CurveDifference], margin: float | None, *, name: str, told: Sequence[Sequence[str]]
) -> Mapping[str, Any]:
    """What the page says under the pointer; `told` is a text for each point of each difference."""
    lines = [
        HoverLine(one.label, one.variants, one.env_steps, one.band.estimate, own)
        for one, own in zip(differences, told, strict=True)
    ]
    return hover_of(name, lines, [[place] for place in range(len(lines))], _limits(differences, margin))


def _limits(differences: Sequence[CurveDifference], margin: float | None) -> Limits:
    estimates = np.concatenate([[0.0, -(margin or 0.0), margin or 0.0], *(one.band.estimate for one in differences)])
    ends = np.concatenate([end for one in differences for end in (one.band.low, one.band.high)])
    # The whole of every band: where it ends is what it says.
    return (0.0, float(max(one.env_steps[-1] for one in differences))), padded(np.append(estimates, ends), ends)
