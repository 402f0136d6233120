"""A report's tables as CSV: those that the page shows with their numbers in full, and the curves behind the figures.

In: a `Summary`, and tables of the document. Out: DataFrames. Never: computes a statistic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.reports.document import Table, plain
from rlbench.reports.summary import Summary
from rlbench.text import NOTHING, without_folders


def runs_frame(summary: Summary) -> pd.DataFrame:
    """One row a run, as the store has it, without folders of the machine."""
    return summary.runs.assign(error=summary.runs["error"].astype(str).map(without_folders))


def shown_frame(table: Table) -> pd.DataFrame:
    """A shown table with unrounded numbers: a column whose cells have two numbers becomes two, low and high."""
    columns: dict[str, list[Any]] = {}
    if any(group for group, _ in table.groups):
        columns["group"] = [group for group, rows in table.groups for _ in rows]
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        values = [[part.value for part in cell if part.source] for cell in cells]
        width = max((len(own) for own in values), default=0)
        title = column.title.strip()
        title = title if title not in columns else f"{title} ({place})"
        if width == 0:
            columns[title] = ["" if plain(cell) == NOTHING else plain(cell).strip() for cell in cells]
            continue
        padded = [own + [None] * (width - len(own)) for own in values]
        ends = [""] if width == 1 else [" low", " high"] if width == 2 else ["", " low", " high"]
        for index in range(width):
            columns[title + ends[index]] = [own[index] for own in padded]
    return pd.DataFrame(columns)


def curves_frame(summary: Summary) -> pd.DataFrame:
    """The learning curves: one row a cell and grid step, with the simultaneous band."""
    parts = [
        pd.DataFrame(
            {
                "variant": cell.variant,
                "env": cell.env,
                "env_steps": cell.curve.env_steps,
                "n": cell.curve.band.n,
                "estimate": cell.curve.band.estimate,
                "statistic": cell.curve.band.statistic,
                "low": cell.curve.band.low,
                "high": cell.curve.band.high,
                "method": cell.curve.band.method,
                "level": cell.curve.band.level,
                "resamples": cell.curve.band.resamples,
                "bootstrap_seed": cell.curve.band.seed,
            }
        )
        for cell in summary.cells
        if cell.curve is not None
    ]
    if not parts:
        return pd.DataFrame(columns=["variant", "env", "env_steps", "n", "estimate"])
    return pd.concat(parts, ignore_index=True).astype({"resamples": "Int64", "bootstrap_seed": "Int64"})


def run_curves_frame(summary: Summary) -> pd.DataFrame:
    """Every run's learning curve: one row a run and evaluation step."""
    runs = [(cell, run) for cell in summary.cells for run in cell.runs]
    lengths = [len(run.env_steps) for _, run in runs]

    def repeated(values: Iterable[Any]) -> NDArray[Any]:
        return np.repeat(np.array(list(values), dtype=object), lengths)

    return pd.DataFrame(
        {
            "run_id": repeated(run.run_id for _, run in runs),
            "variant": repeated(cell.variant for cell, _ in runs),
            "env": repeated(cell.env for cell, _ in runs),
            "seed": repeated(run.seed for _, run in runs),
            "status": repeated(run.status for _, run in runs),
            "env_steps": np.concatenate([np.empty(0, np.int64), *(run.env_steps for _, run in runs)]),
            "mean_return": np.concatenate([np.empty(0), *(run.returns for _, run in runs)]),
        }
    )
