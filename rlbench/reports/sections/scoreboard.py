"""One section an environment: learning curves, every run, the scoreboard, and where declared pairs' curves differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rlbench import text
from rlbench.envs.scores import random_return
from rlbench.reports.cells import MIN_RUNS_FOR_BAND, STATUSES, Cell, Metric
from rlbench.reports.comparisons import Family
from rlbench.reports.curves import MOST_TOGETHER, draw_curves, panels_of
from rlbench.reports.document import Block, Content, Figures, Part, Picture, Section, badge, line, note, strong, table
from rlbench.reports.figures import draw_final_returns, marks_of
from rlbench.reports.ledger import Ledger
from rlbench.reports.sections.design import LOST, name_of
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL, simultaneous_band

SCORES = ("final_return", "auc")
MOST_BESIDE = 2  # figures beside the answer
STATISTICS = {"mean": "mean", "iqm": "IQM"}


def scoreboard_section(
    summary: Summary, env: str, slug: str, families: Sequence[Family], ledger: Ledger, films: Mapping[str, str]
) -> Section:
    """How good each variant is on one environment."""
    place = summary.envs.index(env)
    cells = summary.cells_of(env)
    styles = [summary.variants.index(cell.variant) for cell in cells]
    baseline = random_return(env)
    for cell in cells:
        for name in SCORES:
            record_metric(cell, name, ledger)
    kind = summary.kind_of_return
    curves = draw_curves(cells, styles, baseline, name=f"curves{place}", kind=kind)
    wide = draw_curves(cells, styles, baseline, name=f"wide-curves{place}", kind=kind, is_wide=True)
    dots = draw_final_returns(cells, styles, baseline, name=f"final{place}")
    pictures = (
        Picture(
            curves,
            f"curves-{slug}",
            line(_curves_caption(summary, cells, baseline)),
            wide,
            panels_of(cells, f"curves{place}"),
        ),
        Picture(
            dots, f"final_returns-{slug}", line(_dots_caption(cells)), None, marks_of(cells, f"final{place}", films)
        ),
    )
    blocks: list[Block] = []
    if not any(cell.done for cell in cells):
        blocks.append(note(f"On {env} no run is done yet."))
    blocks += [Figures(pictures), _scores(summary, env, cells, ledger), *_about_intervals(summary, env, cells)]
    apart = _where_curves_differ(env, families, summary, ledger)
    if apart:
        titles = ["Curves", "n", "Apart at", "Largest difference", "95 % band there"]
        blocks.append(
            table(f"Where curves differ on {env}", titles, apart, name=f"curve_differences-{slug}", texts=("Apart at",))
        )
        blocks.append(
            note(
                f"Difference of mean {summary.kind_of_return}s along training, with a band that holds over the whole grid "
                "at once. Apart: the band leaves 0; exploratory."
            )
        )
    return Section(f"env{place}", env, tuple(blocks))


def answer_pictures(summary: Summary, films: Mapping[str, str]) -> tuple[Picture, ...]:
    """What stands beside the answer: every run's final return on the first environments with a done run."""
    found: list[Picture] = []
    for env in summary.envs:
        cells = summary.cells_of(env)
        if any(cell.done for cell in cells) and len(found) < MOST_BESIDE:
            styles = [summary.variants.index(cell.variant) for cell in cells]
            name = f"answer{len(found)}"
            drawing = draw_final_returns(cells, styles, random_return(env), name=name)
            found.append(Picture(drawing, name, line(_dots_caption(cells)), None, marks_of(cells, name, films)))
    return tuple(found)


def record_metric(cell: Cell, name: str, ledger: Ledger) -> str:
    """One metric of one cell in stats.json; returns its key."""
    metric, key = cell.metrics[name], f"{name}/{cell.env}/{cell.variant}"
    interval = metric.interval
    return ledger.add(
        key,
        estimate=metric.estimate,
        statistic=metric.statistic,
        mean=metric.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval_of=metric.statistic,
        is_cut=interval.is_cut if interval else None,
        possible=cell.possible,
        method=interval.method if interval else None,
        n=metric.n,
        level=interval.level if interval else None,
        resamples=interval.resamples if interval else None,
        seed=interval.seed if interval else None,
    )


def statistic_of(metrics: Sequence[Metric]) -> str:
    """What the estimates of these metrics and their intervals are: "mean" below 10 runs, "IQM" from 10 up, or "mean or IQM"."""
    kinds = {metric.statistic for metric in metrics if metric.statistic}
    return " or ".join(told for kind, told in STATISTICS.items() if kind in kinds) or "mean"


def named_statistic(metric: Metric) -> str:
    """The statistic of one row of a table whose rows have different ones."""
    return STATISTICS[metric.statistic] if metric.statistic else text.NOTHING


def _scores(summary: Summary, env: str, cells: Sequence[Cell], ledger: Ledger) -> Block:
    of = statistic_of([cell.metrics[name] for cell in cells for name in SCORES])
    several, with_mean = " or " in of, "IQM" in of
    interval = "95 % interval" if several else f"95 % interval of the {of}"
    titles = ["Variant", "n", *(["Statistic"] if several else []), f"Final return, {of}", interval]
    titles += [*(["Mean"] if with_mean else []), f"AUC, {of}", f"{interval} "]
    incomplete = any(cell.done < cell.planned for cell in cells)
    rows: list[list[Content]] = []
    for cell in cells:
        final, auc = (f"{name}/{env}/{cell.variant}" for name in SCORES)
        row: list[Content] = [
            name_of(summary, cell.variant),
            ledger.show(final, "n", "count"),
            *([named_statistic(cell.metrics["final_return"])] if several else []),
            ledger.show(final, kind="strong"),
            ledger.span(final),
            *([ledger.show(final, "mean")] if with_mean else []),
            ledger.show(auc),
            ledger.span(auc),
        ]
        if incomplete:
            marks = [
                badge(f"{cell.counts[s]} {s}", "red" if s in LOST else "amber")
                for s in STATUSES
                if s != "done" and cell.counts[s]
            ]
            row.append([*marks, *([badge(f"{cell.missing} missing", "red")] if cell.missing else [])])
        rows.append(row)
    titles += ["Not done"] if incomplete else []
    return table(
        f"Results on {env}", titles, rows, name=f"scoreboard-{summary.envs.index(env)}", texts=("Statistic", "Not done")
    )


def _about_intervals(summary: Summary, env: str, cells: Sequence[Cell]) -> list[Block]:
    """What was done to the intervals of the table and the bands of the figure, where it was."""
    says = []
    possible = summary.possible(env)
    intervals = [one for cell in cells for name in SCORES if (one := cell.metrics[name].interval)]
    if possible is not None and any(interval.is_cut for interval in intervals):
        says.append(f"Returns of {env} lie in {text.span(*possible)}: intervals that went beyond were cut there.")
    if any(interval.method == ALL_EQUAL for interval in intervals):
        says.append(
            "Where all runs agree there is no spread to measure: the interval is the exact one of what so few runs could have missed."
        )
    return [note(" ".join(says))] if says else []


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
    says.append("; band: 95 %, simultaneous over the whole curve; faint: single runs")
    says.append(
        "; grey: the other variants. " if sum(cell.curve is not None for cell in cells) > MOST_TOGETHER else ". "
    )
    says.append(_runs_a_line(cells))
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
    return {"iqm": "IQM", "mean": "mean"}[kinds.pop()] if len(kinds) == 1 else "IQM (mean below 20 runs)"


def _runs_a_line(cells: Sequence[Cell]) -> str:
    """n behind each line of the learning curves: one number where all agree, else by variant."""
    counts = {cell.variant: cell.curve.band.n for cell in cells if cell.curve is not None}
    if len(set(counts.values())) <= 1:
        return f"n = {next(iter(counts.values()))} a line." if counts else ""
    return f"n = {', '.join(f'{count} ({variant})' for variant, count in counts.items())}."


def _dots_caption(cells: Sequence[Cell]) -> list[str | Part]:
    of = statistic_of([cell.metrics["final_return"] for cell in cells])
    says = f"Dot: a run's final return; diamond: {of}; bar: 95 % interval of it."
    if any(cell.counts[status] for cell in cells for status in LOST):
        says += " Cross: a run that diverged or failed, at its last returns; it is in no mean and no IQM."
    return [strong(f"Every run on {cells[0].env}. " if cells else "Every run. "), says]


def _where_curves_differ(env: str, families: Sequence[Family], summary: Summary, ledger: Ledger) -> list[list[Content]]:
    """Declared pairs: the steps at which the simultaneous band of the difference leaves 0."""
    rows: list[list[Content]] = []
    reach = summary.reach(env)
    possible = None if reach is None else (-reach, reach)
    for member in (m for family in families if family.name for m in family.members if m.env == env):
        x, y = (cell.curve if (cell := summary.cell(v, env)) else None for v in (member.x, member.y))
        if x is None or y is None or not np.array_equal(x.env_steps, y.env_steps):
            continue
        places = {seed: place for place, seed in enumerate(y.seeds)}
        shared = [(place, places[seed]) for place, seed in enumerate(x.seeds) if seed in places]
        if member.is_paired and len(shared) >= MIN_RUNS_FOR_BAND:
            one, other = (c.values[list(own)] for c, own in zip((x, y), zip(*shared, strict=True), strict=True))
            band = simultaneous_band(one - other, resamples=1_000, possible=possible)
        elif not member.is_paired and min(len(x.values), len(y.values)) >= MIN_RUNS_FOR_BAND:
            band = simultaneous_band(x.values, y.values, resamples=1_000, possible=possible)
        else:
            continue
        apart = (band.low > 0) | (band.high < 0)
        top = int(np.argmax(np.abs(band.estimate)))
        key = ledger.add(
            f"curve difference/{member.family}/{env}/{member.x} against {member.y}",
            estimate=band.estimate[top],
            low=band.low[top],
            high=band.high[top],
            at_step=int(x.env_steps[top]),
            apart_at=x.env_steps[apart],
            method=band.method,
            is_cut=band.is_cut,
            n=band.n,
            level=band.level,
            resamples=band.resamples,
            seed=band.seed,
            family="exploratory",
        )
        told = _steps_told(x.env_steps[apart], len(x.env_steps))
        rows.append(
            [
                f"{member.x} − {member.y}",
                ledger.show(key, "n", "count"),
                told,
                ledger.show(key, how="signed"),
                ledger.span(key, how="signed"),
            ]
        )
    return rows


def _steps_told(steps: np.ndarray, num_points: int) -> str:
    if not len(steps):
        return "nowhere"
    return f"{len(steps)} of {num_points} points, from step {text.count(int(steps[0]))} to {text.count(int(steps[-1]))}"
