"""How many seeds: the smallest effect that a number of runs can show, and the runs that a given effect needs.

In: plain numbers, the spread from a pilot. Out: plain numbers, for a two-sided t test of two variants, per environment.
Never: takes the effect from the pilot; it is the smallest that would matter, declared by whoever asks.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rlbench.stats.permutation import smallest_sign_flip_p
from rlbench.stats.scores import check_fraction, one_column, scale_of, seed_differences

_MOST_SEEDS = 1_000_000


def minimum_detectable_effect(
    sd: float, n: int, *, paired: bool = False, level: float = 0.05, power: float = 0.8, comparisons: int = 1
) -> float:
    """Smallest difference of means that n runs per variant (n seeds, if paired) find with probability `power`.

    `sd` is one variant's spread over runs, or, paired, that of the differences (see `pilot_sd`). Noncentral t, at
    level / `comparisons`, the first step of Holm's procedure. Infinite where the permutation test of this size could
    never reject: 5 shared seeds at 0.05, or 8 among seven comparisons. Raises ValueError on impossible arguments.
    """
    _check(sd, level, power, comparisons)
    if n < 2:
        raise ValueError(f"n must be at least 2 runs, not {n}")
    if not _can_reject(n, paired, level / comparisons):
        return math.inf
    error = _standard_error(sd, n, paired)
    if error == 0.0:
        return 0.0
    return error * _smallest(lambda shift: _power(shift, _freedom(n, paired), level / comparisons) >= power)


def seeds_needed(
    effect: float, sd: float, *, paired: bool = False, level: float = 0.05, power: float = 0.8, comparisons: int = 1
) -> int:
    """Runs per variant (shared seeds, if paired) that find a difference of means `effect` with probability `power`.

    The inverse of `minimum_detectable_effect`, with the same arguments. Raises ValueError on an effect of 0, and where
    more than a million would be needed.
    """
    _check(sd, level, power, comparisons)
    if not effect != 0.0 or math.isnan(effect):
        raise ValueError("effect must differ from 0: no number of runs shows a difference that is not there")
    enough = 2
    while not _shows(enough, effect, sd, paired, level / comparisons, power):
        enough *= 2
        if enough > _MOST_SEEDS:
            raise ValueError(f"an effect of {effect:g} at a spread of {sd:g} needs more than {_MOST_SEEDS} runs")
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if _shows(middle, effect, sd, paired, level / comparisons, power):
            enough = middle
        else:
            too_few = middle
    return enough


def pilot_sd(
    x: ArrayLike, y: ArrayLike | None = None, *, paired: bool = False, confidence: float | None = None
) -> float:
    """Spread for the two functions above from pilot runs x [runs] and y [runs], pooled; or of x - y where paired.

    With `confidence`, the upper confidence limit instead: a pilot of 5 runs underestimates the spread half the time,
    and a plan on its limit at 0.8 rarely ends underpowered (Browne 1995). Raises ValueError on NaN and below 2 runs.
    """
    if paired:
        if y is None:
            raise ValueError("paired pilot runs need both x and y")
        sides = [seed_differences(x, y)]
    else:
        sides = [one_column(side) for side in (x, y) if side is not None]
    freedom = sum(side.size - 1 for side in sides)
    if min(side.size for side in sides) < 2:
        raise ValueError("a spread needs at least 2 pilot runs on each side")
    scale = scale_of(*sides)
    sides = [side / scale for side in sides]
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / freedom
    if confidence is None:
        return scale * math.sqrt(variance)
    check_fraction("confidence", confidence)
    return scale * math.sqrt(variance * freedom / float(special.chdtri(freedom, confidence)))


def _shows(n: int, effect: float, sd: float, paired: bool, level: float, power: float) -> bool:
    if not _can_reject(n, paired, level):
        return False
    error = _standard_error(sd, n, paired)
    return error == 0.0 or _power(abs(effect) / error, _freedom(n, paired), level) >= power


def _standard_error(sd: float, n: int, paired: bool) -> float:
    return sd * math.sqrt((1.0 if paired else 2.0) / n)


def _freedom(n: int, paired: bool) -> int:
    return n - 1 if paired else 2 * (n - 1)


def _can_reject(n: int, paired: bool, level: float) -> bool:
    """Whether the sign-flip test, or the exchange of n runs a side, has a p-value as small as the level."""
    if paired:
        return smallest_sign_flip_p(n) <= level
    return n > 30 or 2.0 / math.comb(2 * n, n) <= level


def _power(shift: float, freedom: int, level: float) -> float:
    """Power of the two-sided t test whose statistic is noncentral by `shift` standard errors."""
    critical = float(special.stdtrit(freedom, 1.0 - level / 2.0))
    if shift > critical + 8.0:
        return 1.0
    # SciPy gives NaN for a tail too small for its algorithm, below 2e-7 wherever it was seen.
    opposite = np.nan_to_num(special.nctdtr(freedom, shift, -critical), nan=0.0)
    return float(1.0 - special.nctdtr(freedom, shift, critical) + opposite)


def _smallest(is_enough: Callable[[float], bool]) -> float:
    """The shift at which `is_enough` turns true, by bisection to the last bits."""
    low, high = 0.0, 1.0
    while not is_enough(high):
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _check(sd: float, level: float, power: float, comparisons: int) -> None:
    check_fraction("level", level)
    check_fraction("power", power)
    if power <= level:
        raise ValueError(f"power {power} must be above the level {level}")
    if not (sd >= 0.0 and np.isfinite(sd)):
        raise ValueError(f"sd must be a spread, 0 or more, not {sd}")
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, not {comparisons}")
