"""The median of all differences between two sides, of which there are as many as the product of their runs.

In: finite values of both sides. Out: exactly what the median of the table of differences is. Never: holds that table where it is large.
"""

import numpy as np
from numpy.typing import NDArray

from rlbench.stats.scores import Floats

_MOST_HELD = 1 << 22  # differences, 32 MB


def median_difference(x: Floats, y: Floats) -> float:
    """The median of x_i - y_j over all pairs of x [runs] and y [runs]."""
    num_pairs = x.size * y.size
    if num_pairs <= _MOST_HELD or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float(np.median(np.subtract.outer(x, y)))
    x, falling = np.sort(x), np.sort(y)[::-1]
    middle = {(num_pairs - 1) // 2, num_pairs // 2}
    return float(np.mean([_ranked(x, falling, rank) for rank in sorted(middle)]))


def _ranked(x: Floats, falling: Floats, rank: int) -> float:
    """The difference above which so many others are not: the smallest float that enough differences do not exceed."""
    low, high = (_place(np.float64(end)) for end in (x[0] - falling[0], x[-1] - falling[-1]))
    while low < high:
        between = low + (high - low) // 2
        if _num_up_to(x, falling, _float(between)) > rank:
            high = between
        else:
            low = between + 1
    return float(_float(low))


def _num_up_to(x: Floats, falling: Floats, limit: np.float64) -> int:
    """How many differences do not exceed a limit. Those of one x ascend along `falling`, rounded as they are."""
    first, last = np.zeros(x.size, np.int64), np.full(x.size, falling.size)
    while (open_ := first < last).any():
        middle = (first + last) // 2
        is_up_to = x - falling[np.minimum(middle, falling.size - 1)] <= limit
        first = np.where(open_ & is_up_to, middle + 1, first)
        last = np.where(open_ & ~is_up_to, middle, last)
    return int(first.sum())


def _place(value: np.float64) -> int:
    """Where a float stands among all floats in order."""
    bits = int(value.view(np.int64))
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _float(place: int) -> np.float64:
    """The float at a place."""
    bits: NDArray[np.int64] = np.array(place if place >= 0 else -place, np.int64)
    return np.float64(bits.view(np.float64)) * (1.0 if place >= 0 else -1.0)
