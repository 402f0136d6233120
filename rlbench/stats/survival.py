"""When does a run get there: time to a threshold, with the runs that never did counted as censored.

In: evaluation curves [runs, points] on a grid of environment steps, and a threshold. Out: a `TimeToThreshold`. Never: drops
a run that did not get there, or pretends that it did at the end.

Measured coverage of the 95 % interval of the restricted mean with 30 % of the runs lost at a random step, at 5, 10 and 30
runs: 0.91 0.94 0.94 (4 000 data sets each; those whose curve ended before the horizon were left out).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rlbench.stats.scores import Floats, checked_scores, tails


@dataclass(frozen=True)
class TimeToThreshold:
    """First evaluation at or above the threshold: per run, as a Kaplan-Meier curve, and as a restricted mean."""

    times: Floats  # [runs]: the step at which it was reached, or the last one observed
    reached: NDArray[np.bool_]  # [runs]: False where the run is censored
    event_steps: Floats  # [events], ascending: where the curve falls
    waiting: Floats  # [events]: share of runs still below the threshold after each
    median: float | None  # first step by which half had got there; None where they never did
    restricted_mean: float  # mean of min(time, horizon): every run counts
    low: float
    high: float
    horizon: float
    threshold: float
    method: str
    n: int
    num_reached: int
    level: float


def time_to_threshold(
    curves: ArrayLike,
    steps: ArrayLike,
    threshold: float,
    *,
    ends: ArrayLike | None = None,
    horizon: float | None = None,
    level: float = 0.95,
) -> TimeToThreshold:
    """Time until curves [runs, points] on the grid steps [points] first reach `threshold`; the rest are censored.

    Kaplan and Meier 1958; restricted mean up to `horizon` (default: as far as the curve is known, the end of the grid unless
    the runs that lasted longest were lost before it; give it where two of these are compared) with
    Greenwood's variance, scaled by n / (n - 1), and Student's t: with no run lost before the horizon that is the t
    interval of the mean of min(time, horizon). `ends` [runs] is the last step at which a run was observed, for runs
    that diverged or failed: what their curve holds later is not read. Times are steps of the grid, so a threshold
    reached between two evaluations counts at the later one. One run has no interval (NaN ends). Raises ValueError on
    NaN before a run's end, on steps that do not ascend, and on a horizon beyond what was observed.
    """
    tails(level)
    grid = np.asarray(steps, dtype=np.float64)
    table = np.atleast_2d(np.asarray(curves, dtype=np.float64))
    if grid.ndim != 1 or table.ndim != 2 or table.shape[1] != grid.size:
        raise ValueError(f"curves [runs, points] and steps [points] must match, not {table.shape} and {grid.shape}")
    if grid.size == 0 or np.isnan(grid).any() or (np.diff(grid) <= 0).any():
        raise ValueError("steps must ascend")
    last = np.full(len(table), grid[-1]) if ends is None else np.asarray(ends, dtype=np.float64)
    if last.shape != (len(table),) or np.isnan(last).any():
        raise ValueError(f"ends must be [runs], one step a run and none of them NaN; their shape is {last.shape}")
    if np.isnan(threshold):
        raise ValueError("the threshold is NaN")
    is_observed = grid <= last[:, np.newaxis]
    checked = checked_scores(np.where(is_observed, table, -np.inf))
    is_there = checked >= threshold
    reached = np.asarray(is_there.any(axis=1))
    times = np.where(reached, grid[is_there.argmax(axis=1)], np.minimum(last, grid[-1]))
    return _summary(times, reached, float(grid[-1]), threshold, horizon, level)


def _summary(
    times: Floats, reached: NDArray[np.bool_], end: float, threshold: float, horizon: float | None, level: float
) -> TimeToThreshold:
    n = times.size
    event_steps, events = np.unique(times[reached], return_counts=True)
    at_risk = (times >= event_steps[:, np.newaxis]).sum(axis=1)
    waiting = np.cumprod(1.0 - events / at_risk)
    # Once all have got there nothing is left to observe; until then the curve is known up to the last step observed.
    known = end if waiting.size and waiting[-1] == 0.0 else float(times.max())
    horizon = known if horizon is None else horizon
    if not 0.0 < horizon <= known:
        raise ValueError(f"the horizon must lie above 0 and up to the last step observed, {known:g}, not {horizon:g}")
    # The curve's area between the horizon and each event, from 0 on: steps of constant height.
    edges = np.minimum(np.concatenate([[0.0], event_steps, [horizon]]), horizon)
    areas = np.diff(edges) * np.concatenate([[1.0], waiting])
    restricted_mean = float(areas.sum())
    remaining = restricted_mean - np.cumsum(areas)[:-1]
    left = at_risk - events
    variance = float(np.sum(remaining**2 * events / (at_risk * np.where(left > 0, left, 1)) * (left > 0)))
    half = np.nan
    if n > 1:
        half = float(special.stdtrit(n - 1, tails(level)[1]) * np.sqrt(variance * n / (n - 1)))
    below_half = event_steps[waiting <= 0.5 + 1e-12]
    return TimeToThreshold(
        times,
        reached,
        event_steps,
        waiting,
        float(below_half[0]) if below_half.size else None,
        restricted_mean,
        restricted_mean - half,
        restricted_mean + half,
        horizon,
        threshold,
        "Kaplan-Meier, restricted mean",
        n,
        int(reached.sum()),
        level,
    )
