"""How much x differs from y: probability of improvement, Cliff's delta, Hodges-Lehmann shift, Welch's t.

In: scores of two sides, [runs, environments] or ragged (see `scores`), not paired. Out: plain floats, or a frozen value
with an interval. Always x against y: above 0 (above 1/2 for a probability) where x is larger. Never: decides anything by
"the interval excludes zero"; for a decision see `permutation`.

Measured at 5, 10 and 30 runs a side, normal scores: the 95 % interval of the probability of improvement covers 0.90 0.94
0.95 where it is 1/2 and 0.88 0.93 0.94 where it is 0.76 (2 000 data sets each). Welch's t at level 0.05 rejects 0.048 0.045
0.053 of true hypotheses, 0.028 0.042 0.052 of exponential scores (4 000 each).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rlbench.stats.bootstrap import resampled_counts
from rlbench.stats.differences import median_difference
from rlbench.stats.results import Comparison, Interval, rescaled
from rlbench.stats.scores import (
    Floats,
    Scores,
    check_finite,
    check_resamples,
    matching_columns,
    one_column,
    scale_of,
    tails,
)

_CHUNK_RESAMPLES = 2_000
_BLOCK_VALUES = 1 << 16  # 0.5 MB


def probability_of_improvement(
    x: Scores, y: Scores, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """P(x > y) + P(x = y) / 2 for one run of x and one of y, averaged over environments; with a percentile interval.

    Agarwal et al. 2021, section 4.3 (Mann-Whitney U / (n m) of each environment). The bootstrap draws the runs of x
    and of y within each environment. Where the sides do not overlap, no resample does, and the interval has no width:
    not a proof of certainty. Raises ValueError on NaN, on empty scores and where the environments differ.
    """
    columns_x, columns_y = matching_columns(x, y)
    bounds = tails(level)
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    sides = list(zip(columns_x, columns_y, strict=True))
    places = [_places(one, other) for one, other in sides]
    drawn = np.zeros(resamples)
    for start in range(0, resamples, _CHUNK_RESAMPLES):
        own = drawn[start : start + _CHUNK_RESAMPLES]  # of a fixed number, since it orders the draws
        for (one, other), place in zip(sides, places, strict=True):
            own += _resampled_wins(one.size, other.size, place, len(own), rng) / (one.size * other.size)
    estimate = float(np.mean([(below + up_to).mean() / (2.0 * len(order)) for order, below, up_to in places]))
    low, high = (float(end) for end in np.quantile(drawn / len(sides), bounds))
    fewest = min(min(one.size, other.size) for one, other in sides)
    name = "probability_of_improvement"
    return Interval(estimate, low, high, name, "percentile bootstrap", fewest, level, resamples, seed)


def _resampled_wins(
    num_x: int, num_y: int, places: tuple[NDArray[np.intp], ...], resamples: int, rng: np.random.Generator
) -> Floats:
    """How often x is above y over all pairs of runs, ties half, in each resample [resamples]: whole numbers and halves."""
    order, below, up_to = places
    # All of x is drawn before y. Blocks that stay in the cache: 2 000 resamples of 2 500 runs at once take 3.5 times as long.
    block = max(1, _BLOCK_VALUES // max(num_x, num_y))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    counts_x = [resampled_counts(num_x, size, rng).astype(np.int32) for size in sizes]
    wins = []
    for own, size in zip(counts_x, sizes, strict=True):
        # Runs of y below each of x, and as many more that tie with it, by their counts in order.
        reached = np.zeros((size, num_y + 1))
        np.cumsum(resampled_counts(num_y, size, rng).take(order, axis=1), axis=1, out=reached[:, 1:])
        beaten = reached.take(below, axis=1) + reached.take(up_to, axis=1)
        wins.append((own * beaten).sum(axis=1) / 2.0)
    return np.concatenate(wins)


def cliffs_delta(x: Scores, y: Scores) -> float:
    """P(x > y) - P(x < y), averaged over environments: 2 A12 - 1, from -1 to 1 (Cliff 1993; Vargha and Delaney 2000).

    Raises ValueError on NaN, on empty scores and where the environments differ.
    """
    pairs = zip(*matching_columns(x, y), strict=True)
    return float(np.mean([2.0 * _share_of_wins(one, other) - 1.0 for one, other in pairs]))


def hodges_lehmann(x: ArrayLike, y: ArrayLike) -> float:
    """Median of all differences x_i - y_j of x [runs] and y [runs]: the shift of y to x (Hodges and Lehmann 1963).

    One environment only: shifts of different environments have no common scale. Raises ValueError on NaN and on none.
    """
    values_x, values_y = one_column(x), one_column(y)
    scale = scale_of(values_x, values_y)
    return scale * median_difference(values_x / scale, values_y / scale)


def welch_test(x: ArrayLike, y: ArrayLike, *, alternative: str = "two-sided", level: float = 0.95) -> Comparison:
    """Welch's t test of equal means of x [runs] and y [runs], with the two-sided t interval of mean(x) - mean(y).

    Welch 1947. Two constant sides have no spread to measure by: p is 1 where they are equal and 0 where they differ.
    Raises ValueError on NaN and below 2 runs a side.
    """
    values_x, values_y = one_column(x), one_column(y)
    bounds = tails(level)
    scale = scale_of(values_x, values_y)
    difference, error, freedom = welch_difference(values_x / scale, values_y / scale)
    p_value = t_p_value(difference, error, freedom, alternative)
    half = t_half_width(error, freedom, bounds[1])
    result = Comparison(
        difference,
        p_value,
        "mean",
        "Welch t",
        alternative,
        values_x.size,
        values_y.size,
        smallest_p=0.0,
        low=difference - half,
        high=difference + half,
        level=level,
    )
    return rescaled(result, scale)


def welch_difference(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return mean(x) - mean(y), its standard error and Welch-Satterthwaite's degrees of freedom; x, y [runs]."""
    if min(x.size, y.size) < 2:
        raise ValueError(f"a spread needs at least 2 runs on each side, not {x.size} and {y.size}")
    check_finite(x, y)
    (mean_x, part_x), (mean_y, part_y) = _mean_and_its_variance(x), _mean_and_its_variance(y)
    error, freedom = satterthwaite(np.array([part_x, part_y]), np.array([x.size - 1, y.size - 1]))
    return mean_x - mean_y, error, freedom


def satterthwaite(variances: Floats, freedoms: Floats) -> tuple[float, float]:
    """Return the standard error of a sum of independent means of these variances [means], and its degrees of freedom.

    Satterthwaite 1946. Without any variance the degrees of freedom are those of all the data.
    """
    total = float(variances.sum())
    if total == 0.0:
        return 0.0, float(freedoms.sum())
    shares = variances / total
    return float(np.sqrt(total)), float(1.0 / (shares**2 / freedoms).sum())


def t_p_value(difference: float, error: float, freedom: float, alternative: str) -> float:
    """P-value of a difference with a standard error under Student's t; "greater" means a positive difference."""
    without_spread = 0.0 if difference == 0.0 else float(np.copysign(np.inf, difference))
    t = difference / error if error > 0.0 else without_spread
    if alternative == "two-sided":
        return float(2.0 * special.stdtr(freedom, -abs(t)))
    if alternative == "greater":
        return float(special.stdtr(freedom, -t))
    if alternative == "less":
        return float(special.stdtr(freedom, t))
    raise ValueError(f"unknown alternative {alternative!r}; one of two-sided, greater, less")


def t_half_width(error: float, freedom: float, upper: float) -> float:
    """Half of the width of Student's t interval whose upper end is the quantile `upper`."""
    return float(special.stdtrit(freedom, upper)) * error


def _mean_and_its_variance(values: Floats) -> tuple[float, float]:
    """Exact where all values are equal: there a rounded mean would leave a variance, and a test of it."""
    if (values == values[0]).all():
        return float(values[0]), 0.0
    return float(values.mean()), float(values.var(ddof=1) / values.size)


def _places(x: Floats, y: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The order of y, and how many of its runs are below each of x, and at or below it."""
    order = np.argsort(y, kind="stable")
    return order, np.searchsorted(y[order], x, "left"), np.searchsorted(y[order], x, "right")


def _share_of_wins(x: Floats, y: Floats) -> float:
    """Of all pairs of runs, the share in which that of x is above, ties half; by order, since pairs grow like the square."""
    _, below, up_to = _places(x, y)
    return float((below + up_to).sum()) / 2.0 / (x.size * y.size)
