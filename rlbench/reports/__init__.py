"""Reports: an experiment's numbers as a page, Markdown, figures and tables, and as a table for the terminal.

Reads results and computes with `rlbench.stats`; knows nothing of training. Importing this package imports neither torch
nor matplotlib; `write_report` does the latter.

How a number gets from an episode to the page, in the order in which a newcomer reads:

1. `rlbench.rows` declares what a run leaves; `rlbench.lanes.training.recording` makes the rows, `rlbench.store.program` commits them.
2. `rlbench.store.results.load` reads them back, a row each, and makes the one final value of each run (`rlbench.metrics`): `Results`.
3. `summary.summarise` makes the curve of each run, and cells of runs with the mean or IQM of their values and its interval (`cells`): the
   `Summary`, which `terminal` prints.
4. `comparisons`, `across`, `effects`, `learning` compute with `rlbench.stats` on a `Summary`: tests, intervals, aggregates.
5. `sections` write what was computed, and compute what only they show: each number is recorded in the `ledger` (with how it was made; it
   becomes stats.json) and stands in a `document` of paragraphs, tables and figures. `report.build_report` has their order.
6. `html` and `markdown` write the document down, `latex`, `tables` and `spreadsheet` its tables; figures are drawn by the modules that
   `canvas` serves.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlbench.store import Results

__all__ = ["report_folder", "write_report"]


def write_report(results: Results, experiment: str, out: Path) -> Path:
    """Write the report of an experiment into the folder `out`; see `rlbench.reports.report.write_report`."""
    # Here and not above: matplotlib takes half a second, and the terminal's table does without.
    from rlbench.reports import report

    return report.write_report(results, experiment, out)


def report_folder(store: Path, experiment: str) -> Path:
    """Where an experiment's report lies unless it was asked for elsewhere: always a folder inside `store`/reports."""
    plain = re.sub(r"[^\w.=,+-]+", "_", experiment).lstrip(".")
    return store / "reports" / (plain or "experiment")
