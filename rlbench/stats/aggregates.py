"""One number for many runs: IQM, mean, median and optimality gap over environments (Agarwal et al. 2021, section 4.3).

In: scores [runs, environments] float, one value per run and environment, or ragged (see `scores`). Out: a plain float.
Never: reads episodes, drops a NaN, or normalises; a NaN or an empty array is a ValueError. Scores over several
environments should be normalised beforehand, by a fixed published table and not by the runs compared.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from rlbench.stats.scores import Floats, Scores, check_name, checked_columns

# Takes one array [..., runs] per environment and returns [...]: a resampling method calls it on many resamples at once.
Statistic = Callable[[Sequence[Floats]], Floats]


def iqm(scores: Scores) -> float:
    """Interquartile mean of scores [runs, environments], pooled over both (Agarwal et al. 2021, section 4.3).

    The lowest and the highest floor(n / 4) of the n pooled values are cut, as `scipy.stats.trim_mean(x, 0.25)` does:
    with 3 values it is the mean. With unequal numbers of runs every environment weighs the same: values weigh one over
    their environment's runs, and the same share of the weight, floor(n / 4) / n, is cut at each end. Raises ValueError
    on NaN and on empty scores.
    """
    return aggregate(scores, statistic="iqm")


def optimality_gap(scores: Scores, target: float = 1.0) -> float:
    """Mean shortfall of scores [runs, environments] below `target`, nothing being gained above it; lower is better.

    Agarwal et al. 2021, section 4.3. Raises ValueError on NaN and on empty scores.
    """
    return aggregate(scores, statistic="optimality_gap", target=target)


def aggregate(scores: Scores, statistic: str = "iqm", *, target: float = 1.0) -> float:
    """One number for scores [runs, environments]; every environment weighs the same, however many runs it has.

    `statistic`: "iqm" (see `iqm`), "mean", "median" (the median over environments of the mean over runs, as rliable
    has it) or "optimality_gap" below `target`, which only this one reads. Raises ValueError on NaN, on empty scores
    and on an unknown statistic.
    """
    return float(statistic_named(statistic, target)(checked_columns(scores)))


def statistic_named(name: str, target: float = 1.0) -> Statistic:
    """Return the function behind a name in `AGGREGATES`; raises ValueError for any other."""
    check_name("statistic", name, tuple(AGGREGATES))
    if name == "optimality_gap":
        return partial(_optimality_gap, target=target)
    return AGGREGATES[name][1]


def trimmed_mean(values: Floats) -> Floats:
    """Mean of the last axis [..., n] without its lowest and highest floor(n / 4) values; leaves `values` as they are."""
    # A full sort: NumPy's is vectorised, 0.06 s for 50 000 x 240 values where the partition takes 0.24 s.
    return mean_of_middle(np.sort(values, axis=-1))


def mean_of_middle(ordered: Floats) -> Floats:
    """The trimmed mean of values that ascend along the last axis [..., n]."""
    count = ordered.shape[-1]
    cut = count // 4
    return _mean_of(ordered[..., cut : count - cut])


def _weighted_trimmed_mean(values: Floats, weights: Floats, cut: float) -> Floats:
    """Mean of values [..., n] under weights [n] of sum 1 without the weight `cut` at each end, splitting at the cuts."""
    order = np.argsort(values, axis=-1)
    reached = np.cumsum(weights[order], axis=-1)
    kept = np.diff(np.clip(reached, cut, 1.0 - cut), axis=-1, prepend=cut)
    # What is cut is left out rather than multiplied by 0, which an infinity would turn into NaN.
    parts = np.multiply(np.take_along_axis(values, order, axis=-1), kept, where=kept > 0.0, out=np.zeros_like(kept))
    with np.errstate(invalid="ignore"):
        return np.asarray(parts.sum(axis=-1) / kept.sum(axis=-1))


def _iqm(columns: Sequence[Floats]) -> Floats:
    counts = [column.shape[-1] for column in columns]
    pooled = np.concatenate(columns, axis=-1)
    if len(set(counts)) == 1:
        return trimmed_mean(pooled)
    total = sum(counts)
    weights = np.repeat([1.0 / (len(counts) * count) for count in counts], counts)
    return _weighted_trimmed_mean(pooled, weights, (total // 4) / total)


def _mean(columns: Sequence[Floats]) -> Floats:
    return _mean_of(_means(columns))


def _median(columns: Sequence[Floats]) -> Floats:
    return np.asarray(np.median(_means(columns), axis=-1))


def _optimality_gap(columns: Sequence[Floats], target: float = 1.0) -> Floats:
    return target - _mean([np.minimum(column, target) for column in columns])


def _means(columns: Sequence[Floats]) -> Floats:
    """The mean over runs of each environment [..., environments]."""
    return np.stack([_mean_of(column) for column in columns], axis=-1)


def _mean_of(values: Floats) -> Floats:
    # The mean of infinities of both signs is undefined; NaN says so without a warning.
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.asarray(values.mean(axis=-1))
        if not np.isfinite(mean).all() and np.isfinite(values).all():
            mean = np.asarray((values / values.shape[-1]).sum(axis=-1))  # where the sum left the range of floats
        return mean


# By name, in the order in which reports show them: what it is called there, and the function.
AGGREGATES: dict[str, tuple[str, Statistic]] = {
    "iqm": ("IQM", _iqm),
    "median": ("Median", _median),
    "mean": ("Mean", _mean),
    "optimality_gap": ("Optimality gap", _optimality_gap),
}
