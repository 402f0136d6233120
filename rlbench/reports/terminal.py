"""The summary that a command ends with: a table for the terminal.

In: an experiment's numbers. Out: a `rich` table and the answer, on a console. Never: computes a number that the report would not show.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rlbench.plain_text import one_line
from rlbench.reports.answer import answers_to
from rlbench.reports.cells import STATISTICS, STATUSES, Cell
from rlbench.reports.document import legend_of, plain
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL, Interval
from rlbench.text import number, place_of, span

if TYPE_CHECKING:
    from rich.console import Console

_SECONDARY = {"AUC": "auc", "train last 100": "train_return_last100"}  # the last is the first to go where it is narrow
_WIDEST_NAME = 32  # a longer one is folded

_STYLES = {
    "diverged": "bold red",
    "failed": "bold red",
    "missing": "bold red",
    "running": "yellow",
    "pending": "yellow",
}


def print_summary(console: Console, summary: Summary) -> None:
    """Print the table, of its columns those for which the console is wide enough, and the answer."""
    boundless = console.options.update_width(1000)
    for num_secondary in range(len(_SECONDARY), -1, -1):
        table = table_of(summary, num_secondary)
        if Measurement.get(console, boundless, table).maximum <= console.width:
            break
    console.print(table)
    console.print(answer_text(summary))


def table_of(summary: Summary, num_secondary: int = len(_SECONDARY)) -> Table:
    """A row per environment and variant: n, final return with interval, so many of the secondary measures, what is not done."""
    # A Text: brackets in a name would be read as markup.
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(one_line(summary.experiment), style="bold"),
        title_justify="left",
        pad_edge=False,
        caption=Text(_caption(summary.cells)),
        caption_justify="left",
    )
    columns = _columns(summary, num_secondary)
    longest = max((len(one_line(cell.variant)) for cell in summary.cells), default=1)
    for title in columns:
        if title == "variant":
            table.add_column(title, overflow="fold", min_width=min(longest, _WIDEST_NAME))
        elif title == "not done":
            table.add_column(title)
        else:
            table.add_column(title, justify="left" if title == "of" else "right", no_wrap=True)
    for env in summary.envs:
        if len(summary.envs) > 1:
            table.add_section()
            table.add_row(Text(one_line(env), style="bold cyan"))
        for cell in summary.cells_of(env):
            table.add_row(*(told(cell) for told in columns.values()))
    return table


def _columns(summary: Summary, num_secondary: int) -> dict[str, Callable[[Cell], Text | str]]:
    """Title -> what a cell's row has there."""
    columns: dict[str, Callable[[Cell], Text | str]] = {
        "variant": lambda cell: Text(one_line(cell.variant)),
        "n": lambda cell: Text(str(cell.metrics["final_return"].n), style="red" if cell.is_small else ""),
    }
    if len({one.statistic for cell in summary.cells if (one := cell.metrics["final_return"]).statistic}) > 1:
        columns["of"] = lambda cell: Text(STATISTICS.get(cell.metrics["final_return"].statistic or "", ""))
    columns |= {"final return": _final_return, "95 % interval": _interval}
    columns |= {title: partial(_mean, metric) for title, metric in list(_SECONDARY.items())[:num_secondary]}
    if any(cell.done < cell.planned for cell in summary.cells):
        columns["not done"] = _not_done
    return columns


def _mean(metric: str, cell: Cell) -> str:
    return number(cell.metrics[metric].mean)


def _place(interval: Interval | None) -> int | None:
    return place_of(interval.low, interval.high, interval.estimate) if interval else None


def _final_return(cell: Cell) -> Text:
    final = cell.metrics["final_return"]
    return Text(number(final.estimate, _place(final.interval)), style="bold")


def _interval(cell: Cell) -> str:
    interval = cell.metrics["final_return"].interval
    return span(interval.low, interval.high, _place(interval)) if interval else number(None)


def answer_text(summary: Summary) -> Text:
    """The answer in sentences; what is decided stands out."""
    answers = answers_to(summary)
    lines = [Text(one_line(plain(one.parts)), "bold" if one.stands_out else "") for one in answers]
    legend = legend_of(answers)
    return Text("\n").join([*lines, *([Text(legend, "dim")] if legend else [])])


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
