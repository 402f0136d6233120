"""The picture that the sources of recipes show: durations of training episodes with their 100-episode mean; and films of runs.

In: a `Summary`. Out: a `Section`, or none where the experiment has no recipe, or nobody has made a film.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rlbench import text
from rlbench.reports.canvas import GRID, HEIGHT, STYLE, Drawing, colour_of, panel, render
from rlbench.reports.cells import Cell
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Part,
    Section,
    captioned,
    link,
    note,
    paragraph,
)
from rlbench.reports.sections.design import name_of
from rlbench.reports.summary import Summary

WINDOW = 100  # episodes whose mean the sources draw
MOST_RUNS = 10  # lines of more runs are one grey
FORMS = {".mp4": "film (MP4)", ".gif": "animation (GIF)", "_frames.png": "what the network sees (PNG)"}


def mean_of_last(durations: NDArray[np.float64], window: int = WINDOW) -> NDArray[np.float64]:
    """The mean of each `window` durations in a row, [episodes - window + 1]; empty where there are fewer."""
    if len(durations) < window:
        return np.empty(0)
    sums = np.cumsum(np.concatenate([[0.0], durations]))
    return (sums[window:] - sums[:-window]) / window


def durations_of(summary: Summary, cell: Cell) -> list[NDArray[np.float64]]:
    """The durations of a cell's done runs, in steps, episode by episode."""
    ids = [run.run_id for run in cell.runs if run.status == "done"]
    rows = summary.episodes_of(ids)
    return [own["length"].to_numpy(np.float64) for _, own in rows.groupby("run_id", sort=False)]


def durations_section(summary: Summary) -> Section | None:
    """One picture a cell: every run's durations, faint, and their 100-episode mean."""
    recipes = [one for one in summary.definition.get("cells", []) if "recipe" in (one.get("overrides") or {})]
    if not recipes:
        return None
    pictures = []
    for place, cell in enumerate(summary.cells):
        found = durations_of(summary, cell)
        if not found:
            continue
        shown, style = found[:MOST_RUNS], summary.variants.index(cell.variant)
        drawing = _draw(shown, style, name=f"durations{place}", variant=cell.variant)
        which = f"the first {MOST_RUNS} of {len(found)} done runs" if len(shown) < len(found) else "every done run"
        says = (
            f"Faint: the duration of each training episode of {which}; line: its mean over {WINDOW} episodes, from the "
            f"{WINDOW}th on."
        )
        pictures.append(captioned(drawing, f"durations-{place}", f"{cell.variant}, {cell.env}", says))
    blocks: list[Block] = [Figures(tuple(pictures))] if pictures else [note("No run is done yet.")]
    blocks.append(
        note("The picture that the published scripts draw while they train. It includes exploration: no headline.")
    )
    return Section("durations", "Durations of training episodes", tuple(blocks))


def _draw(runs: Sequence[NDArray[np.float64]], style: int, *, name: str, variant: str) -> Drawing:
    with mpl.rc_context(STYLE):
        figure, axes = panel(HEIGHT, left=52, right=16, bottom=40, top=14)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        faint = float(np.clip(0.9 / len(runs), 0.12, 0.4))
        for durations in runs:
            axes.plot(np.arange(1, len(durations) + 1), durations, color=colour_of(style), linewidth=0.5, alpha=faint)
        for durations in runs:
            mean = mean_of_last(durations)
            marker = "o" if len(mean) == 1 else None
            axes.plot(
                np.arange(len(mean)) + WINDOW, mean, color=colour_of(style), linewidth=1.8, marker=marker, markersize=4
            )
        axes.set_xlim(0, max(len(durations) for durations in runs))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("training episode")
        axes.set_ylabel("duration, steps")
        ends = [float(mean[-1]) for mean in map(mean_of_last, runs) if len(mean)]
        told = f"; their {WINDOW}-episode means end at {', '.join(text.number(end) for end in ends)}" if ends else ""
        return render(figure, name, f"Durations of the training episodes of {variant}, {len(runs)} runs{told}")


def film_links(summary: Summary, out: Path) -> dict[str, str]:
    """run_id -> where its film is from the report's folder `out`; nothing for a page outside the store."""
    if summary.films is None or not summary.films.is_dir():
        return {}
    if not out.resolve().is_relative_to(summary.films.parent.resolve()):
        return {}
    paths = {path.stem: path for path in sorted(summary.films.iterdir()) if path.suffix in (".gif", ".mp4")}
    return {name: Path(os.path.relpath(path.resolve(), out.resolve())).as_posix() for name, path in paths.items()}


def films_section(summary: Summary, out: Path) -> Section | None:
    """Links to what `python -m rlbench.play` has made of the experiment's runs; `out` is the folder of the report."""
    if summary.films is None or not summary.films.is_dir():
        return None
    root, blocks = summary.films.parent.resolve(), []
    is_inside = out.resolve().is_relative_to(root)
    for cell in summary.cells:
        for run in cell.runs:
            found = [(told, summary.films / f"{run.run_id}{ending}") for ending, told in FORMS.items()]
            found = [(told, path) for told, path in found if path.is_file()]
            if not found:
                continue
            words: list[str | Part] = [name_of(summary, cell.variant), f", {cell.env}, seed {run.seed}: "]
            for place, (told, path) in enumerate(found):
                # A page elsewhere names the file and not the way to it, which is this machine's.
                href = Path(os.path.relpath(path.resolve(), out.resolve())).as_posix() if is_inside else ""
                words += [", "] if place else []
                words.append(link(told, href) if href else f"{told} {path.name}")
            blocks.append(paragraph(_content(words)))
    if not blocks:
        return None
    return Section("films", "Films", (*blocks, note("Greedy episodes on environment seeds that training never used.")))


def _content(words: list[str | Part]) -> Content:
    return words
