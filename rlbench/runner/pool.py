"""All workers of a command, as one: rounds go in, what came of them comes out.

A worker gets a round when it is ready and has none. One that dies is replaced, and its round, which goes on from the last checkpoints, is
for whoever is free first. SIGINT and SIGTERM stop all of them, with a commit.
"""

import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

from rlbench.errors import ConfigError, TrainingError
from rlbench.places import Place
from rlbench.runner.compile_time import Compiling
from rlbench.runner.deaths import MAX_CRASHES, Deaths
from rlbench.runner.sharing import Homes, Waiting
from rlbench.runner.updates import WorkerUpdate
from rlbench.runner.versions import difference
from rlbench.runner.worker import (
    Launcher,
    Ready,
    Round,
    RoundDone,
    RunFailed,
    Said,
    Worker,
    WorkerFailed,
    WorkerSettings,
)
from rlbench.store.leases import LEASE_SECONDS

POLL_SECONDS = 0.2


class Interrupted(Exception):  # noqa: N818 (not an error)
    """SIGINT or SIGTERM came; the workers have committed."""


@dataclass(frozen=True)
class WorkerDied:
    """A worker is gone, and its round goes on elsewhere. where: its host, if that is another one."""

    worker: int
    how: str
    where: str = ""

    def __str__(self) -> str:
        on = f" on {self.where}" if self.where else ""
        return f"a worker process{on} died ({self.how}); its runs go on from their last checkpoint"


@dataclass(frozen=True)
class WorkerSettled:
    """A worker has done a round: what it said of it last stays so."""

    worker: int


News = WorkerUpdate | RunFailed | Said | Compiling | WorkerDied | WorkerSettled
Hear = Callable[[News], None]


class WorkerPool:
    """Workers, started when first needed. A context manager that ends them, with a commit."""

    def __init__(
        self,
        launcher: Launcher,
        root: Place,
        num_workers: int,
        *,
        max_lanes: int,
        checkpoint_seconds: float,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.num_workers, self.interrupted = num_workers, False
        self._launcher = launcher
        self._settings = [
            WorkerSettings(root, max_lanes, checkpoint_seconds, launcher.name, number, lease_seconds)
            for number in range(num_workers)
        ]
        self.homes = Homes()
        self._workers: dict[int, Worker] = {}
        self._hosts: dict[int, str] = {}  # of the workers that are ready
        self._busy: dict[int, Round] = {}
        self._deaths, self._told_compiling = Deaths(root), False

    def __enter__(self) -> Self:
        # Python gives signals to the main thread only; in another one (an Optuna study with n_jobs, say) they stay as they are.
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        self._old = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(number, self._old[signal.Signals(number)])  # the second one is for those in a hurry

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for worker in self._workers.values():
                worker.stop()
            self._see_off()
        finally:
            for worker in self._workers.values():
                worker.stop(at_once=True)
            for number, handler in self._old.items():
                signal.signal(number, handler)

    def _see_off(self) -> None:
        """Wait until all have ended that were asked to; what they still say is not heard."""
        while left := {number: one for number, one in self._workers.items() if one.died() is None}:
            self._launcher.wait(list(left.values()), POLL_SECONDS)
            for worker in left.values():
                while worker.receive() is not None:
                    pass
        self._workers.clear()
        self._hosts.clear()
        self._busy.clear()

    def run(self, rounds: Mapping[int, Sequence[Round]], hear: Hear | None = None) -> RoundDone:
        """Rounds, by the number of the worker that they are meant for. `hear` is told the news; else what is for the user goes to stderr.

        Raises Interrupted, StoreError where the store cannot be written, ConfigError where a worker is of other versions, and
        TrainingError where workers keep dying.
        """
        hear, done = hear or _print, RoundDone()
        waiting = Waiting(rounds, self.homes)
        for number in rounds:  # all of them, before the first is kept busy with reading
            self._start(number)
        told = False
        while (waiting and not self.interrupted) or self._busy:
            if self.interrupted and not told:
                told = True
                for number in self._busy:
                    self._workers[number].stop()
            self._launcher.wait(list(self._workers.values()), POLL_SECONDS)
            for number, worker in list(self._workers.items()):
                answer = self._listen(number, worker, hear)
                if answer is not None:
                    done = _both(done, answer)
                elif (how := worker.died()) is not None:
                    self._bury(number, how, waiting, hear)
            self._hand_out(waiting)
        if self.interrupted:
            raise Interrupted
        return done

    def _hand_out(self, waiting: Waiting) -> None:
        for number in self._hosts:
            if number not in self._busy and not self.interrupted:
                order = waiting.next_of(number)
                if order is not None:
                    self._busy[number] = order
                    self._workers[number].send(order)

    def _listen(self, number: int, worker: Worker, hear: Hear) -> RoundDone | None:
        """Pass on what a worker has said; returns its last word of the round, if it has come."""
        while (message := worker.receive()) is not None:
            if isinstance(message, RoundDone):
                order = self._busy.pop(number)
                self.homes.settle(number, order, message)
                self._deaths.forgive(number, order)
                hear(WorkerSettled(number))
                return message
            if isinstance(message, WorkerFailed):
                raise message.kind(message.message)
            if isinstance(message, Ready):
                if told := difference(message.versions, message.host):
                    raise ConfigError(told)
                self._hosts[number] = message.host
            elif not (isinstance(message, Compiling) and self._told_compiling):
                self._told_compiling |= isinstance(message, Compiling)
                hear(message)
        return None

    def _start(self, number: int) -> None:
        if number not in self._workers:
            self._workers[number] = self._launcher.start(self._settings[number])

    def _bury(self, number: int, how: str, waiting: Waiting, hear: Hear) -> None:
        """A worker is gone: its round waits again, and another one takes its place. Nobody asked it to end: 0 is a death too."""
        del self._workers[number]
        host, order = self._hosts.pop(number, ""), self._busy.pop(number, None)
        self.homes.forget(number)
        if self.interrupted:
            return
        how = f"{how}, before its work was done" if how == "with exit status 0" else how
        if self._deaths.count(number, order) > MAX_CRASHES:
            raise TrainingError(
                f"worker processes keep dying ({how}); what is done is stored, the same command goes on from there"
            )
        hear(WorkerDied(number, how, "" if host == socket.gethostname() else host))
        if order is not None:
            waiting.put_back(number, order)
        if waiting:
            self._start(number)


def _print(news: News) -> None:
    if isinstance(news, Said):
        print(news.message, file=sys.stderr, flush=True)
    elif isinstance(news, WorkerDied | Compiling):
        print(news, file=sys.stderr, flush=True)


def _both(one: RoundDone, other: RoundDone) -> RoundDone:
    return RoundDone(
        {**one.points, **other.points},
        {**one.ended, **other.ended},
        {**one.errors, **other.errors},
        {**one.refused, **other.refused},
        one.lane_steps + other.lane_steps,
        max(one.seconds, other.seconds),
    )
