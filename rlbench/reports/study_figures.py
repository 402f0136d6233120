"""The figures of a tuned study: its history, what each parameter did, and trials as lines through all parameters.

In: the record of a study. Out: `Drawing`s. Never: computes a statistic, opens a window, touches global state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import LogLocator, NullLocator

from rlbench.reports.axis_labels import TickFormatter
from rlbench.reports.canvas import (
    GRID,
    HEIGHT,
    INK,
    MUTED,
    SERIES,
    SMALL,
    STYLE,
    WIDTH,
    Drawing,
    colour_of,
    dash_of,
    name_axes,
    panel,
    render,
    write,
)
from rlbench.text import number, shortened

_FULL = 880.0  # points: the page's width on a screen
_LEANING = 4.9  # points to the left that a letter of a leaning name takes
_BAD_TO_GOOD = LinearSegmentedColormap.from_list("score", ["#c9d6e4", SERIES[0]])


def draw_history(studies: Sequence[Mapping[str, Any]], *, name: str) -> Drawing:
    """Every trial's tuning score, and the best so far, against the number of trials; all studies on one scale."""
    with mpl.rc_context(STYLE):
        figure, axes = panel(HEIGHT, left=52, right=16, bottom=40, top=16 + 15 * len(studies))
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        told = []
        for index, study in enumerate(studies):
            colour = colour_of(index)
            done = [trial for trial in study["trials"] if trial["state"] == "complete"]
            pruned = [trial for trial in study["trials"] if trial["state"] == "pruned" and trial["value"] is not None]
            axes.plot(
                [t["number"] + 1 for t in pruned],
                [t["value"] for t in pruned],
                "x",
                color=colour,
                ms=4,
                mew=0.9,
                alpha=0.6,
            )
            axes.plot(
                [t["number"] + 1 for t in done], [t["value"] for t in done], "o", color=colour, ms=4, mew=0, alpha=0.8
            )
            best = np.maximum.accumulate([trial["value"] for trial in done]) if done else np.empty(0)
            at = [trial["number"] + 1 for trial in done]
            axes.step(at, best, where="post", color=colour, linewidth=1.8, linestyle=dash_of(index))
            if done:
                told.append(f"{study['study']}: best {number(float(best[-1]))} of {len(study['trials'])} trials")
                label = f"{shortened(study['study'], 40)}: best so far"
                write(axes, 0.0, 1.02 + 0.075 * index, label, SMALL, colour, transform=axes.transAxes, va="bottom")
        name_axes(axes, x="number of trials")
        name_axes(axes, y="tuning score")
        axes.yaxis.set_major_formatter(TickFormatter())
        return render(
            figure, name, f"Tuning score against number of trials; a cross is a pruned trial. {'; '.join(told)}"
        )


def draw_slice(study: Mapping[str, Any], key: str, *, name: str) -> Drawing:
    """Tuning score against one parameter, over the trials that have it."""
    trials = [
        t
        for t in study["trials"]
        if key in t["params"] and t["value"] is not None and t["state"] in ("complete", "pruned")
    ]
    with mpl.rc_context(STYLE):
        figure, axes = panel(200.0, left=52, right=16, bottom=40, top=12)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        place, is_log = _scale(study, key)
        for state, marker in (("pruned", "x"), ("complete", "o")):
            own = [trial for trial in trials if trial["state"] == state]
            x = [place(trial["params"][key]) for trial in own]
            axes.plot(
                x, [t["value"] for t in own], marker, color=SERIES[0], ms=4, mew=0.9 if marker == "x" else 0, alpha=0.7
            )
        if is_log:
            _mark_logarithmically(axes)
        _name_choices(axes, study, key)
        name_axes(axes, x=key)
        name_axes(axes, y="tuning score")
        axes.yaxis.set_major_formatter(TickFormatter())
        return render(figure, name, f"Tuning score against {key}, {len(trials)} trials; a cross is a pruned one")


def draw_parallel(study: Mapping[str, Any], *, name: str, is_wide: bool = False) -> Drawing:
    """Each completed trial as a line through all parameters, darker the better; gaps where a parameter did not count.

    The narrow form is for the page only, and names parameters without their groups where that tells them apart.
    """
    keys = [parameter["key"] for parameter in study["definition"]["space"]]
    names = keys if is_wide else _without_groups(keys)
    width = _FULL if is_wide else WIDTH
    done = sorted((t for t in study["trials"] if t["state"] == "complete"), key=lambda trial: trial["value"])
    with mpl.rc_context(STYLE):
        figure, axes = panel(
            HEIGHT + 20, left=_room_for_leaning(names, width), right=40, bottom=98, top=16, width=width
        )
        low, high = (done[0]["value"], done[-1]["value"]) if done else (0.0, 1.0)
        for trial in done:
            share = (trial["value"] - low) / (high - low) if high > low else 1.0
            heights = [_height(study, key, trial["params"].get(key)) for key in keys]
            colour = to_hex(_BAD_TO_GOOD(share))
            axes.plot(range(len(keys)), heights, color=colour, linewidth=0.8 + share, marker="o", ms=2.5, mew=0)
        for position, key in enumerate(keys):
            axes.axvline(position, color=GRID, linewidth=0.8, zorder=0)
            for at, text in _ends(study, key):
                write(axes, position + 0.04, at, text, SMALL, MUTED, va="center")
        axes.set_xticks(range(len(keys)), names, rotation=35, ha="right", fontsize=SMALL, parse_math=False)
        axes.set_yticks([])
        axes.set_ylim(-0.06, 1.06)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0, colors=INK)
        whole = f"wide-{name}" if is_wide else name
        best = f"; the best, {number(high)}, is darkest" if done else ""
        summary = f"{len(done)} completed trials as lines through {', '.join(keys)}{best}"
        return render(figure, whole, summary, is_for_page=not is_wide)


def _without_groups(keys: Sequence[str]) -> list[str]:
    """`optimizer.lr` as `lr`, where no other key ends so."""
    lasts = [key.rpartition(".")[2] for key in keys]
    return [last if lasts.count(last) == 1 else key for key, last in zip(keys, lasts, strict=True)]


def _room_for_leaning(names: Sequence[str], width: float) -> float:
    """Points left of the first of several axes whose names lean to the left: no name begins before the figure."""
    # Points between axes without that room, of which an axis gets the less the further right it is.
    apart = (width - 40) / max(1, len(names) - 1)
    begins = [(_LEANING * len(name) - place * apart) / (1 - place / len(names)) for place, name in enumerate(names)]
    return min(max(20.0, *begins), 120.0)


def _mark_logarithmically(axes: Axes) -> None:
    """A logarithmic axis with few ticks that are written out: decades, or 1, 2 and 5 of each where there are hardly two."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high >= 100 * low else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")


def _parameter(study: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in study["definition"]["space"] if one["key"] == key)
    return found


def _scale(study: Mapping[str, Any], key: str) -> tuple[Any, bool]:
    """What places a value on the axis, and whether the axis is logarithmic."""
    parameter = _parameter(study, key)
    if parameter["kind"] == "choices":
        return parameter["choices"].index, False
    return float, parameter["kind"] in ("log", "log_int")


def _name_choices(axes: Axes, study: Mapping[str, Any], key: str) -> None:
    choices = _parameter(study, key).get("choices")
    if choices:
        axes.set_xticks(range(len(choices)), [str(choice) for choice in choices], parse_math=False)
        axes.set_xlim(-0.5, len(choices) - 0.5)


def _height(study: Mapping[str, Any], key: str, value: Any) -> float:
    """Where a value stands between the ends of its parameter, 0 to 1; NaN where the trial does not have it."""
    if value is None:
        return math.nan
    parameter = _parameter(study, key)
    if parameter["kind"] == "choices":
        return float(parameter["choices"].index(value) / max(len(parameter["choices"]) - 1, 1))
    low, high = parameter["low"], parameter["high"]
    if parameter["kind"] in ("log", "log_int"):
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return float((value - low) / (high - low))


def _ends(study: Mapping[str, Any], key: str) -> list[tuple[float, str]]:
    parameter = _parameter(study, key)
    if parameter["kind"] == "choices":
        count = max(len(parameter["choices"]) - 1, 1)
        return [(index / count, shortened(str(choice), 10)) for index, choice in enumerate(parameter["choices"])]
    return [(0.0, f"{parameter['low']:g}"), (1.0, f"{parameter['high']:g}")]
