"""Reports: an experiment's numbers as a page, Markdown, figures and tables, and as a table for the terminal.

Reads results and computes with `rlbench.stats`; knows nothing of training. Importing this package imports neither torch
nor matplotlib; `write_report` does the latter.
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
