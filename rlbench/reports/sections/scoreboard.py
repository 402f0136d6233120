"""One section an environment: learning curves, every run, the scoreboard, and where declared pairs' curves differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlbench import text
from rlbench.envs.scores import random_return
from rlbench.reports.canvas import Drawing
from rlbench.reports.cells import STATISTICS, STATUSES, Cell, Metric
from rlbench.reports.comparisons import Family
from rlbench.reports.distribution import draw_distribution
from rlbench.reports.document import Block, Content, Figures, Part, Picture, Section, badge, line, note, strong, table
from rlbench.reports.figures import MIN_RUNS_FOR_SHAPE, draw_final_returns, marks_of, most_runs, thinning
from rlbench.reports.ledger import Ledger
from rlbench.reports.sections.along_training import curves_picture, difference_blocks
from rlbench.reports.sections.design import LOST, name_of
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL

SCORES = ("final_return", "auc")
MOST_BESIDE = 2  # figures beside the answer
_SPREAD: tuple[str | Part, ...] = (
    strong("Distribution of final returns. "),
    "Share of done runs that end above x; every step down is a run. The line further to the right is better.",
)


def final_returns(summary: Summary) -> dict[str, Drawing]:
    """Environment -> every run's final return, as its section shows it, and of the first ones the answer too."""
    return {
        env: draw_final_returns(*_rows(summary, env), random_return(env), name=f"final{place}")
        for place, env in enumerate(summary.envs)
    }


def _rows(summary: Summary, env: str) -> tuple[tuple[Cell, ...], list[int]]:
    """The cells of an environment, and the place of each among the variants, by which it is coloured."""
    cells = summary.cells_of(env)
    return cells, [summary.variants.index(cell.variant) for cell in cells]


def scoreboard_section(
    summary: Summary,
    env: str,
    slug: str,
    families: Sequence[Family],
    ledger: Ledger,
    dots: Drawing,
    films: Mapping[str, str],
) -> Section:
    """How good each variant is on one environment. dots: its final returns."""
    place = summary.envs.index(env)
    cells, styles = _rows(summary, env)
    baseline = random_return(env)
    for cell in cells:
        for name in SCORES:
            record_metric(cell, name, ledger)
    marks = marks_of(cells, f"final{place}", films)
    pictures = [
        curves_picture(summary, env, slug, baseline, ledger),
        Picture(dots, f"final_returns-{slug}", line(_dots_caption(cells, baseline)), None, marks),
    ]
    spread = draw_distribution(cells, styles, name=f"distribution{place}")
    pictures += [Picture(spread, f"distribution-{slug}", line(_SPREAD))] if spread else []
    blocks: list[Block] = []
    if not any(cell.done for cell in cells):
        blocks.append(note(f"On {env} no run is done yet."))
    blocks += [Figures(tuple(pictures)), _scores(summary, env, cells, ledger), *_about_intervals(summary, env, cells)]
    blocks += difference_blocks(summary, env, slug, families, ledger)
    return Section(f"env{place}", env, tuple(blocks))


def answer_pictures(summary: Summary, dots: Mapping[str, Drawing], films: Mapping[str, str]) -> tuple[Picture, ...]:
    """What stands beside the answer: every run's final return on the first environments with a done run. dots: of all of them."""
    found: list[Picture] = []
    for env in summary.envs:
        cells, styles = _rows(summary, env)
        if any(cell.done for cell in cells) and len(found) < MOST_BESIDE:
            name, baseline = f"answer{len(found)}", random_return(env)
            wide = draw_final_returns(cells, styles, baseline, name=name, is_wide=True)
            caption, marks = line(_dots_caption(cells, baseline)), marks_of(cells, name, films)
            found.append(Picture(dots[env].again(name), name, caption, wide, marks))
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


def metric_titles(what: str, of: str) -> list[str]:
    """The columns of `metric_cells`; `of` as by `statistic_of`."""
    statistic, mean = ["Statistic"] if " or " in of else [], ["Mean"] if "IQM" in of else []
    return ["Variant", "n", *statistic, f"{what}, {of}", _interval_title(of), *mean]


def metric_cells(summary: Summary, cell: Cell, name: str, of: str, ledger: Ledger, kind: str = "text") -> list[Content]:
    """A recorded metric of a cell as a row: with its statistic where rows have different ones, and the mean beside an IQM."""
    key, statistic = f"{name}/{cell.env}/{cell.variant}", cell.metrics[name].statistic
    return [
        name_of(summary, cell.variant),
        ledger.show(key, "n", "count"),
        *([STATISTICS[statistic] if statistic else text.NOTHING] if " or " in of else []),
        ledger.show(key, kind=kind),
        ledger.span(key),
        *([ledger.show(key, "mean")] if "IQM" in of else []),
    ]


def _interval_title(of: str) -> str:
    return "95 % interval" if " or " in of else f"95 % interval of the {of}"


def _scores(summary: Summary, env: str, cells: Sequence[Cell], ledger: Ledger) -> Block:
    of = statistic_of([cell.metrics[name] for cell in cells for name in SCORES])
    titles = [*metric_titles("Final return", of), f"AUC, {of}", f"{_interval_title(of)} "]
    incomplete = any(cell.done < cell.planned for cell in cells)
    rows: list[list[Content]] = []
    for cell in cells:
        auc = f"auc/{env}/{cell.variant}"
        row = metric_cells(summary, cell, "final_return", of, ledger, "strong")
        row += [ledger.show(auc), ledger.span(auc)]
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


def _dots_caption(cells: Sequence[Cell], baseline: float | None) -> list[str | Part]:
    of = statistic_of([cell.metrics["final_return"] for cell in cells])
    says = f"Dot: a run's final return; diamond: {of}; bar: 95 % interval of it."
    says += " Dotted line: random play." if baseline is not None else ""
    if any(cell.done >= MIN_RUNS_FOR_SHAPE for cell in cells):
        says += " Shape: how the runs are spread, smoothed, of one height whatever their number."
    if any(cell.counts[status] for cell in cells for status in LOST):
        says += " Cross: a run that diverged or failed, at its last returns; it is in no mean and no IQM."
    thinned = thinning(most_runs(cells), "runs.csv")
    what = "Runs" if thinned else "Every run"
    return [strong(f"{what} on {cells[0].env}. " if cells else "Every run. "), says + thinned]
