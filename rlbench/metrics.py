"""The numbers that stand for a run: `final_return`, `auc` and `train_return_last100`, each defined here and nowhere else.

In: the mean returns of a run's evaluation points in their order, and the returns of its training episodes. Out: means of them;
of one run as it goes on, or of many at once as a table. Imports neither torch nor, until it is given a table, pandas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FINAL_WINDOW = 5  # evaluation points, unless the experiment's definition says otherwise
LAST_EPISODES = 100
METRICS = {"final_return": "final return", "auc": "area under the curve"}  # by which variants can be compared
MEASURES = (*METRICS, "train_return_last100")


def final_window(definition: Mapping[str, Any]) -> int:
    """That of an experiment's stored definition."""
    return int(definition.get("final_window") or FINAL_WINDOW)


def of_curve(metric: str, points: Sequence[float], window: int = FINAL_WINDOW) -> float:
    """A metric of one run: the mean of its last `window` evaluation points, or of all of them. Raises KeyError for another one."""
    return fmean({"final_return": points[-window:], "auc": points}[metric])


def of_run(points: Sequence[float], returns: Sequence[float], window: int = FINAL_WINDOW) -> dict[str, float]:
    """The measures of one run; what it has no rows for is left out.

    points: mean returns of its evaluation points. returns: of its training episodes.
    """
    found = {metric: of_curve(metric, points, window) for metric in METRICS} if points else {}
    return found | ({"train_return_last100": fmean(returns[-LAST_EPISODES:])} if returns else {})


def of_runs(evaluations: pd.DataFrame, episodes: pd.DataFrame, windows: Mapping[str, int]) -> pd.DataFrame:
    """The measures of many runs, indexed by run_id; NaN where a run has no rows.

    evaluations, episodes: rows in the order of each run's time. windows: run_id -> evaluation points that `final_return` averages.
    """
    import pandas as pd

    points = evaluations.groupby(["run_id", "env_steps"])["episode_return"].mean()
    found = pd.DataFrame(index=[*windows], columns=[*MEASURES], dtype=float)
    from_the_end = points.groupby("run_id").cumcount(ascending=False).to_numpy()
    window_of = pd.Series(windows, dtype=float).reindex(points.index.levels[0]).to_numpy()
    last = points[from_the_end < window_of[points.index.codes[0]]]
    found["final_return"] = last.groupby("run_id").mean()
    found["auc"] = points.groupby("run_id").mean()
    last_episodes = episodes.groupby("run_id").tail(LAST_EPISODES)
    found["train_return_last100"] = last_episodes.groupby("run_id")["episode_return"].mean()
    return found
