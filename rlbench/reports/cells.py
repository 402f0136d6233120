"""A cell: the runs of one variant on one environment, one value per run first, then metrics and a curve over them.

In: rows of the tables. Out: plain values. Never: averages raw episodes over runs, or drops a run without counting it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.envs.scores import random_return
from rlbench.errors import StoreError
from rlbench.metrics import MEASURES
from rlbench.stats import (
    MIN_RUNS_FOR_BOOTSTRAP,
    Band,
    Interval,
    Range,
    aggregate,
    align_previous,
    iqm,
    run_interval,
    simultaneous_band,
)

Points = tuple[NDArray[np.int64], NDArray[np.float64]]  # of one run: env_steps, ascending, and the mean return at each
STATISTICS = {"mean": "mean", "iqm": "IQM"}  # what an interval is of, and what that is called
STATUSES = ("done", "diverged", "failed", "running", "pending")
MIN_RUNS_FOR_BAND = 3
# Below, few runs are left between the cuts of an IQM, and its band over a whole curve leaves the range of possible returns.
MIN_RUNS_FOR_IQM_BAND = 20
# 1 000 draws place the band's quantile to about 2 % of its width.
_BAND_RESAMPLES = 1_000


@dataclass(frozen=True)
class Metric:
    """One metric of one cell over its done runs that have it; None everywhere where there is no such run.

    The interval's own estimate is the one to show beside it: of the mean below 10 runs, of the IQM from 10 up.
    """

    n: int
    iqm: float | None
    mean: float | None
    interval: Interval | None

    @property
    def estimate(self) -> float | None:
        """What the interval is of."""
        return self.interval.estimate if self.interval else None

    @property
    def statistic(self) -> str | None:
        """ "mean" or "iqm"."""
        return self.interval.statistic if self.interval else None


@dataclass(frozen=True)
class RunCurve:
    """One run's learning curve: env_steps [points] int64 and returns [points], the mean of each point's episodes."""

    run_id: str
    seed: int
    status: str
    env_steps: NDArray[np.int64]
    returns: NDArray[np.float64]
    final_return: float  # NaN where the run has none

    @property
    def has_score(self) -> bool:
        """Whether its final return counts: the run is done and has one."""
        return self.status == "done" and bool(np.isfinite(self.final_return))


@dataclass(frozen=True)
class CellCurve:
    """The learning curve of a cell's done runs on their common grid env_steps [points]."""

    env_steps: NDArray[np.int64]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]  # [runs, points]
    band: Band  # simultaneous over the grid; without ends below 3 runs
    num_carried: int  # runs that ended before the last grid step, their last value carried forward


@dataclass(frozen=True)
class Cell:
    """One variant on one environment."""

    variant: str
    env: str
    counts: Mapping[str, int]  # status -> runs
    missing: int  # seeds that the experiment declares and the store has no run for
    metrics: Mapping[str, Metric]
    runs: tuple[RunCurve, ...]
    is_continued: bool = True  # whether the policy of a run that ended early is known to stay as it was
    possible: Range | None = None  # the returns that there can be, where that is known

    @cached_property
    def curve(self) -> CellCurve | None:
        """The learning curve over done runs; None without any. Computed when it is first asked for."""
        runs = [run for run in self.runs if run.status == "done" and len(run.env_steps)]
        return _cell_curve(runs, is_continued=self.is_continued, possible=self.possible)

    @cached_property
    def scores(self) -> dict[int, float]:
        """Seed -> the number that comparisons take: the final return of a done run, that of random play of a diverged one.

        Leaving out diverged runs would favour the variant that diverges. Where random play has no fixed return
        they are left out all the same, and `num_unscored` counts them.
        """
        random = random_return(self.env)
        scores = {run.seed: run.final_return for run in self.runs if run.has_score}
        diverged = {run.seed: random for run in self.runs if run.status == "diverged" and random is not None}
        known = scores | diverged
        return {run.seed: known[run.seed] for run in self.runs if run.seed in known}

    @property
    def num_unscored(self) -> int:
        """Diverged runs for which no number stands, since random play on this environment has none."""
        return 0 if random_return(self.env) is not None else self.counts["diverged"]

    @property
    def planned(self) -> int:
        """All its runs, whatever became of them, and the missing ones."""
        return sum(self.counts.values()) + self.missing

    @property
    def done(self) -> int:
        """Runs that ended as they should: those that are averaged."""
        return self.counts["done"]

    @property
    def is_small(self) -> bool:
        """Whether its done runs are too few for the bootstrap: the red badge."""
        return self.done < MIN_RUNS_FOR_BOOTSTRAP


def summarise_cell(
    variant: str,
    env: str,
    runs: pd.DataFrame,
    seeds: set[int],
    points: Mapping[str, Points],
    *,
    is_continued: bool,
    possible: Range | None = None,
) -> Cell:
    """The cell of a variant on an environment from the rows of its runs, the planned seeds, and `points` by run_id.

    `possible` is the range of its returns, within which intervals and bands stay. Raises StoreError for a status that is not in STATUSES.
    """
    counts = {status: int((runs["status"] == status).sum()) for status in STATUSES}
    unknown = len(runs) - sum(counts.values())
    if unknown:
        found = sorted(set(runs["status"]) - set(STATUSES))
        raise StoreError(
            f"{unknown} run(s) of {variant} on {env} have a status that this rlbench does not know: {found}"
        )
    done = runs[runs["status"] == "done"]
    curves = tuple(_run_curve(row, points.get(str(row.run_id))) for row in runs.itertuples())
    return Cell(
        variant=variant,
        env=env,
        counts=counts,
        missing=len(seeds - set(runs["seed"])),
        metrics={name: _summarise_metric(done[name], possible) for name in MEASURES},
        runs=curves,
        is_continued=is_continued,
        possible=possible,
    )


def _summarise_metric(column: pd.Series, possible: Range | None) -> Metric:
    values = column.dropna().to_numpy(np.float64)
    if not len(values):
        return Metric(0, None, None, None)
    return Metric(len(values), iqm(values), aggregate(values, "mean"), run_interval(values, possible=possible))


def _run_curve(row: Any, points: Points | None) -> RunCurve:
    env_steps, returns = points or (np.empty(0, np.int64), np.empty(0))
    final = float("nan") if pd.isna(row.final_return) else float(row.final_return)
    return RunCurve(str(row.run_id), int(row.seed), str(row.status), env_steps, returns, final)


def _cell_curve(curves: list[RunCurve], *, is_continued: bool, possible: Range | None) -> CellCurve | None:
    """All done runs on the union of their grids; a shorter run keeps its last value, as its policy no longer changes.

    The grid starts where every run has a value. Averaging only the runs still there would favour whoever lives longest, so
    where a shorter run is not known to stay as it was the grid ends with the shortest.
    """
    if not curves:
        return None
    grid = np.unique(np.concatenate([curve.env_steps for curve in curves]))
    grid = grid[grid >= max(curve.env_steps[0] for curve in curves)]
    if not is_continued:
        grid = grid[grid <= min(curve.env_steps[-1] for curve in curves)]
    if not len(grid):
        return None
    # The last value at or before each grid step: no interpolation, which would look into the future.
    values = np.stack([align_previous(curve.env_steps, curve.returns, grid) for curve in curves])
    num_carried = sum(int(curve.env_steps[-1] < grid[-1]) for curve in curves)
    return CellCurve(grid, tuple(curve.seed for curve in curves), values, curve_band(values, possible), num_carried)


def curve_band(values: NDArray[np.float64], possible: Range | None = None) -> Band:
    """A line over values [runs, points] with a band that holds over the whole grid: of the IQM from 20 runs up, else the mean.

    With fewer runs few are left between the cuts, and the band of the IQM is several times as wide. Below 3 there is none.
    """
    if len(values) >= MIN_RUNS_FOR_BAND:
        statistic = "iqm" if len(values) >= MIN_RUNS_FOR_IQM_BAND else "mean"
        return simultaneous_band(values, statistic=statistic, resamples=_BAND_RESAMPLES, possible=possible)
    nothing = np.full(values.shape[1], np.nan)
    return Band(values.mean(axis=0), nothing, nothing, "mean", "none (under 3 runs)", len(values), 0.95)
