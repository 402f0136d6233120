"""The tables behind a report, as CSV: every number that the page shows is in one of them.

In: a `Summary`. Out: DataFrames by file name. Never: computes a statistic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.reports.summary import STATUSES, Summary
from rlbench.reports.text import without_folders


def frames(summary: Summary) -> dict[str, pd.DataFrame]:
    """File name -> table: runs, summary, completeness, curves (over runs) and run_curves (one value a run and step)."""
    return {
        "runs": summary.runs.assign(error=summary.runs["error"].astype(str).map(without_folders)),
        "summary": _metrics(summary),
        "completeness": _completeness(summary),
        "curves": _curves(summary),
        "run_curves": _run_curves(summary),
    }


def _metrics(summary: Summary) -> pd.DataFrame:
    rows = []
    for cell in summary.cells:
        for name, metric in cell.metrics.items():
            interval = metric.interval
            rows.append(
                {
                    "variant": cell.variant,
                    "env": cell.env,
                    "metric": name,
                    "n": metric.n,
                    "iqm": metric.iqm,
                    "mean": metric.mean,
                    "low": interval.low if interval else None,
                    "high": interval.high if interval else None,
                    "interval_of": interval.statistic if interval else None,
                    "method": interval.method if interval else None,
                    "level": interval.level if interval else None,
                    "resamples": interval.resamples if interval else None,
                    "bootstrap_seed": interval.seed if interval else None,
                }
            )
    columns = ["variant", "env", "metric", "n", "iqm", "mean", "low", "high", "interval_of", "method", "level"]
    table = pd.DataFrame(rows, columns=[*columns, "resamples", "bootstrap_seed"])
    return table.astype({"resamples": "Int64", "bootstrap_seed": "Int64"})


def _completeness(summary: Summary) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": cell.variant, "env": cell.env, **dict(cell.counts), "missing": cell.missing}
            for cell in summary.cells
        ],
        columns=["variant", "env", *STATUSES, "missing"],
    )


def _curves(summary: Summary) -> pd.DataFrame:
    columns = ["variant", "env", "env_steps", "n", "iqm", "low", "high", "interval_of", "method", "level"]
    parts = [
        pd.DataFrame(
            {
                "variant": cell.variant,
                "env": cell.env,
                "env_steps": cell.curve.env_steps,
                "n": cell.curve.band.n,
                "iqm": cell.curve.band.estimate,
                "low": cell.curve.band.low,
                "high": cell.curve.band.high,
                "interval_of": cell.curve.band.statistic,
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
        return pd.DataFrame(columns=[*columns, "resamples", "bootstrap_seed"])
    return pd.concat(parts, ignore_index=True).astype({"resamples": "Int64", "bootstrap_seed": "Int64"})


def _run_curves(summary: Summary) -> pd.DataFrame:
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
