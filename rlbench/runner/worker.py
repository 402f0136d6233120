"""What a worker is, whoever runs it: four verbs, and the words that are exchanged.

A worker keeps lanes between rounds. A `Round` goes in; out come news while it trains and then a `RoundDone`, by which every run that has
ended is in the store. Who starts workers, and how words travel, is a `Launcher`'s: one file for each (see `rlbench.runner.local`). What a
worker does with a round is the same for all of them (`rlbench.runner.cohorts`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rlbench.config.plan import PlannedRun
from rlbench.errors import StoreError
from rlbench.places import Place
from rlbench.runner.compile_time import Compiling
from rlbench.runner.updates import WorkerUpdate
from rlbench.store.leases import LEASE_SECONDS

THE_END = 2**62  # as a target: however many steps the budget has


@dataclass(frozen=True)
class WorkerSettings:
    """Where and how a worker works: none of it changes a result."""

    root: Place
    max_lanes: int
    checkpoint_seconds: float
    launcher: str
    worker: int = 0
    lease_seconds: float = LEASE_SECONDS


@dataclass(frozen=True)
class Round:
    """What is to be done next: bring runs to these steps; end others, pruned, at exactly these.

    runs: all that are named, in the order in which they are begun. waits: for runs that another program holds; else they are left to it.
    """

    advance: Mapping[str, int]
    prune: Mapping[str, int]
    runs: Sequence[PlannedRun]
    waits: bool = True


@dataclass(frozen=True)
class RoundDone:
    """What came of a round: new evaluation points, the ends of the runs that ended, and how fast it went.

    errors: run_id -> why a run failed; refused: why one cannot be trained here, which leaves it as it was.
    """

    points: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    lane_steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ready:
    """The first word of a worker: rounds can be sent. host: where it is; versions: those of `rlbench.runner.versions`."""

    host: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """A line for the user; nothing has failed."""

    message: str


@dataclass(frozen=True)
class RunFailed:
    """One run failed alone, or is refused: its id, and the last line of what was raised."""

    run_id: str
    message: str


@dataclass(frozen=True)
class WorkerFailed:
    """The worker cannot go on, in one line for the user (the store is full, say)."""

    message: str
    kind: type[StoreError] = StoreError


Message = Ready | WorkerUpdate | RunFailed | Said | Compiling | RoundDone | WorkerFailed


class Worker(ABC):
    """One worker, as seen by the pool that it works for."""

    @abstractmethod
    def send(self, order: Round) -> None:
        """Hand over a round. To one that has died nothing is handed, and `died` tells."""

    @abstractmethod
    def receive(self) -> Message | None:
        """The next word that has arrived; None where there is none. Never waits."""

    @abstractmethod
    def stop(self, *, at_once: bool = False) -> None:
        """Ask it to commit and to end, or end it where it is. A worker stops by itself where its pool is gone."""

    @abstractmethod
    def died(self) -> str | None:
        """How it ended ("by SIGKILL"), once all that it said was received; None before. One that was asked to ends this way too."""


class Launcher(ABC):
    """A way to have workers."""

    name: ClassVar[str]
    """The store's column `launcher` of the runs that they train."""

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError, a line, where workers cannot be had. Writes nothing; `close` lets go of what it takes."""

    @abstractmethod
    def room(self) -> int:
        """For how many workers there is room at once. Raises ConfigError where nobody can tell."""

    @abstractmethod
    def start(self, settings: WorkerSettings) -> Worker:
        """A new worker, which may not be ready for long: until it says so, nothing is sent to it."""

    @abstractmethod
    def wait(self, workers: Sequence[Worker], seconds: float) -> None:
        """Return when one of these may have something to say or has died, at the latest after so many seconds."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all that the workers needed, once they have ended."""
