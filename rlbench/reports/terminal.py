"""The summary that a command ends with: a table for the terminal.

In: `Results` and an experiment's name. Out: a `rich` table, which the caller prints. Never: computes a number that the
report would not show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from rlbench.plain_text import one_line
from rlbench.reports.answer import answers_to
from rlbench.reports.cells import STATUSES, Cell
from rlbench.reports.document import plain
from rlbench.reports.summary import Summary, summarise
from rlbench.stats import ALL_EQUAL
from rlbench.text import number, place_of, span

if TYPE_CHECKING:
    from rlbench.store import Results

_STYLES = {
    "diverged": "bold red",
    "failed": "bold red",
    "missing": "bold red",
    "running": "yellow",
    "pending": "yellow",
}


def summary_table(results: Results, experiment: str) -> Table:
    """A row per environment and variant: n, what is not done, final return with interval, AUC, training return.

    Raises StoreError for an unknown experiment.
    """
    return table_of(summarise(results, experiment))


def table_of(summary: Summary) -> Table:
    """The same from numbers that are already there."""
    several = len(summary.envs) > 1
    named = {"mean": "mean", "iqm": "IQM"}
    kinds = {one.statistic for cell in summary.cells if (one := cell.metrics["final_return"]).statistic}
    incomplete = any(cell.done < cell.planned for cell in summary.cells)
    # A Text: brackets in a name would be read as markup.
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(one_line(summary.experiment), style="bold"),
        title_justify="left",
        pad_edge=False,
    )
    table.add_column("variant", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    if len(kinds) > 1:
        table.add_column("of", no_wrap=True)
    table.add_column("final return", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("AUC", justify="right", no_wrap=True)
    table.add_column("train last 100", justify="right", no_wrap=True)
    if incomplete:
        table.add_column("not done")
    for env in summary.envs:
        if several:
            table.add_section()
            table.add_row(Text(one_line(env), style="bold cyan"))
        for cell in summary.cells_of(env):
            final = cell.metrics["final_return"]
            place = place_of(final.interval.low, final.interval.high, final.estimate) if final.interval else None
            row: list[Text | str] = [
                Text(one_line(cell.variant)),
                Text(str(final.n), style="red" if cell.is_small else ""),
                *([Text(named[str(final.statistic)] if final.statistic else "")] if len(kinds) > 1 else []),
                Text(number(final.estimate, place), style="bold"),
                span(final.interval.low, final.interval.high, place) if final.interval else number(None),
                number(cell.metrics["auc"].mean),
                number(cell.metrics["train_return_last100"].mean),
            ]
            table.add_row(*row, *([_not_done(cell)] if incomplete else []))
    table.caption = Text(_caption(summary.cells))
    table.caption_justify = "left"
    return table


def answer_text(summary: Summary) -> Text:
    """The answer in sentences; what is decided stands out."""
    lines = [Text(one_line(plain(one.parts)), "bold" if one.is_decided else "") for one in answers_to(summary)]
    return Text("\n").join(lines)


def _not_done(cell: Cell) -> Text:
    counts = {status: cell.counts[status] for status in STATUSES if status != "done"} | {"missing": cell.missing}
    return Text(", ").join(Text(f"{amount} {status}", _STYLES[status]) for status, amount in counts.items() if amount)


def _caption(cells: tuple[Cell, ...]) -> str:
    intervals = [one for cell in cells if (one := cell.metrics["final_return"].interval)]
    methods = {interval.method for interval in intervals}
    told = []
    if "Student t" in methods:
        told.append("mean with its t interval, under 10 runs")
    if ALL_EQUAL in methods:
        told.append("mean with the exact interval of equal runs, under 10")
    if "percentile bootstrap" in methods:
        told.append("IQM with its bootstrap interval")
    if any(interval.is_cut for interval in intervals):
        told.append("cut at the possible returns")
    return f"final return over done runs: {'; '.join(told) or 'mean'}"
