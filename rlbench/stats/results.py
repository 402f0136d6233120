"""What the statistics return where one number does not say it all: frozen values that say how they were made.

Holds no computation. Every result carries its estimate, its method and its number of runs, and where randomness was used
the seed, so that each printed number can be traced and computed again.
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from rlbench.stats.scores import Floats

Range = tuple[float, float]  # the lowest and the highest that a score can be
T = TypeVar("T", "Interval", "Band", "Comparison")


@dataclass(frozen=True)
class Interval:
    """An estimate with an interval around it; `low` and `high` are NaN where a single run allows none."""

    estimate: float
    low: float
    high: float
    statistic: str  # what is estimated: "iqm", "mean", "probability_of_improvement" ...
    method: str  # "Student t", "percentile bootstrap", "none (one run)" ...
    n: int  # runs; the fewest on any environment or side
    level: float
    resamples: int | None = None
    seed: int | None = None
    is_cut: bool = False  # at an end of the possible range


@dataclass(frozen=True)
class Band:
    """Intervals over a grid: each array is [points]; `method` says whether they hold at each point or all at once."""

    estimate: Floats
    low: Floats
    high: Floats
    statistic: str
    method: str
    n: int
    level: float
    resamples: int | None = None
    seed: int | None = None
    is_cut: bool = False  # at an end of the possible range, somewhere


@dataclass(frozen=True)
class Comparison:
    """A test of x against y: the difference x - y, its p-value, and the smallest p-value that the test could give."""

    estimate: float  # in the units of `statistic`, x against y
    p_value: float
    statistic: str  # "mean", "iqm" or "probability_of_improvement"
    method: str
    alternative: str  # "two-sided", "greater" (x above y) or "less"
    n_x: int  # runs; the fewest on any environment
    n_y: int
    smallest_p: float  # no data of these sizes could give less
    low: float | None = None  # an interval of the difference, where the method has one
    high: float | None = None
    level: float | None = None
    resamples: int | None = None  # None: every arrangement was counted
    seed: int | None = None

    def can_reject(self, level: float) -> bool:
        """Whether any data of these sizes could reject at this level; where not, a large p-value says nothing."""
        return self.smallest_p <= level


def rescaled(result: T, scale: float) -> T:
    """The result in the units of scores that were divided by `scale`."""
    named = {field.name: getattr(result, field.name) for field in fields(result)}
    with np.errstate(over="ignore"):  # a sum of the largest floats is infinite, and says so
        ends = {name: named[name] * scale for name in ("estimate", "low", "high") if named[name] is not None}
    return replace(result, **ends)
