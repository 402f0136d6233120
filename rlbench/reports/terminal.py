"""The summary that a command ends with: a table for the terminal.

In: an experiment's numbers. Out: a `rich` table and the answer, on a console. Never: computes a number that the report would not show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rlbench.plain_text import one_line
from rlbench.reports.answer import answers_to
from rlbench.reports.cells import STATUSES, Cell
from rlbench.reports.document import legend_of, plain
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL
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
    several = len(summary.envs) > 1
    named = {"mean": "mean", "iqm": "IQM"}
    secondary = list(_SECONDARY.items())[:num_secondary]
    kinds = {one.statistic for cell in summary.cells if (one := cell.metrics["final_return"]).statistic}
    incomplete = any(cell.done < cell.planned for cell in summary.cells)
    # A Text: brackets in a name would be read as markup.
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(one_line(summary.experiment), style="bold"),
        title_justify="left",
        pad_edge=False,
    )
    longest = max((len(one_line(cell.variant)) for cell in summary.cells), default=1)
    table.add_column("variant", overflow="fold", min_width=min(longest, _WIDEST_NAME))
    table.add_column("n", justify="right", no_wrap=True)
    if len(kinds) > 1:
        table.add_column("of", no_wrap=True)
    table.add_column("final return", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for label in dict(secondary):
        table.add_column(label, justify="right", no_wrap=True)
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
                *(number(cell.metrics[metric].mean) for _, metric in secondary),
            ]
            table.add_row(*row, *([_not_done(cell)] if incomplete else []))
    table.caption = Text(_caption(summary.cells))
    table.caption_justify = "left"
    return table


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
