"""The stratified bootstrap: intervals for aggregates, resampling runs within each environment.

In: scores [runs, environments] or ragged (see `scores`). Out: an `Interval`. The same seed gives the same resamples to
every statistic, and several statistics asked for together share them. Never: reads global random state, or serves as a
test: "the interval excludes zero" rejects 0.20 to 0.10 of true null hypotheses at 3 to 10 runs.

Measured coverage of 95 % intervals at 5, 10 and 30 runs (2 000 data sets each, one environment, normal scores unless said):
    IQM     percentile 0.89 0.93 0.94, of exponential scores 0.90 0.93 0.93; bca 0.89 0.93 0.94; basic 0.82 0.90 0.92
    mean    percentile 0.84 0.90 0.92, of exponential scores 0.77 0.86 0.92
    over four environments, percentile: IQM 0.91 0.93 0.94; mean 0.88 0.92 0.93; median 0.92 0.95 0.96; optimality gap
    0.87 0.92 0.94
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rlbench.stats.aggregates import AGGREGATES, Statistic, mean_of_middle, statistic_named
from rlbench.stats.results import Interval
from rlbench.stats.scores import Floats, Scores, check_name, check_resamples, checked_columns, tails

METHODS = ("percentile", "basic", "bca")
# Resampled values held at once, 0.5 MB: larger chunks leave the cache and are no faster.
_CHUNK_VALUES = 1 << 16
_RUNS_FOR_RANKS = (
    256  # from so many on ranks are sorted faster than values: 7 ns a value against 23 at 2 500, 37 at 25 000
)


def bootstrap_interval(
    scores: Scores,
    statistic: str = "iqm",
    method: str = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    *,
    target: float = 1.0,
) -> Interval:
    """Bootstrap interval of an aggregate of scores [runs, environments], resampling runs within each environment.

    `statistic` as in `aggregate`, `target` for its optimality gap; `method` is "percentile", "basic" or "bca" (Efron
    and Tibshirani 1993, chapters 13 and 14; several environments as SciPy treats several samples). The same seed
    gives the same interval. Raises
    ValueError on NaN, on an unknown statistic or method, and on impossible `resamples` or `level`.
    """
    return bootstrap_intervals(scores, (statistic,), method, resamples, seed, level, target=target)[statistic]


def bootstrap_intervals(
    scores: Scores,
    statistics: Sequence[str] = tuple(AGGREGATES),
    method: str = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    *,
    target: float = 1.0,
) -> dict[str, Interval]:
    """`bootstrap_interval` of several statistics over the same resamples, by name; each equals the one asked for alone."""
    columns = checked_columns(scores)
    bounds = tails(level)
    functions = {name: statistic_named(name, target) for name in statistics}
    check_name("method", method, METHODS)
    check_resamples(resamples)
    drawn = _drawn(columns, functions, resamples, np.random.default_rng(seed))
    num_runs = min(column.size for column in columns)
    intervals = {}
    for name, function in functions.items():
        estimate = float(function(columns))
        quantiles = _bca_quantiles(columns, function, drawn[name], estimate, bounds) if method == "bca" else bounds
        low, high = np.quantile(drawn[name], quantiles)
        if method == "basic":
            low, high = 2.0 * estimate - high, 2.0 * estimate - low
        label = {"bca": "BCa bootstrap"}.get(method, f"{method} bootstrap")
        intervals[name] = Interval(estimate, float(low), float(high), name, label, num_runs, level, resamples, seed)
    return intervals


def _drawn(
    columns: Sequence[Floats], functions: Mapping[str, Statistic], resamples: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """Each statistic of every resample."""
    if [*functions] == ["iqm"] and len(columns) == 1 and columns[0].size >= _RUNS_FOR_RANKS:
        return {"iqm": np.concatenate([mean_of_middle(one) for one in _ordered_resamples(columns[0], resamples, rng)])}
    drawn: dict[str, list[Floats]] = {name: [] for name in functions}
    for resampled in resampled_columns(columns, resamples, rng):
        for name, function in functions.items():
            drawn[name].append(function(resampled))
    return {name: np.concatenate(own) for name, own in drawn.items()}


def _ordered_resamples(column: Floats, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """The resamples of one environment [chunk, runs], each in ascending order.

    What is sorted are ranks, which up to 65 536 runs are 2 bytes long and sorted by their digits. The values come out the same.
    """
    order = np.argsort(column, kind="stable")
    ranks = np.empty(column.size, np.min_scalar_type(column.size))
    ranks[order] = np.arange(column.size)
    for (drawn,) in resampled_columns([ranks], resamples, rng):
        drawn.sort(axis=-1, kind="stable")
        yield column[order].take(drawn)


def resampled_columns(
    columns: Sequence[NDArray[Any]], resamples: int, rng: np.random.Generator
) -> Iterator[list[NDArray[Any]]]:
    """Yield chunks of resamples: one array [chunk, runs] per environment, drawn with replacement within it."""
    chunk = max(1, _CHUNK_VALUES // sum(column.size for column in columns))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        yield [column.take(rng.integers(0, column.size, size=(size, column.size))) for column in columns]


def resampled_counts(num_runs: int, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each run is in each resample [resamples, num_runs]: for statistics that are sums over runs."""
    counts = np.empty((resamples, num_runs))
    block = max(1, _CHUNK_VALUES // num_runs)
    for start in range(0, resamples, block):
        part = counts[start : start + block]
        drawn = rng.integers(0, num_runs, size=part.shape) + np.arange(len(part))[:, np.newaxis] * num_runs
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return counts


def _bca_quantiles(
    columns: Sequence[Floats], function: Statistic, drawn: Floats, estimate: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """The percentile bootstrap's quantiles, corrected for bias and acceleration (Efron and Tibshirani 1993, 14.3)."""
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * drawn.size)
    if below in (0.0, 1.0):  # nothing to correct by: every resample is on one side
        return bounds
    bias = special.ndtri(below)
    squares = cubes = 0.0
    for place, column in enumerate(columns):
        if column.size < 2:
            continue
        left_out = np.array(
            [function([*columns[:place], np.delete(column, run), *columns[place + 1 :]]) for run in range(column.size)]
        )
        influence = (column.size - 1) * (left_out.mean() - left_out)
        squares += float((influence**2).sum()) / column.size**2
        cubes += float((influence**3).sum()) / column.size**3
    acceleration = cubes / (6.0 * squares**1.5) if squares > 0.0 else 0.0
    shifted = [bias + special.ndtri(bound) for bound in bounds]
    low, high = (float(special.ndtr(bias + z / (1.0 - acceleration * z))) for z in shifted)
    return low, high
