"""What every statistic takes: scores, one number per run and environment, checked before anything is computed.

In: scores as [runs, environments], as [runs] for one environment, or as a mapping environment -> [runs]. Out: one float64
array [runs] per environment. Never: drops a NaN, guesses which of two rows of one run counts, takes a list of arrays for
one or the other, or treats episodes as runs; these are a ValueError.
"""

import math
from collections.abc import Mapping, Sequence, Sized

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Scores = ArrayLike | Mapping[str, ArrayLike]
# A square of numbers between these is an ordinary float.
_SMALL, _LARGE = 1e-120, 1e120
DUPLICATES = ("error", "mean", "first", "last")


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


def checked_columns(scores: Scores) -> list[Floats]:
    """Return one array [runs] float64 per environment, which may differ in length; raises as `checked_scores` does.

    A mapping environment -> [runs] is one array per environment, whatever their lengths, and so is a list of unequal lengths,
    which is no table; everything else is [runs, environments]. A list of arrays of one length could mean either, and is a
    ValueError.
    """
    if isinstance(scores, Mapping):
        ragged = list(scores.values())
    elif isinstance(scores, list | tuple) and len({_length(part) for part in scores}) > 1:
        ragged = list(scores)
    else:
        check_unambiguous(scores)
        return list(np.ascontiguousarray(checked_scores(scores).T))
    if not ragged:
        raise ValueError("scores are empty: no environments")
    return [one_column(part) for part in ragged]


def check_unambiguous(scores: ArrayLike) -> None:
    """Raise ValueError on a list of arrays, whose rows may be runs or environments, and on a list of unequal lengths."""
    if not isinstance(scores, list | tuple):
        return
    lengths = {_length(part) for part in scores}
    if len(lengths) > 1 or any(isinstance(part, Sized) and not isinstance(part, list | tuple) for part in scores):
        raise ValueError(
            "a list of arrays may have a row per run or per environment: give one array [runs, environments], "
            "or a mapping environment -> [runs]"
        )


def one_column(values: ArrayLike) -> Floats:
    """Return values [runs] float64; raises ValueError on NaN, on none, and on more than one number a run."""
    checked = checked_scores(values)
    if checked.shape[1] != 1:
        raise ValueError(f"values must be [runs], one number a run, not of shape {checked.shape}")
    return checked[:, 0]


def matching_columns(x: Scores, y: Scores) -> tuple[list[Floats], list[Floats]]:
    """Return the columns of two sides on the same environments; raises ValueError where those differ."""
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        if set(x) != set(y):
            raise ValueError(f"x and y must be on the same environments; only one has {sorted(set(x) ^ set(y))}")
        y = {name: y[name] for name in x}
    columns_x, columns_y = checked_columns(x), checked_columns(y)
    if len(columns_x) != len(columns_y):
        raise ValueError(f"x has {len(columns_x)} environments and y has {len(columns_y)}; they must be the same")
    return columns_x, columns_y


def seed_differences(x: ArrayLike, y: ArrayLike) -> Floats:
    """Return x - y per seed [seeds], averaged over environments; row i of both [seeds, environments] is one seed."""
    differences, scale = scaled_differences(x, y)
    with np.errstate(over="ignore"):  # two of the largest floats are further apart than there are floats
        return differences * scale


def scaled_differences(x: ArrayLike, y: ArrayLike) -> tuple[Floats, float]:
    """Return `seed_differences` of scores that were divided by their scale, and that scale."""
    check_unambiguous(x)
    check_unambiguous(y)
    checked_x, checked_y = checked_scores(x), checked_scores(y)
    if checked_x.shape != checked_y.shape:
        raise ValueError(
            f"paired scores must have the same seeds and environments: shapes {checked_x.shape} and {checked_y.shape}"
        )
    check_finite(checked_x, checked_y)
    scale = scale_of(checked_x, checked_y)
    return np.asarray((checked_x / scale - checked_y / scale).mean(axis=1)), scale


def check_finite(*parts: Floats) -> None:
    """Raise ValueError on an infinite score: it has no mean, and no arrangement of it any other."""
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError(
            "scores hold an infinity, which has no mean; a run that diverged still has an order: "
            "see statistic='probability_of_improvement'"
        )


def without_duplicates(frame: pd.DataFrame, value: str, keys: list[str], duplicates: str) -> pd.DataFrame:
    """Return the columns `keys` and `value` with one row per key.

    Two rows of one key are usually episodes or a run that was counted twice: a ValueError, unless `duplicates` says how
    they count ("mean", "first" or "last"). Raises ValueError on NaN, on a missing column and on an empty frame.
    """
    check_name("duplicates", duplicates, DUPLICATES)
    missing = [name for name in [*keys, value] if name not in frame.columns]
    if missing:
        raise ValueError(f"the frame has no column {missing}; it has {list(frame.columns)}")
    kept = frame[[*keys, value]]
    if kept.empty:
        raise ValueError("the frame is empty")
    num_nan = int(kept.isna().to_numpy().sum())
    if num_nan:
        raise ValueError(f"the frame holds {num_nan} NaN: a run without a score has to be counted, not averaged")
    repeated = kept.duplicated(keys)
    if not repeated.any():
        return kept
    if duplicates == "error":
        example = kept.loc[repeated, keys].iloc[0].to_dict()
        raise ValueError(
            f"{int(repeated.sum())} rows repeat a run, the first {example}: episodes are no runs; "
            f"give one row a run, or say how they count with duplicates='mean', 'first' or 'last'"
        )
    return kept.groupby(keys, sort=False, as_index=False)[value].agg(duplicates)


def check_name(what: str, name: str, allowed: Sequence[str]) -> None:
    """Raise ValueError where `name` is none of `allowed`."""
    if name not in allowed:
        raise ValueError(f"unknown {what} {name!r}; one of {', '.join(allowed)}")


def check_fraction(what: str, value: float) -> None:
    """Raise ValueError where `value` does not lie strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{what} must lie between 0 and 1, not {value}")


def check_resamples(resamples: int) -> None:
    """Raise ValueError below one resample."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")


def rounding_of(parts: Sequence[Floats]) -> float:
    """How far two sums of the same scores in another order may differ: such sums are equal."""
    return 32.0 * float(np.finfo(np.float64).eps) * max(float(np.abs(part).max()) for part in parts)


def scale_of(*parts: Floats) -> float:
    """A power of two to divide scores by before they are squared or summed, and to multiply their mean by afterwards.

    It is 1 unless they are so large, or so small, that a square or a sum could leave the range of a float. Dividing by a power
    of two rounds nothing, so a scaled statistic has the same digits.
    """
    largest = max(float(np.abs(part).max(initial=0.0, where=np.isfinite(part))) for part in parts)
    if largest == 0.0 or _SMALL < largest < _LARGE:
        return 1.0
    return math.ldexp(1.0, min(math.frexp(largest)[1], 1023))


def tails(level: float) -> tuple[float, float]:
    """Return the two quantiles that leave a central `level` between them."""
    check_fraction("level", level)
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0


def _length(part: object) -> int:
    """The length of one part of a list of scores; 0 for a plain number."""
    return len(part) if isinstance(part, Sized) else 0
