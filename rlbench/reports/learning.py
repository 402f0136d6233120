"""What happens during training: training returns, Q-values against returns, loss and gradient norm.

In: a `Summary`. Out: one line a cell, the median over runs at each step. Never: interpolates, or averages runs of which only
the survivors are there without saying how many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.reports.cells import Cell
from rlbench.reports.summary import Summary
from rlbench.stats import align_previous

Floats = NDArray[np.float64]
QUANTITIES = ("q_mean", "q_max", "loss", "grad_norm")
LAST_ROWS = 5  # diagnostics rows that are averaged for a run's end


@dataclass(frozen=True)
class Trace:
    """One quantity of a cell over training: its median over runs at each step."""

    cell: Cell
    env_steps: Floats
    medians: Floats
    num_runs: int


@dataclass(frozen=True)
class Overestimation:
    """A cell's Q-values at the end of training against discounted returns of its greedy evaluation."""

    cell: Cell
    q_mean: float  # medians over done runs
    q_max: float
    discounted: float  # of the final window's episodes, the reward taken to be spread evenly over each
    mean_excess: float  # median over runs of q_mean - discounted: above 0, values are overestimated
    max_excess: float
    loss: float
    grad_norm: float
    num_runs: int


def traces(summary: Summary, env: str, quantity: str) -> list[Trace]:
    """The quantity's medians of each cell of an environment that has diagnostics."""
    found = []
    for cell in summary.cells_of(env):
        ids = [run.run_id for run in cell.runs if run.status == "done"]
        rows = summary.diagnostics_of(ids)
        rows = rows[np.isfinite(rows[quantity])]
        if len(rows):
            medians = rows.groupby("env_steps")[quantity].median()
            steps = medians.index.to_numpy(np.float64)
            found.append(Trace(cell, steps, medians.to_numpy(np.float64), rows["run_id"].nunique()))
    return found


def training_traces(summary: Summary, env: str) -> list[Trace]:
    """Training returns of done runs on the evaluation grid: the last episode that had ended by each step."""
    found = []
    for cell in summary.cells_of(env):
        if cell.curve is None:
            continue
        grid = cell.curve.env_steps.astype(np.float64)
        ids = [run.run_id for run in cell.runs if run.status == "done"]
        rows = summary.episodes_of(ids)
        steps, returns = rows["env_steps"].to_numpy(np.float64), rows["episode_return"].to_numpy(np.float64)
        if rows.empty:
            continue
        owners = rows["run_id"].to_numpy()
        starts = np.append(0, np.flatnonzero(owners[1:] != owners[:-1]) + 1)
        ends = np.append(starts, len(rows))[1:]
        values = [
            align_previous(steps[start:end], returns[start:end], grid) for start, end in zip(starts, ends, strict=True)
        ]
        table = np.stack(values)
        # From the first step on by which every run has ended an episode.
        known = ~np.isnan(table).any(axis=0)
        if known.any():
            found.append(Trace(cell, grid[known], np.median(table[:, known], axis=0), len(table)))
    return found


def overestimations(summary: Summary, env: str) -> list[Overestimation]:
    """Q-values against returns at the end of training, for each cell with diagnostics."""
    found = []
    for cell in summary.cells_of(env):
        ids = [run.run_id for run in cell.runs if run.status == "done"]
        rows = summary.diagnostics_of(ids)
        if rows.empty:
            continue
        last = rows.groupby("run_id").tail(LAST_ROWS).groupby("run_id")[list(QUANTITIES)].mean()
        discounted = _discounted_returns(summary, ids)
        both = last.join(discounted.rename("discounted"), how="inner")
        found.append(
            Overestimation(
                cell,
                float(last["q_mean"].median()),
                float(last["q_max"].median()),
                float(both["discounted"].median()) if len(both) else float("nan"),
                float((both["q_mean"] - both["discounted"]).median()) if len(both) else float("nan"),
                float((both["q_max"] - both["discounted"]).median()) if len(both) else float("nan"),
                float(last["loss"].median()),
                float(last["grad_norm"].median()),
                len(last),
            )
        )
    return found


def _discounted_returns(summary: Summary, run_ids: list[str]) -> pd.Series:
    """Mean discounted return of each run's final window, by run_id; empty where no discount is known."""
    discounts = {run_id: _discount(summary.specs.get(run_id, {})) for run_id in run_ids}
    rows = summary.evaluations_of(run_ids)
    rows = rows[rows["run_id"].map(discounts).notna() & (rows["length"] > 0)]
    if rows.empty:
        return pd.Series(dtype=np.float64)
    steps = rows[["run_id", "env_steps"]].drop_duplicates().groupby("run_id").tail(summary.final_window)
    rows = rows.merge(steps, on=["run_id", "env_steps"])
    discount = rows["run_id"].map(discounts).to_numpy(np.float64)
    length = rows["length"].to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(discount < 1.0, (1.0 - discount**length) / (1.0 - discount), length)
    values = rows["episode_return"].to_numpy(np.float64) / length * weight
    return pd.Series(values, index=rows["run_id"].to_numpy()).groupby(level=0).mean()


def _discount(spec: Mapping[str, Any]) -> float | None:
    variant = spec.get("variant")
    value = variant.get("discount") if isinstance(variant, Mapping) else None
    return None if value is None else float(value)
