"""One number for many runs: the mean and the interquartile mean (IQM) of scores.

In: scores [runs, environments] float, one value per run and environment (a single environment may be given as [runs]).
Out: a plain float. Never: reads episodes, drops a NaN, or normalises; a NaN or an empty array is a ValueError.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def checked_scores(scores: ArrayLike) -> Floats:
    """Return scores as [runs, environments] float64; raises ValueError on NaN, on no runs, and on any other shape."""
    checked = np.asarray(scores, dtype=np.float64)
    if checked.ndim == 1:
        checked = checked[:, np.newaxis]
    if checked.ndim != 2:
        raise ValueError(f"scores must be [runs, environments] or [runs], not of shape {checked.shape}")
    if checked.size == 0:
        raise ValueError(f"scores are empty: shape {checked.shape}")
    num_nan = int(np.isnan(checked).sum())
    if num_nan:
        raise ValueError(f"scores hold {num_nan} NaN: a run without a score has to be counted, not averaged")
    return checked


def trimmed_mean_in_place(values: Floats) -> Floats:
    """Mean of the last axis without its lowest and highest floor(n / 4) values; reorders `values` [..., n]."""
    count = values.shape[-1]
    cut = count // 4
    if cut:
        values.partition((cut, count - cut - 1), axis=-1)
    middle = values[..., cut : count - cut]
    # With infinities of both signs left in the middle the mean is undefined; NaN says so without a warning.
    with np.errstate(invalid="ignore"):
        return np.asarray(middle.mean(axis=-1))


def _pooled_iqm(scores: Floats) -> Floats:
    return trimmed_mean_in_place(scores.reshape(*scores.shape[:-2], -1).copy())


def _pooled_mean(scores: Floats) -> Floats:
    return np.asarray(scores.mean(axis=(-2, -1)))


# Each takes [..., runs, environments] and returns [...]; the bootstrap calls them on many resamples at once.
AGGREGATES: dict[str, Callable[[Floats], Floats]] = {"iqm": _pooled_iqm, "mean": _pooled_mean}


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean of scores [runs, environments], pooled over both (Agarwal et al. 2021, section 4.3).

    The lowest and the highest floor(n / 4) of the n pooled values are cut, as `scipy.stats.trim_mean(x, 0.25)` does:
    with 3 values it is the mean. Raises ValueError on NaN and on empty scores.
    """
    return float(_pooled_iqm(checked_scores(scores)))
