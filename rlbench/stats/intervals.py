"""Intervals for one number: Student's t, the stratified bootstrap, and the house rule that chooses between them.

In: scores [runs, environments] float, one value per run. Out: an `Interval` that says how it was made, so that every
printed number can be traced. Never: treats episodes as runs, or reads global random state. An interval is no test: used
as one at level 0.05, "the interval excludes zero" rejects 0.20 to 0.10 of true null hypotheses at 3 to 10 runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rlbench.stats.aggregates import AGGREGATES, Floats, checked_scores, trimmed_mean_in_place

# Below this many runs the bootstrap of the IQM covers too little (0.66 to 0.81 instead of 0.95 at 3 to 5 runs).
MIN_RUNS_FOR_BOOTSTRAP = 10
METHODS = ("percentile",)
# Resampled values held at once, 0.5 MB: larger chunks leave the cache and are no faster.
_CHUNK_VALUES = 1 << 16


@dataclass(frozen=True)
class Interval:
    """An estimate with an interval around it; `low` and `high` are NaN where a single run allows none."""

    estimate: float
    low: float
    high: float
    statistic: str  # what is estimated: "iqm" or "mean"
    method: str  # "Student t", "percentile bootstrap" or "none (one run)"
    n: int  # runs
    level: float
    resamples: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Band:
    """Pointwise intervals over a grid: each array is [points]; not a simultaneous statement about the whole curve."""

    estimate: Floats  # the IQM over runs, whatever the interval's statistic
    low: Floats
    high: Floats
    statistic: str
    method: str
    n: int
    level: float
    resamples: int | None = None
    seed: int | None = None


def student_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student t interval of the mean of values [runs]; raises ValueError on NaN and below 2 runs."""
    checked = _one_column(values)
    _check_level(level)
    if checked.size < 2:
        raise ValueError("a Student t interval needs at least 2 runs")
    low, high = _student_bounds(checked[:, np.newaxis], level)
    return Interval(float(checked.mean()), float(low[0]), float(high[0]), "mean", "Student t", checked.size, level)


def bootstrap_interval(
    scores: ArrayLike,
    statistic: str = "iqm",
    method: str = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Bootstrap interval of an aggregate of scores [runs, environments], resampling runs within each environment.

    `statistic` is a name in `AGGREGATES`. The same seed gives the same interval. Raises ValueError on NaN, on an
    unknown statistic or method, and on impossible `resamples` or `level`.
    """
    checked = checked_scores(scores)
    _check_level(level)
    if statistic not in AGGREGATES:
        raise ValueError(f"unknown statistic {statistic!r}; one of {', '.join(AGGREGATES)}")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; one of {', '.join(METHODS)}")
    _check_resamples(resamples)
    aggregate = AGGREGATES[statistic]
    num_runs, num_environments = checked.shape
    flat = checked.ravel()
    columns = np.arange(num_environments)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // checked.size)
    drawn = np.empty(resamples)
    for start in range(0, resamples, chunk):
        stop = min(start + chunk, resamples)
        rows = rng.integers(0, num_runs, size=(stop - start, num_runs, num_environments))
        drawn[start:stop] = aggregate(flat[rows * num_environments + columns])
    low, high = np.quantile(drawn, _tails(level))
    estimate = float(aggregate(checked))
    return Interval(
        estimate, float(low), float(high), statistic, "percentile bootstrap", num_runs, level, resamples, seed
    )


def run_interval(values: ArrayLike, level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """The house rule for values [runs]: Student t of the mean below 10 runs, bootstrap of the IQM from 10 up.

    The result's `statistic` says which of the two its estimate and interval are for. One run has no interval (NaN
    ends). Raises ValueError on NaN and on no values.
    """
    checked = _one_column(values)
    _check_level(level)
    if checked.size == 1:
        return Interval(float(checked[0]), np.nan, np.nan, "mean", "none (one run)", 1, level)
    if checked.size < MIN_RUNS_FOR_BOOTSTRAP:
        return student_interval(checked, level)
    return bootstrap_interval(checked, "iqm", "percentile", resamples, seed, level)


def pointwise_band(curves: ArrayLike, level: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Band:
    """`run_interval` at every point of curves [runs, points], around the IQM over runs; raises ValueError on NaN.

    The bootstrap draws whole runs, so that all points of one resample come from the same runs.
    """
    checked = checked_scores(curves)
    _check_level(level)
    num_runs, num_points = checked.shape
    by_point = np.ascontiguousarray(checked.T)
    estimate = trimmed_mean_in_place(by_point.copy())
    if num_runs == 1:
        nothing = np.full(num_points, np.nan)
        return Band(estimate, nothing, nothing.copy(), "mean", "none (one run)", 1, level)
    if num_runs < MIN_RUNS_FOR_BOOTSTRAP:
        low, high = _student_bounds(checked, level)
        return Band(estimate, low, high, "mean", "Student t", num_runs, level)
    _check_resamples(resamples)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // checked.size)
    drawn = np.empty((num_points, resamples))
    for start in range(0, resamples, chunk):
        stop = min(start + chunk, resamples)
        rows = rng.integers(0, num_runs, size=(stop - start, num_runs))
        drawn[:, start:stop] = trimmed_mean_in_place(by_point[:, rows])
    low, high = np.quantile(drawn, _tails(level), axis=1)
    return Band(estimate, low, high, "iqm", "percentile bootstrap", num_runs, level, resamples, seed)


def _student_bounds(scores: Floats, level: float) -> tuple[Floats, Floats]:
    """Ends [columns] of the t interval of each column's mean; scores [runs, columns], at least 2 runs."""
    num_runs = scores.shape[0]
    mean = scores.mean(axis=0)
    half = special.stdtrit(num_runs - 1, _tails(level)[1]) * scores.std(axis=0, ddof=1) / np.sqrt(num_runs)
    return mean - half, mean + half


def _one_column(values: ArrayLike) -> Floats:
    checked = checked_scores(values)
    if checked.shape[1] != 1:
        raise ValueError(f"values must be [runs], one number a run, not of shape {checked.shape}")
    return checked[:, 0]


def _tails(level: float) -> tuple[float, float]:
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
