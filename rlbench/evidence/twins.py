"""Runs that share one curve where that cannot be chance: copied files, or seeds that were not used.

In: rows of the table `runs` and curves. Out: sentences. Knows nothing of whose results they are.
"""

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from rlbench.evidence.source import shortened_list

_COINCIDENCE = 1e-6  # the chance at which equal curves stop being possible chance


def curves_of(evaluations: pd.DataFrame) -> dict[str, pd.Series]:
    """run_id -> mean return by env_steps."""
    points = evaluations.groupby(["run_id", "env_steps"])["episode_return"].mean()
    return {str(run_id): rows.droplevel("run_id") for run_id, rows in points.groupby("run_id")}


def twins(done: pd.DataFrame, curves: Mapping[str, pd.Series]) -> Iterator[str]:
    """A sentence for each group of runs with one curve, if points were equal as often as any two points here are."""
    for env, rows in done.groupby("env", sort=False):
        own = {run_id: curves[run_id] for run_id in rows["run_id"] if run_id in curves}
        if len(own) < 2:
            continue
        telling = _telling_length(own)
        names = {row.run_id: f"{row.variant} seed {row.seed}" for row in rows.itertuples()}
        groups: dict[bytes, list[str]] = {}
        for run_id, curve in own.items():
            if len(curve) >= telling:
                key = curve.index.to_numpy().tobytes() + curve.to_numpy().tobytes()
                groups.setdefault(key, []).append(names[run_id])
        for group in groups.values():
            if len(group) > 1:
                yield f"{env}: {shortened_list(group)} have one and the same curve"


def _telling_length(curves: Mapping[str, pd.Series]) -> float:
    """The number of points from which on two equal curves among these are no coincidence."""
    values = pd.concat(curves.values())
    counts, total = values.value_counts().to_numpy(), len(values)
    if total < 2:
        return math.inf
    equal = max(float((counts * (counts - 1)).sum()) / (total * (total - 1)), 1.0 / total**2)
    pairs = len(curves) * (len(curves) - 1) / 2
    return math.log(_COINCIDENCE / pairs) / math.log(equal) if equal < 1.0 else math.inf
