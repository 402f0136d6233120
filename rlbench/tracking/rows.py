"""One run's rows in the one order in which W&B gets them, and the numbers of its summary.

In: pieces of the tables `episodes`, `evaluations` and `diagnostics` of one run, as they are published. Out: W&B rows,
sorted by env_steps and then by table, each exactly once; row n is step n of the W&B run. The order depends on what is
stored only, never on when it was seen: the rows at a run's last known env_steps are held back until the run has ended
or gone on, because another one may still join them. Knows nothing of W&B's client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rlbench.store.results import FINAL_WINDOW, LAST_EPISODES

Row = dict[str, int | float]
TABLES = ("episodes", "evaluations", "diagnostics")  # also the order of rows at equal env_steps
_DIAGNOSTICS = ("updates", "loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance")


class RunRows:
    """The rows of one run. Feed `add`, take from `ready`."""

    def __init__(self, final_window: int = FINAL_WINDOW) -> None:
        self.num_rows = 0  # rows that `ready` has given so far
        self._final_window = final_window
        self._waiting: list[tuple[int, int, int, Row]] = []  # env_steps, table, episode; and the row
        self._points: dict[int, list[float]] = {}  # env_steps -> returns of an evaluation that is not complete yet
        self._latest = -1
        self._point_means: list[float] = []
        self._last_returns: deque[float] = deque(maxlen=LAST_EPISODES)

    def add(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take newly published rows of one table: column -> values."""
        steps = columns["env_steps"]
        self._latest = max(self._latest, *steps) if len(steps) else self._latest
        if table == "evaluations":
            for at, value in zip(steps, columns["episode_return"], strict=True):
                self._points.setdefault(at, []).append(value)
        elif table == "episodes":
            names = ("episode", "length", "episode_return", "terminated")
            for at, episode, length, value, terminated in zip(steps, *(columns[name] for name in names), strict=True):
                row = {
                    "env_steps": at,
                    "episode/index": episode,
                    "episode/return": value,
                    "episode/length": length,
                    "episode/terminated": int(terminated),
                }
                self._waiting.append((at, TABLES.index(table), episode, row))
        elif table == "diagnostics":
            keys = ["env_steps", *(f"diagnostics/{name}" for name in _DIAGNOSTICS)]
            for values in zip(steps, *(columns[name] for name in _DIAGNOSTICS), strict=True):
                self._waiting.append((values[0], TABLES.index(table), 0, dict(zip(keys, values, strict=True))))
        else:
            raise ValueError(f"unknown table {table!r}; it is one of {TABLES}")

    def ready(self, *, is_final: bool) -> list[Row]:
        """The next rows in order: all that nothing can come before any more, or, of a run that ended, all."""
        frontier = self._latest + 1 if is_final else self._latest
        for at in [at for at in self._points if at < frontier]:
            returns = self._points.pop(at)
            row: Row = {
                "env_steps": at,
                "evaluation/return": fmean(returns),
                "evaluation/return_min": min(returns),
                "evaluation/return_max": max(returns),
            }
            self._waiting.append((at, TABLES.index("evaluations"), 0, row))
        self._waiting.sort(key=lambda entry: entry[:3])
        rows = [row for at, _, _, row in self._waiting if at < frontier]
        del self._waiting[: len(rows)]
        self.num_rows += len(rows)
        for row in rows:
            if "evaluation/return" in row:
                self._point_means.append(row["evaluation/return"])
            elif "episode/return" in row:
                self._last_returns.append(row["episode/return"])
        return rows

    def measures(self) -> dict[str, float]:
        """final_return, auc and train_return_last100 of the rows given so far; what has no rows is left out."""
        means, returns = self._point_means, self._last_returns
        found: dict[str, float] = {}
        if means:
            found |= {"final_return": fmean(means[-self._final_window :]), "auc": fmean(means)}
        if returns:
            found["train_return_last100"] = fmean(returns)
        return found
