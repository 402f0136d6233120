"""The worker processes of a study, as one: rounds go in, what came of them comes out.

In: `Round`s over all runs. Out: one `RoundDone` for each. A run stays with the worker that has its lane; a new one goes to the worker with
the least to do. A worker that dies is replaced, and its runs go on from their last checkpoint.
"""

import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from rlbench.errors import TrainingError
from rlbench.runner.compile_time import Compiling
from rlbench.runner.job import Settings
from rlbench.runner.launch import MAX_CRASHES, POLL_SECONDS, exit_text, terminate
from rlbench.runner.plan import Task, expected_seconds
from rlbench.runner.rung_worker import Round, RoundDone


class Interrupted(Exception):  # noqa: N818 (not an error)
    """SIGINT or SIGTERM came; the workers have committed."""


class RungPool:
    """Workers, started when first needed. A context manager that ends them, with a commit."""

    def __init__(self, root: Path, num_workers: int, settings: Settings) -> None:
        self._root, self._settings = root, settings
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * num_workers
        self._connections: list[Connection | None] = [None] * num_workers
        self._homes: dict[str, int] = {}
        self._tasks: dict[str, Task] = {}
        self._known: list[set[str]] = [set() for _ in range(num_workers)]
        self._crashes = 0
        self._told_compiling = False
        self.interrupted = False

    def __enter__(self) -> Self:
        self._old = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number: int, frame: object) -> None:
        self.interrupted = True
        signal.signal(number, self._old[signal.Signals(number)])  # the second one is for those in a hurry

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in self._processes:
                if process is not None:
                    terminate(process)
            for process in self._processes:
                if process is not None:
                    process.wait()
        finally:
            for process in self._processes:
                if process is not None and process.poll() is None:
                    process.kill()
            for number, handler in self._old.items():
                signal.signal(number, handler)

    def run(
        self,
        tasks: Sequence[Sequence[Task]],
        advance: Mapping[str, int],
        prune: Mapping[str, int],
        forget: Iterable[str],
    ) -> RoundDone:
        """One round of all workers. `tasks`: every run of `advance` and `prune`, those that should share a worker together.

        Raises Interrupted, StoreError where the store cannot be written, and TrainingError where workers keep dying.
        """
        self._settle(tasks, forget)
        waiting = {
            worker: Round(
                {run_id: at for run_id, at in advance.items() if self._homes[run_id] == worker},
                {run_id: at for run_id, at in prune.items() if self._homes[run_id] == worker},
                [],
                [],
            )
            for worker in sorted({self._homes[run_id] for run_id in (*advance, *prune)})
        }
        for worker, order in waiting.items():
            self._send(worker, order)
        points: dict[str, Mapping[int, float]] = {}
        ended: dict[str, str] = {}
        errors: dict[str, str] = {}
        lane_steps, seconds, told = 0, 0.0, False
        while waiting:
            if self.interrupted and not told:
                told = True
                for worker in waiting:
                    terminate(self._process(worker))
            by_connection = {self._connections[worker]: worker for worker in waiting}
            for ready in wait([c for c in by_connection if c is not None], POLL_SECONDS):
                assert isinstance(ready, Connection)
                worker = by_connection[ready]
                try:
                    message = ready.recv()
                except (EOFError, ConnectionError):
                    self._bury(worker)
                    if self.interrupted:
                        del waiting[worker]
                    else:
                        self._send(worker, waiting[worker])
                    continue
                if isinstance(message, Compiling):
                    if not self._told_compiling:
                        self._told_compiling = True
                        print(message, file=sys.stderr, flush=True)
                    continue
                if not isinstance(message, RoundDone):
                    raise message.kind(message.message)
                points |= message.points
                ended |= message.ended
                errors |= message.errors
                lane_steps, seconds = lane_steps + message.lane_steps, max(seconds, message.seconds)
                del waiting[worker]
                self._crashes = 0
        if self.interrupted:
            raise Interrupted
        return RoundDone(points, ended, errors, lane_steps, seconds)

    def _settle(self, tasks: Sequence[Sequence[Task]], forget: Iterable[str]) -> None:
        """Give every new run a worker, those of one group the same."""
        for run_id in forget:
            self._homes.pop(run_id, None)
            self._tasks.pop(run_id, None)
        loads = [0.0] * len(self._processes)
        for run_id, home in self._homes.items():
            loads[home] += expected_seconds(self._tasks[run_id].run)
        for group in tasks:
            new = [task for task in group if task.run_id not in self._homes]
            # One trial alone is spread over all workers; of several, each stays in one piece.
            shares = [[task] for task in new] if len(tasks) < len(self._processes) else [new]
            for share in shares:
                home = min(range(len(loads)), key=loads.__getitem__)
                for task in share:
                    self._homes[task.run_id], self._tasks[task.run_id] = home, task
                    loads[home] += expected_seconds(task.run)

    def _send(self, worker: int, order: Round) -> None:
        """Hand a round to a worker, with the tasks that it has not heard of and those that it may forget."""
        self._process(worker)
        named, own = {*order.advance, *order.prune}, self._known[worker]
        gone = [run_id for run_id in own if run_id not in self._homes]
        own -= set(gone)
        tasks = [task for run_id, task in self._tasks.items() if run_id in named - own]
        own |= named
        connection = self._connections[worker]
        assert connection is not None
        with suppress(ConnectionError):  # a death is noticed where the answer is waited for
            connection.send(Round(order.advance, order.prune, gone, tasks))

    def _process(self, worker: int) -> "subprocess.Popen[bytes]":
        process = self._processes[worker]
        if process is None:
            mine, theirs = socket.socketpair()
            number = theirs.fileno()
            # A program of its own, as in `launch`: a process of `multiprocessing` would run the user's script once more.
            command = [sys.executable, "-c", "from rlbench.runner.rung_worker import main; main()", str(number)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number])
            theirs.close()
            here = Connection(mine.detach())
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it died at once: its end of the connection tells
                pickle.dump(sys.path, process.stdin)
                pickle.dump((self._root, self._settings), process.stdin)
                process.stdin.close()
            self._processes[worker], self._connections[worker] = process, here
            self._known[worker] = set()
        return process

    def _bury(self, worker: int) -> None:
        """Make room for a new worker where one has died."""
        process = self._process(worker)
        code = process.wait()
        self._processes[worker] = self._connections[worker] = None
        if not self.interrupted:  # nobody asked it to end: an exit status of 0 is a death too
            self._crashes += 1
            if self._crashes > MAX_CRASHES:
                raise TrainingError(
                    f"worker processes keep dying ({exit_text(code) or 'with exit status 0'}); what is done is stored, the same command"
                    " goes on from there"
                )
