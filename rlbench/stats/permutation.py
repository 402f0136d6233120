"""Is x better than y: permutation tests on the difference, for independent runs and for runs that share seeds.

In: scores [runs, environments] of two sides. Out: a `Comparison`. Exact where the arrangements are few enough to count,
otherwise (1 + hits) / (1 + draws) over random ones, which holds the level too (Phipson and Smyth 2010). The test is of
equal laws of x and y, not of equal means alone. Never: reads global random state, or gives a p-value of 0.

Measured rejections of true hypotheses at level 0.05 with 5, 10 and 30 runs a side: difference of means 0.050 0.051 0.048
(normal scores, 4 000 data sets); with equal means but spreads of 1 to 3, which is no longer the hypothesis, 0.076 0.059
0.051. With 10 runs of spread 3 against 40 of spread 1 the difference of means rejects 0.25 and Welch's t 0.057, with 5
against 20 0.27 and 0.073 (3 000); where the larger side has the larger spread 0.002 and 0.036 (10 and 40 runs). Sign flips 0
(5 seeds cannot reject), 0.050 and 0.047; laws with many ties reject less. Sign flips test symmetry: where x - y is
exponential about a mean of 0 they reject 0.065 0.105 0.074 with 6, 10 and 30 seeds, Student's t 0.110 0.110 0.073.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlbench.stats.aggregates import Statistic, statistic_named
from rlbench.stats.results import Comparison, rescaled
from rlbench.stats.scores import (
    Floats,
    Scores,
    check_finite,
    check_name,
    check_resamples,
    matching_columns,
    rounding_of,
    scale_of,
    seed_differences,
)

ALTERNATIVES = ("two-sided", "greater", "less")
STATISTICS = ("mean", "welch_t", "iqm", "probability_of_improvement")
# Up to this many arrangements are all counted: 8 runs against 8, or 16 shared seeds.
MAX_EXACT = 1 << 16
_CHUNK_VALUES = 1 << 18
Measure = Callable[[Sequence[Floats]], Floats]  # runs of each environment, x's first -> the statistic


def permutation_test(
    x: Scores,
    y: Scores,
    *,
    statistic: str = "mean",
    alternative: str = "two-sided",
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Permutation test of x against y, exchanging runs between the sides within each environment.

    `statistic` is "mean" or "iqm", the difference of the aggregates, or "probability_of_improvement", which orders the
    arrangements as the Mann-Whitney test does, with ties counted half and infinite scores in their place. "welch_t" is
    the difference of means over its Welch standard error: still exact where x and y have one law, and with many runs a
    test of equal means whatever their spreads (Janssen 1997); its estimate is the difference of means. Two-sided
    p-values are those of the absolute statistic (from 1/2, for a probability). Raises ValueError on NaN, on infinite
    scores except for a probability, below 2 runs a side for "welch_t", and where the environments differ.
    """
    columns_x, columns_y = matching_columns(x, y)
    check_name("statistic", statistic, STATISTICS)
    check_name("alternative", alternative, ALTERNATIVES)
    check_resamples(resamples)
    pooled = [np.concatenate(pair) for pair in zip(columns_x, columns_y, strict=True)]
    splits = [column.size for column in columns_x]
    centre = 0.0
    aggregate = statistic_named("iqm" if statistic == "iqm" else "mean")
    if statistic == "probability_of_improvement":
        # The difference of mean ranks over the number of runs is P(x > y) + half the ties - 1/2.
        pooled = [_ranks(values) / values.size for values in pooled]
        centre = 0.5
    else:
        check_finite(*pooled)
        scale = scale_of(*pooled)
        if scale != 1.0:
            ones, others = ([column / scale for column in side] for side in (columns_x, columns_y))
            given: dict[str, Any] = {"alternative": alternative, "resamples": resamples, "seed": seed}
            return rescaled(permutation_test(_named(ones), _named(others), statistic=statistic, **given), scale)
    num_exact = math.prod(math.comb(values.size, split) for values, split in zip(pooled, splits, strict=True))
    tolerance = rounding_of(pooled)
    measure: Measure = partial(_difference, splits=splits, aggregate=aggregate)
    estimate = observed = float(measure([values[np.newaxis] for values in pooled])[0])
    if statistic == "welch_t":
        if min(*splits, *(column.size for column in columns_y)) < 2:
            raise ValueError("Welch's t needs at least 2 runs on each side of each environment")
        # Differences of close numbers are exact: what is left has no rounding but that of its own size.
        pooled = [values - values[0] for values in pooled]
        measure = partial(_welch_t, splits=splits, rounding=rounding_of(pooled))
        observed = float(measure([values[np.newaxis] for values in pooled])[0])
        tolerance = 1e-9 * (1.0 + abs(observed)) if math.isfinite(observed) else 0.0
    if num_exact <= MAX_EXACT:
        drawn = _all_measured(pooled, splits, measure)
    else:
        drawn = _random_measured(pooled, measure, resamples, np.random.default_rng(seed))
    p_value, smallest = _p_value(drawn, observed, alternative, tolerance, exact=num_exact <= MAX_EXACT)
    mirrored = alternative == "two-sided" and splits == [column.size for column in columns_y]
    smallest = max(smallest, (2.0 if mirrored else 1.0) / num_exact)
    return Comparison(
        estimate + centre,
        p_value,
        "mean" if statistic == "welch_t" else statistic,
        f"permutation test{' of Welch t' if statistic == 'welch_t' else ''} "
        f"({'exact' if num_exact <= MAX_EXACT else 'Monte Carlo'})",
        alternative,
        min(splits),
        min(column.size for column in columns_y),
        smallest,
        resamples=None if num_exact <= MAX_EXACT else resamples,
        seed=None if num_exact <= MAX_EXACT else seed,
    )


def paired_permutation_test(
    x: ArrayLike, y: ArrayLike, *, alternative: str = "two-sided", resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Sign-flip test of the mean of x - y, where row i of both [seeds, environments] is one shared seed.

    A seed's differences are averaged over environments, and its sign flips as a whole. Exact up to 16 seeds. Assumes
    that x - y would be symmetric about 0 if x and y were equally good. Raises ValueError on NaN and where the shapes
    differ.
    """
    differences = seed_differences(x, y)
    check_name("alternative", alternative, ALTERNATIVES)
    scale = scale_of(np.asarray(x, np.float64), np.asarray(y, np.float64))
    if scale != 1.0:
        one, other = np.asarray(x, np.float64) / scale, np.asarray(y, np.float64) / scale
        scaled = paired_permutation_test(one, other, alternative=alternative, resamples=resamples, seed=seed)
        return rescaled(scaled, scale)
    check_resamples(resamples)
    n = differences.size
    is_exact = 2**n <= MAX_EXACT
    drawn = np.concatenate([signs @ differences for signs in sign_flips_in_parts(n, resamples, seed)]) / n
    # Rounding is relative to the scores, which may be large where their differences are small.
    tolerance = rounding_of([np.asarray(x, np.float64), np.asarray(y, np.float64)])
    p_value, smallest = _p_value(drawn, float(differences.mean()), alternative, tolerance, exact=is_exact)
    smallest = max(smallest, smallest_sign_flip_p(n) / (1.0 if alternative == "two-sided" else 2.0))
    return Comparison(
        float(differences.mean()),
        p_value,
        "mean",
        f"sign-flip test ({'exact' if is_exact else 'Monte Carlo'})",
        alternative,
        n,
        n,
        smallest,
        resamples=None if is_exact else resamples,
        seed=None if is_exact else seed,
    )


def _named(columns: Sequence[Floats]) -> dict[str, Floats]:
    """Columns as scores that cannot be taken for anything else."""
    return {str(place): column for place, column in enumerate(columns)}


def sign_flips_in_parts(num_blocks: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Signs [arrangements, num_blocks] of +-1: all of them up to 16 blocks, otherwise `resamples` random ones.

    Some arrangements after the other: all those of thousands of blocks would take hundreds of megabytes.
    """
    bits = _sign_bits(num_blocks, resamples, seed)
    rows = max(1, _CHUNK_VALUES // num_blocks)
    for start in range(0, len(bits), rows):
        yield np.asarray(1.0 - 2.0 * bits[start : start + rows], dtype=np.float64)


@lru_cache(maxsize=1)  # a report asks for the same ones for every comparison
def _sign_bits(num_blocks: int, resamples: int, seed: int) -> NDArray[np.int8]:
    if 2**num_blocks <= MAX_EXACT:
        return np.asarray((np.arange(2**num_blocks)[:, np.newaxis] >> np.arange(num_blocks)) & 1, dtype=np.int8)
    rng, bits = np.random.default_rng(seed), np.empty((resamples, num_blocks), np.int8)
    rows = max(1, _CHUNK_VALUES // num_blocks)
    for start in range(0, resamples, rows):
        part = bits[start : start + rows]
        part[:] = rng.integers(0, 2, size=part.shape)
    return bits


def smallest_sign_flip_p(num_blocks: int) -> float:
    """The smallest two-sided p-value of a sign-flip test over this many blocks: 0.0625 with 5. Never 0, however many there are."""
    return max(min(1.0, 2.0 ** (1 - num_blocks)), sys.float_info.min)


def _p_value(drawn: Floats, observed: float, alternative: str, tolerance: float, *, exact: bool) -> tuple[float, float]:
    """The p-value of `observed` among `drawn`, and the smallest that this many draws can give."""
    if alternative == "two-sided":
        hits = int((np.abs(drawn) >= abs(observed) - tolerance).sum())
    elif alternative == "greater":
        hits = int((drawn >= observed - tolerance).sum())
    else:
        hits = int((drawn <= observed + tolerance).sum())
    if exact:
        return hits / drawn.size, 1.0 / drawn.size
    return (1 + hits) / (1 + drawn.size), 1.0 / (1 + drawn.size)


def _difference(resampled: Sequence[Floats], splits: Sequence[int], aggregate: Statistic) -> Floats:
    """Aggregate of the first runs minus that of the others; one array [..., runs] per environment."""
    pairs = list(zip(resampled, splits, strict=True))
    return aggregate([values[..., :split] for values, split in pairs]) - aggregate(
        [values[..., split:] for values, split in pairs]
    )


def _welch_t(resampled: Sequence[Floats], splits: Sequence[int], rounding: float) -> Floats:
    """Welch's t of the first runs against the others, over all environments; infinite without any spread."""
    pairs = [(values[..., :split], values[..., split:]) for values, split in zip(resampled, splits, strict=True)]
    difference = np.sum([left.mean(axis=-1) - right.mean(axis=-1) for left, right in pairs], axis=0)
    variance = np.sum([side.var(axis=-1, ddof=1) / side.shape[-1] for pair in pairs for side in pair], axis=0)
    difference = np.where(np.abs(difference) <= rounding, 0.0, difference)
    error = np.sqrt(np.where(variance <= rounding**2, 0.0, variance))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0.0, 0.0, difference / error)


def _all_measured(pooled: Sequence[Floats], splits: Sequence[int], measure: Measure) -> Floats:
    """The statistic of every way to choose x's runs, over all environments together."""
    arranged = [_all_arrangements(values, split) for values, split in zip(pooled, splits, strict=True)]
    places = np.indices([len(part) for part in arranged]).reshape(len(arranged), -1)
    return measure([part[place] for part, place in zip(arranged, places, strict=True)])


def _all_arrangements(values: Floats, split: int) -> Floats:
    """Every choice of `split` of the values, the chosen ones first: [choices, runs]."""
    chosen = np.array(list(itertools.combinations(range(values.size), split)))
    is_left = np.ones((len(chosen), values.size), dtype=bool)
    np.put_along_axis(is_left, chosen, False, axis=1)
    others = np.nonzero(is_left)[1].reshape(len(chosen), -1)
    return values[np.concatenate([chosen, others], axis=1)]


def _random_measured(pooled: Sequence[Floats], measure: Measure, resamples: int, rng: np.random.Generator) -> Floats:
    chunk = max(1, _CHUNK_VALUES // sum(values.size for values in pooled))
    parts = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        parts.append(measure([rng.permuted(np.broadcast_to(values, (size, values.size)), axis=1) for values in pooled]))
    return np.concatenate(parts)


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
