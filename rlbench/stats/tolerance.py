"""Where does the next run land: tolerance intervals that hold a share of all runs with an exact confidence.

In: values [runs]. Out: a `Tolerance`. Assumes nothing of the law of the runs but independence. Never: claims a confidence
that this many runs cannot give.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rlbench.stats.scores import check_fraction, check_name, one_column

SIDES = ("both", "lower", "upper")


@dataclass(frozen=True)
class Tolerance:
    """An interval between two ordered runs, and the confidence with which it holds the share `content` of all runs."""

    low: float  # -inf for an upper bound
    high: float  # inf for a lower bound
    content: float
    confidence: float  # what the interval has; at least what was asked for unless `is_short`
    is_short: bool  # too few runs for the confidence asked for
    side: str
    method: str
    n: int


def tolerance_interval(
    values: ArrayLike,
    content: float = 0.9,
    confidence: float = 0.95,
    *,
    side: str = "both",
    too_few: str = "refuse",
) -> Tolerance:
    """Interval that holds at least the share `content` of future runs, with exact `confidence`; values [runs].

    Between ordered values, whatever the law (Wilks 1941): the narrowest in rank that has the confidence, for which
    continuous laws are exact and laws with ties hold more. `side` "lower" bounds from below only, "upper" from above.
    Where even the extremes have less (below 46 runs for 0.9 with 0.95): `too_few` "refuse" is a ValueError that says
    how many runs it needs, "relabel" gives the extremes with the confidence that they do have. Raises ValueError on NaN.
    """
    ordered = np.sort(one_column(values))
    check_fraction("content", content)
    check_fraction("confidence", confidence)
    check_name("side", side, SIDES)
    check_name("too_few", too_few, ("refuse", "relabel"))
    n = ordered.size
    # The content between two ordered runs `gap` ranks apart is Beta(gap, n + 1 - gap); a side left open is a rank more.
    widest = n - 1 if side == "both" else n
    gaps = np.arange(1, widest + 1)
    reached = special.betaincc(gaps, n + 1 - gaps, content)
    is_short = not (reached >= confidence).any()
    if is_short and too_few == "refuse":
        raise ValueError(
            f"{n} runs cannot bound a share of {content:g} with confidence {confidence:g}: it takes "
            f"{_runs_needed(content, confidence, side)}; too_few='relabel' gives the extremes and their own confidence"
        )
    gap = widest if is_short else int(gaps[np.argmax(reached >= confidence)])
    if side == "both":
        first = (n - gap + 1) // 2
        low, high = (float(ordered[first - 1]), float(ordered[first + gap - 1])) if gap else (ordered[0], ordered[0])
    elif side == "lower":
        low, high = float(ordered[n - gap]), math.inf
    else:
        low, high = -math.inf, float(ordered[gap - 1])
    actual = float(reached[gap - 1]) if gap else 0.0
    return Tolerance(float(low), float(high), content, actual, is_short, side, "order statistics (Wilks)", n)


def _runs_needed(content: float, confidence: float, side: str) -> int:
    n = 2 if side == "both" else 1
    while special.betaincc(n - (side == "both"), 1 + (side == "both"), content) < confidence:
        n += 1
    return n
