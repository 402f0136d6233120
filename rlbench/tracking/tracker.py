"""The port through which runs are shown elsewhere: what the mirror asks of a tracker, and nothing about any of them.

A tracker is one class of each kind declared here, `Tracker`, `OpenRun` and its settings, and an entry in
`rlbench.tracking.trackers`. It gets each run's rows in one order, row n as step n, and may be killed at any moment: what it
had not finished is then shown anew. Never reads the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from rlbench.errors import RlbenchError

Row = dict[str, int | float]  # `env_steps`, and names as in `rlbench.rows`


class TrackingError(RlbenchError):
    """A tracker could not be reached, or did not take what it was given. What is stored is not affected."""

    exit_code = 3


class TrackerSettings(Protocol):
    """The `NAME.*` keys of a tracker: a frozen dataclass of JSON-able fields that raises ConfigError for impossible values.

    Each field's metadata has its `meaning`, and `allowed` where only some values are. Holds no secret: it is written down.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def is_enabled(self) -> bool:
        """Whether anything is shown at all."""

    @property
    def needs_login(self) -> bool:
        """Whether it can turn out, before anything is written, that nobody is logged in."""

    @property
    def local_destination(self) -> str | None:
        """The destination's file name where that is known without asking a server; else None."""

    def told(self, num_runs: int) -> str:
        """That so many complete runs are shown, how and where."""

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The only variables of the environment that the tracker gets to see."""


@dataclass(frozen=True)
class RunHeader:
    """What is shown of a run before it has any rows. tags: what runs are picked by besides, short texts."""

    run_id: str
    name: str
    group: str
    config: Mapping[str, Any]
    tags: tuple[str, ...] = ()


class OpenRun(ABC):
    """A run that takes rows. place: what tells it from other runs of its destination; a name that ends with the run's id, or empty."""

    place: str

    @abstractmethod
    def log(self, rows: Sequence[Row], first_step: int) -> None:
        """Hand over rows `first_step`, `first_step + 1` ...; those that have arrived before are left out."""


class Tracker(ABC):
    """Shows the runs of one store at one destination. Made only by whoever has the right to; raises ConfigError without a login.

    is_remote: whether ending a run is a talk with a server. Then several are ended at once, from threads.
    destination: a file name that stands for the destination; what is finished there is remembered under it.
    address: where people look at the runs, once one has been opened; empty where there is no such place.
    """

    is_remote: bool
    destination: str
    address: str = ""

    @abstractmethod
    def settle(self, complete: Mapping[str, str], known: Collection[str]) -> set[str]:
        """Remove what is shown of runs in `known` that are not complete, and can only be shown anew; leave the runs of others alone.

        complete: run_id -> place. Returns those of them that are there no more.
        """

    @abstractmethod
    def open(self, header: RunHeader) -> OpenRun:
        """Begin a run, or go on with it. Raises TrackingError where that is impossible."""

    @abstractmethod
    def finish(self, opened: OpenRun, num_rows: int, summary: Mapping[str, Any], weights: Path | None) -> None:
        """End a run that is complete: `num_rows` rows, this summary, and its weights where there are some.

        Raises TrackingError where not all of it has arrived.
        """

    @abstractmethod
    def interrupt(self, opened: OpenRun) -> None:
        """End a run that may go on some other day."""

    @abstractmethod
    def remove(self, place: str) -> None:
        """Remove what is shown of a finished run, which will be shown anew."""

    @abstractmethod
    def close(self) -> None:
        """End everything, complete or not."""
