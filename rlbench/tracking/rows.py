"""One run's rows in the one order in which W&B gets them, and the numbers of its summary.

In: pieces of the row tables of one run, as they are published. Out: rows under the names that a tracker shows,
sorted by env_steps and then by table, each exactly once; row n is step n of the W&B run. The order depends on what is
stored only, never on when it was seen: the rows at a run's last known env_steps are held back until the run has ended
or gone on, because another one may still join them. Knows nothing of W&B's client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rlbench.metrics import FINAL_WINDOW, LAST_EPISODES, of_run
from rlbench.rows import TABLES

Row = dict[str, int | float]
_PLACES = {table: place for place, table in enumerate(TABLES)}  # of rows at equal env_steps
_KEYS = {table: kind.tracked_keys() for table, kind in TABLES.items()}
_RETURN = {table: _KEYS[table]["episode_return"] for table in ("episodes", "evaluations")}


class RunRows:
    """The rows of one run. Feed `add`, take from `ready`."""

    def __init__(self, final_window: int = FINAL_WINDOW) -> None:
        self.num_rows = 0  # rows that `ready` has given so far
        self._final_window = final_window
        self._waiting: list[tuple[int, int, Row]] = []  # env_steps, table; and the row
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
        elif table in TABLES:
            given = [
                [int(value) for value in columns[column.name]] if column.kind is bool else columns[column.name]
                for column in TABLES[table].columns
            ]
            for values in zip(*given, strict=True):
                row = dict(zip(_KEYS[table].values(), values, strict=True))
                self._waiting.append((row["env_steps"], _PLACES[table], row))
        else:
            raise ValueError(f"unknown table {table!r}; it is one of {tuple(TABLES)}")

    def ready(self, *, is_final: bool) -> list[Row]:
        """The next rows in order: all that nothing can come before any more, or, of a run that ended, all."""
        frontier = self._latest + 1 if is_final else self._latest
        for at in [at for at in self._points if at < frontier]:
            returns = self._points.pop(at)
            row: Row = {
                "env_steps": at,
                (key := _RETURN["evaluations"]): fmean(returns),
                f"{key}_min": min(returns),
                f"{key}_max": max(returns),
            }
            self._waiting.append((at, _PLACES["evaluations"], row))
        self._waiting.sort(key=lambda entry: entry[:2])
        rows = [row for at, _, row in self._waiting if at < frontier]
        del self._waiting[: len(rows)]
        self.num_rows += len(rows)
        for row in rows:
            if _RETURN["evaluations"] in row:
                self._point_means.append(row[_RETURN["evaluations"]])
            elif _RETURN["episodes"] in row:
                self._last_returns.append(row[_RETURN["episodes"]])
        return rows

    def measures(self) -> dict[str, float]:
        """final_return, auc and train_return_last100 of the rows given so far; what has no rows is left out."""
        return of_run(self._point_means, list(self._last_returns), self._final_window)
