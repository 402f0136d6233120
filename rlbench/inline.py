"""`rlbench.report(results)`: an experiment's report from Python, shown in a notebook where it is the value of a cell.

In: results. Out: the files of the report, and a `Page` that a notebook shows whole. Needs no notebook, and never opens a browser.
"""

import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from rlbench.errors import ConfigError, check_choice

if TYPE_CHECKING:
    from rlbench.store import Results

HEIGHT_PIXELS = 800


class Page:
    """A report that was written. path: of its page, one file; text: its answer, a sentence a question."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def __repr__(self) -> str:
        return f"{self.text}\nreport: {self.path}"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its styles and those of the notebook leave each other alone."""
        page = escape(self.path.read_text())
        return f'<iframe srcdoc="{page}" style="width:100%;height:{HEIGHT_PIXELS}px;border:0" title="report"></iframe>'


def report(results: "Results", experiment: str | None = None, *, out: str | os.PathLike[str] | None = None) -> Page:
    """Write the report of an experiment, and return it: a notebook shows the page, a terminal the answer and where the page is.

    Args:
        results: of one experiment, or of a store.
        experiment: its name; not needed where the results hold only one.
        out: where to write; default `STORE/reports/EXPERIMENT`, or `reports/EXPERIMENT` of several stores.

    Raises ConfigError where the results hold no such experiment, or several and none is named; StoreError where `out` cannot be written.
    """
    from rlbench.reports import report_folder
    from rlbench.reports.made_of import written
    from rlbench.reports.report import write_summary
    from rlbench.reports.summary import summarise
    from rlbench.reports.terminal import answer_text
    from rlbench.store import Store

    name = chosen(results, experiment or results.name)
    own = results.experiment(name)
    summary = summarise(own, name)
    default = report_folder(own.path if isinstance(own.store, Store) else Path(), name)
    page = written(own, default if out is None else Path(out), lambda folder: write_summary(summary, folder))
    return Page(page, answer_text(summary).plain)


def chosen(results: "Results", experiment: str | None) -> str:
    """The experiment asked for, or the only one there is."""
    known = list(results.experiments)
    if experiment is not None:
        return check_choice("experiment", experiment, known)
    if not known:
        raise ConfigError(f"no experiment in {results.address} yet; nothing was written")
    if len(known) > 1:
        raise ConfigError(
            f"{len(known)} experiments in {results.address}; choose one with experiment=NAME: {', '.join(known)}"
        )
    return known[0]
