"""The rows that a run leaves: every column of every table, declared once.

From here follow what the lanes record, the schemas of the store, what a run's digest covers and in which order, and the
names that a tracker gets. A column of the diagnostics says how it is measured too: a new one is an entry here and nothing
else, as long as it is measured on what a lane holds between two updates. What came after the first stores is marked `later`:
no digest covers it, and rows that were written before have no number (NaN) there. Imports neither torch nor Arrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Column:
    """A column of a row table. tracked: its name at a tracker, behind that of its table."""

    name: str
    kind: type[bool] | type[int] | type[float]
    meaning: str
    tracked: str = ""
    later: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Raises ValueError for a later column that cannot say that it has no number."""
        if self.later and self.kind is not float:
            raise ValueError(f"{self.name}: a later column is of float, which can be NaN in the rows written before")


@dataclass(frozen=True)
class MeasuredLane:
    """A lane as its diagnostics see it.

    online, target: weights [1, ...], none where there is no such network. of_update: figures of the latest update by column,
    NaN before the first, none where nothing is learned.
    """

    env_steps: int
    updates: int
    epsilon: float
    of_update: Mapping[str, float]
    online: Sequence[Tensor]
    target: Sequence[Tensor]


@dataclass(frozen=True)
class Diagnostic(Column):
    """A column of the diagnostics. measure: its value; without one, it is a figure of the update."""

    measure: Callable[[MeasuredLane], float] | None = None

    def of(self, lane: MeasuredLane) -> float:
        """Its value for a lane."""
        return lane.of_update.get(self.name, math.nan) if self.measure is None else self.measure(lane)


def target_distance(lane: MeasuredLane) -> float:
    """Euclidean; 0 without a target network, and no number where nothing is learned."""
    from rlbench import exact

    if not lane.online:
        return math.nan
    apart = [online - target for online, target in zip(lane.online, lane.target, strict=False)]
    return float(exact.square_sums(apart)) ** 0.5 if apart else 0.0


EPISODES = (
    Column("episode", int, "its number within the run, from 0", "index"),
    Column("env_steps", int, "environment steps at its end"),
    Column("length", int, "its steps"),
    Column("episode_return", float, "undiscounted sum of its rewards", "return"),
    Column("terminated", bool, "whether it ended by itself, not by a time limit"),
)
EVALUATIONS = (
    Column("env_steps", int, "environment steps when it was played"),
    Column("episode", int, "its number within the evaluation, from 0"),
    Column("episode_return", float, "undiscounted sum of its rewards", "return"),
    Column("length", int, "its steps"),
)
DIAGNOSTICS = (
    Diagnostic("env_steps", int, "environment steps so far", measure=lambda lane: lane.env_steps),
    Diagnostic("updates", int, "updates so far", measure=lambda lane: lane.updates),
    Diagnostic("loss", float, "mean loss of the latest minibatch"),
    Diagnostic("q_mean", float, "mean value of the actions taken in it"),
    Diagnostic("q_max", float, "largest value of any action in it"),
    Diagnostic("grad_norm", float, "Euclidean norm of its gradient, before clipping"),
    Diagnostic(
        "epsilon", float, "probability of a random action at the latest step", measure=lambda lane: lane.epsilon
    ),
    Diagnostic("target_distance", float, "distance of the online from the target weights", measure=target_distance),
)
OF_UPDATE = tuple(column.name for column in DIAGNOSTICS if column.measure is None)


@dataclass(frozen=True)
class RowTable:
    """A table of rows. order: by which columns a run's rows are sorted. tracked: what its columns' names begin with at a tracker."""

    columns: tuple[Column, ...]
    order: tuple[str, ...]
    tracked: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def tracked_keys(self) -> dict[str, str]:
        """Column -> its whole name at a tracker. `env_steps` is the axis of every table and stands alone."""
        return {
            column.name: column.name
            if column.name == "env_steps"
            else f"{self.tracked}/{column.tracked or column.name}"
            for column in self.columns
        }


# Also the order in which a tracker gets the rows of equal env_steps.
TABLES = {
    "episodes": RowTable(EPISODES, ("episode",), "episode"),
    "evaluations": RowTable(EVALUATIONS, ("env_steps", "episode"), "evaluation"),
    "diagnostics": RowTable(DIAGNOSTICS, ("env_steps",), "diagnostics"),
}


@dataclass(frozen=True)
class Plot:
    """How a column of the diagnostics is plotted. title: within a sentence. tracked: its title at a tracker, where that is another one."""

    title: str
    is_log: bool = field(default=False, kw_only=True)
    tracked: str = field(default="", kw_only=True)

    @property
    def heading(self) -> str:
        """The title where a sentence begins with it."""
        return f"{self.title[0].upper()}{self.title[1:]}"


# Column -> plot, in the order of the report's page.
PLOTS = {
    "q_mean": Plot("mean Q of the minibatch", tracked="Mean Q-value"),
    "loss": Plot("loss", is_log=True),
    "grad_norm": Plot("gradient norm", is_log=True),
}
