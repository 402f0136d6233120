"""The performance profile: which share of the runs scores above each threshold.

In: scores [runs, environments] or ragged (see `scores`), and thresholds. Out: a `Profile`. Shows the failing runs that an
average hides. Never: draws.

Measured coverage of 95 % bands at a threshold that one run in twenty misses, at 5, 10 and 30 runs on each of four
environments (2 000 data sets or more): Wilson 0.93 0.96 0.95, percentile 0.64 0.87 0.94; on one environment Wilson 0.98
0.91 0.94, percentile 0.23 0.39 0.79.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rlbench.stats.bootstrap import resampled_counts
from rlbench.stats.intervals import wilson_bounds
from rlbench.stats.scores import Floats, Scores, check_name, check_resamples, checked_columns, tails

METHODS = ("wilson", "percentile")
_CHUNK_RESAMPLES = 2_000


@dataclass(frozen=True)
class Profile:
    """Share of runs above each threshold, with a pointwise band; every array is [thresholds]."""

    thresholds: Floats
    estimate: Floats
    low: Floats
    high: Floats
    method: str
    n: int  # runs; the fewest on any environment
    level: float
    resamples: int | None = None
    seed: int | None = None


def performance_profile(
    scores: Scores,
    thresholds: ArrayLike,
    *,
    method: str = "wilson",
    resamples: int = 2_000,
    seed: int = 0,
    level: float = 0.95,
) -> Profile:
    """Share of runs with a score above each threshold [thresholds], averaged over environments; with a pointwise band.

    Agarwal et al. 2021, section 4.2 (the run-score distribution): P(score > threshold), strictly. `method` "wilson"
    is the score interval of one rate over all runs, at least as wide as strata need; "percentile" the stratified
    bootstrap of rliable, which has no width where all runs agree and so misses rare failures. Both hold at one
    threshold, not at all of them at once. Raises ValueError on NaN in either, on empty scores and unless the thresholds
    are [thresholds].
    """
    columns = checked_columns(scores)
    check_name("method", method, METHODS)
    bounds = tails(level)
    check_resamples(resamples)
    grid = np.asarray(thresholds, dtype=np.float64)
    if grid.ndim != 1 or grid.size == 0 or np.isnan(grid).any():
        raise ValueError("thresholds must be [thresholds], at least one and none of them NaN")
    above = [(column[:, np.newaxis] > grid).astype(np.float64) for column in columns]
    estimate = np.mean([table.mean(axis=0) for table in above], axis=0)
    fewest = min(column.size for column in columns)
    if method == "wilson":
        # As many runs as would give the variance of a mean over environments of unequal numbers of runs.
        num_runs = len(columns) ** 2 / sum(1.0 / column.size for column in columns)
        low, high = wilson_bounds(estimate, num_runs, level)
        return Profile(grid, estimate, low, high, "pointwise Wilson score", fewest, level)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((resamples, grid.size))
    for start in range(0, resamples, _CHUNK_RESAMPLES):
        size = min(_CHUNK_RESAMPLES, resamples - start)
        for table in above:
            drawn[start : start + size] += resampled_counts(len(table), size, rng) @ table / len(table)
    low, high = np.quantile(drawn / len(above), bounds, axis=0)
    return Profile(grid, estimate, low, high, "pointwise percentile bootstrap", fewest, level, resamples, seed)
