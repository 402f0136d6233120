"""Learning curves of one environment and where declared pairs' curves differ: figures, records and the words beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlbench import text
from rlbench.reports.cells import STATISTICS, Cell
from rlbench.reports.comparisons import Family
from rlbench.reports.curves import MOST_TOGETHER, draw_curves, hover_of_curves
from rlbench.reports.differences import CurveDifference, curve_differences, draw_differences, hover_of_differences
from rlbench.reports.document import Block, Content, Figures, Part, Picture, line, strong, table
from rlbench.reports.figures import most_runs, thinning
from rlbench.reports.ledger import Ledger
from rlbench.reports.sections.sentences import grey_band
from rlbench.reports.summary import Summary

MOST_PANELS = 12  # differences that are drawn; the table has all


def curves_picture(summary: Summary, env: str, slug: str, baseline: float | None, ledger: Ledger) -> Picture:
    """The learning curves of an environment, narrow and wide, each value recorded."""
    cells, name = summary.cells_of(env), f"curves{summary.envs.index(env)}"
    styles, kind = [summary.variants.index(cell.variant) for cell in cells], summary.kind_of_return
    told = {cell.variant: ledger.points(_record_curve(cell, ledger)) for cell in cells if cell.curve is not None}
    return Picture(
        draw_curves(cells, styles, baseline, name=name, kind=kind),
        f"curves-{slug}",
        line(_curves_caption(summary, cells, baseline)),
        draw_curves(cells, styles, baseline, name=name, kind=kind, is_wide=True),
        hover=hover_of_curves(cells, styles, baseline, name=name, told=told),
    )


def _record_curve(cell: Cell, ledger: Ledger) -> str:
    assert cell.curve is not None
    band = cell.curve.band
    return ledger.add(
        f"curve/{cell.env}/{cell.variant}",
        band,
        env_steps=cell.curve.env_steps,
        estimate=band.estimate,
        low=band.low,
        high=band.high,
    )


def _curves_caption(summary: Summary, cells: Sequence[Cell], baseline: float | None) -> list[str | Part]:
    episodes = [text.count(one) for one in summary.evaluation_episodes]
    says: list[str | Part] = [
        strong("Learning curves. "),
        f"Line: {_line_of(cells)} over runs of the {summary.kind_of_return}",
    ]
    if episodes and not summary.is_foreign:
        says.append(
            f" (per run, the mean of {' to '.join(dict.fromkeys((episodes[0], episodes[-1])))} evaluation episodes)"
        )
    says.append("; band: 95 %, for the whole curve at once; faint: single runs")
    says.append(
        "; grey: the other variants. " if sum(cell.curve is not None for cell in cells) > MOST_TOGETHER else ". "
    )
    says.append(_runs_a_line(cells))
    says.append(thinning(most_runs(cells), "tables/run_curves.csv"))
    possible = summary.possible(cells[0].env) if cells else None
    if possible is not None and any(cell.curve.band.is_cut for cell in cells if cell.curve is not None):
        says.append(f" Bands are cut at the possible returns, {text.span(*possible)}.")
    if baseline is not None:
        says.append(f" Dotted: random actions, {text.number(baseline)}.")
    carried = sum(cell.curve.num_carried for cell in cells if cell.curve is not None)
    if carried:
        says.append(f" {text.plural(carried, 'run')} ended before the last step; the last value is carried forward.")
    return says


def _line_of(cells: Sequence[Cell]) -> str:
    """What the lines are: the IQM from 20 runs up, below the mean."""
    kinds = {cell.curve.band.statistic for cell in cells if cell.curve is not None}
    return STATISTICS[kinds.pop()] if len(kinds) == 1 else "IQM (mean below 20 runs)"


def _runs_a_line(cells: Sequence[Cell]) -> str:
    """n behind each line of the learning curves: one number where all agree, else by variant."""
    counts = {cell.variant: cell.curve.band.n for cell in cells if cell.curve is not None}
    if len(set(counts.values())) <= 1:
        return f"n = {next(iter(counts.values()))} a line." if counts else ""
    return f"n = {', '.join(f'{count} ({variant})' for variant, count in counts.items())}."


def difference_blocks(summary: Summary, env: str, slug: str, families: Sequence[Family], ledger: Ledger) -> list[Block]:
    """The declared pairs' differences along training as figure and table; nothing where no two curves can be compared."""
    found = curve_differences(summary, families, env)
    if not found:
        return []
    keys = [_record_difference(one, ledger) for one in found]
    rows: list[list[Content]] = [
        [
            one.label,
            ledger.show(key, "n", "count"),
            _steps_told(one.env_steps[one.is_apart], len(one.env_steps)),
            ledger.show(key, how="signed"),
            ledger.span(key, how="signed"),
        ]
        for one, key in zip(found, keys, strict=True)
    ]
    titles = ["Curves", "n", "Apart at", "Largest difference", "95 % band there"]
    return [
        Figures((_differences_picture(summary, env, slug, found, ledger),)),
        table(f"Where curves differ on {env}", titles, rows, name=f"curve_differences-{slug}", texts=("Apart at",)),
    ]


def _differences_picture(
    summary: Summary, env: str, slug: str, found: Sequence[CurveDifference], ledger: Ledger
) -> Picture:
    shown, margin = found[:MOST_PANELS], summary.declared("smallest_effect", env)
    name, kind = f"apart{summary.envs.index(env)}", summary.kind_of_return
    told = [ledger.points(f"curve difference along training/{_of(one)}", "signed") for one in shown]
    paired = [one.member.is_paired for one in shown]
    how = (
        "paired by seed"
        if all(paired)
        else "of unpaired runs"
        if not any(paired)
        else "paired by seed where seeds are shared"
    )
    caption: list[str | Part] = [
        strong("Differences along training. "),
        f"Line: difference of the mean {kind}s, {how}; band: 95 %, for the whole curve at once; dot: the band leaves 0 there. It"
        " describes; the verdicts are on final returns.",
        grey_band(margin),
        f" The first {MOST_PANELS} of {len(found)}." if len(shown) < len(found) else "",
    ]
    return Picture(
        draw_differences(shown, margin, name=name, kind=kind),
        f"curve_differences-{slug}",
        line(caption),
        draw_differences(shown, margin, name=name, kind=kind, is_wide=True),
        hover=hover_of_differences(shown, margin, name=name, told=told),
    )


def _of(one: CurveDifference) -> str:
    m = one.member
    return f"{m.family or 'exploratory'}/{m.env}/{m.x} against {m.y}"


def _record_difference(one: CurveDifference, ledger: Ledger) -> str:
    """The whole difference, and where it is largest; returns the key of the latter."""
    band, top = one.band, int(np.argmax(np.abs(one.band.estimate)))
    is_paired = one.member.is_paired
    curve = {"env_steps": one.env_steps, "estimate": band.estimate, "low": band.low, "high": band.high}
    ledger.add(f"curve difference along training/{_of(one)}", band, **curve, is_paired=is_paired, family="exploratory")
    return ledger.add(
        f"curve difference/{_of(one)}",
        band,
        estimate=band.estimate[top],
        low=band.low[top],
        high=band.high[top],
        at_step=int(one.env_steps[top]),
        apart_at=one.env_steps[one.is_apart],
        is_paired=is_paired,
        family="exploratory",
    )


def _steps_told(steps: NDArray[np.int64], num_points: int) -> str:
    if not len(steps):
        return "nowhere"
    return f"{len(steps)} of {num_points} points, from step {text.count(int(steps[0]))} to {text.count(int(steps[-1]))}"
