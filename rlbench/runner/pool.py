"""All workers of a command, as one: rounds go in, what came of them comes out.

A worker that dies is replaced, and its runs go on from their last checkpoint. SIGINT and SIGTERM stop all of them, with a commit.
"""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from rlbench.errors import TrainingError
from rlbench.runner.compile_time import Compiling
from rlbench.runner.updates import WorkerUpdate
from rlbench.runner.worker import Launcher, Round, RoundDone, RunFailed, Said, Worker, WorkerFailed, WorkerSettings
from rlbench.store import Store

POLL_SECONDS = 0.2
MAX_CRASHES = 2  # how often workers may die without any run or round having ended since


class Interrupted(Exception):  # noqa: N818 (not an error)
    """SIGINT or SIGTERM came; the workers have committed."""


@dataclass(frozen=True)
class WorkerDied:
    """A worker is gone, and another one goes on with its round."""

    worker: int
    how: str

    def __str__(self) -> str:
        return f"a worker process died ({self.how}); its runs go on from their last checkpoint"


News = WorkerUpdate | RunFailed | Said | Compiling | WorkerDied
Hear = Callable[[News], None]


class WorkerPool:
    """Workers, started when first needed. A context manager that ends them, with a commit."""

    def __init__(
        self, launcher: Launcher, root: Path, num_workers: int, *, max_lanes: int, checkpoint_seconds: float
    ) -> None:
        self.num_workers, self.interrupted = num_workers, False
        self._launcher = launcher
        self._settings = [
            WorkerSettings(root, max_lanes, checkpoint_seconds, launcher.name, number) for number in range(num_workers)
        ]
        self._workers: dict[int, Worker] = {}
        self._crashes, self._told_compiling = 0, False

    def __enter__(self) -> Self:
        self._final = self._num_final()
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

    def run(self, rounds: Mapping[int, Round], hear: Hear | None = None) -> RoundDone:
        """One round of these workers, by number. `hear` is told the news; by default what is for the user goes to stderr.

        Raises Interrupted, StoreError where the store cannot be written, and TrainingError where workers keep dying.
        """
        hear = hear or _print
        waiting, done, told = dict(rounds), RoundDone(), False
        for number in waiting:  # all of them, before the first is kept busy with reading
            self._worker(number)
        for number, order in waiting.items():
            self._worker(number).send(order)
        while waiting:
            if self.interrupted and not told:
                told = True
                for number in waiting:
                    self._worker(number).stop()
            self._launcher.wait([self._worker(number) for number in waiting], POLL_SECONDS)
            for number in list(waiting):
                answer = self._listen(self._worker(number), hear)
                how = self._worker(number).died() if answer is None else None
                if answer is not None:
                    done = _both(done, answer)
                    self._crashes = 0
                if how is not None:
                    del self._workers[number]
                if answer is not None or (how is not None and self.interrupted):
                    del waiting[number]
                elif how is not None:
                    self._bury(number, how, hear)
                    self._worker(number).send(waiting[number])
        if self.interrupted:
            raise Interrupted
        return done

    def _listen(self, worker: Worker, hear: Hear) -> RoundDone | None:
        """Pass on what a worker has said; returns its last word of the round, if it has come."""
        while (message := worker.receive()) is not None:
            if isinstance(message, RoundDone):
                return message
            if isinstance(message, WorkerFailed):
                raise message.kind(message.message)
            if not (isinstance(message, Compiling) and self._told_compiling):
                self._told_compiling |= isinstance(message, Compiling)
                hear(message)
        return None

    def _worker(self, number: int) -> Worker:
        if number not in self._workers:
            self._workers[number] = self._launcher.start(self._settings[number])
        return self._workers[number]

    def _num_final(self) -> int:
        store = Store.peek(self._settings[0].root)
        return 0 if store is None else len(store.final_runs())

    def _bury(self, number: int, how: str, hear: Hear) -> None:
        """Say so, unless it is in vain. Nobody asked it to end: an exit status of 0 is a death too."""
        how = f"{how}, before its work was done" if how == "with exit status 0" else how
        before, self._final = self._final, self._num_final()
        self._crashes = 0 if self._final > before else self._crashes + 1
        if self._crashes > MAX_CRASHES:
            raise TrainingError(
                f"worker processes keep dying ({how}); what is done is stored, the same command goes on from there"
            )
        hear(WorkerDied(number, how))


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
