"""From a plan to finished runs: worker processes, the live view, and signals.

In: a store with a recorded experiment, and its tasks. Out: what became of them; the store is where the results are. Runs that another
command is training on the same store are waited for, and taken over if that command dies.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import FrameType

from rlbench.errors import TrainingError
from rlbench.runner.compile_time import Compiling
from rlbench.runner.job import Settings
from rlbench.runner.plan import Job, Task, expected_seconds, share_out, total_steps
from rlbench.runner.progress import Progress
from rlbench.runner.updates import VariantProgress, WorkerUpdate
from rlbench.runner.worker import Message, RunFailed, Said, WorkerDone, WorkerFailed
from rlbench.store import Store

POLL_SECONDS = 0.2
OTHERS_POLL_SECONDS = 1.0
MAX_CRASHES = 2  # how often worker processes may die without any run having ended since


@dataclass
class Outcome:
    """What a launch came to."""

    interrupted: bool = False
    failures: dict[str, str] = field(default_factory=dict)
    """run_id -> one line"""


class _Signals:
    """SIGINT and SIGTERM as a flag; the second one of a kind is the default again, for those in a hurry.

    Python gives signals to the main thread only; in another one (an Optuna study with n_jobs, say) they stay as they are.
    """

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "_Signals":
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        self._old = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        signal.signal(number, self._old[signal.Signals(number)])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)


def launch(
    store: Store,
    tasks: Sequence[Task],
    *,
    num_workers: int,
    settings: Settings,
    progress: Progress,
) -> Outcome:
    """Train every task that is not final, and return when all are, or when interrupted, or when some failed.

    Raises StoreError when the store cannot be written, and TrainingError when worker processes keep dying.
    """
    outcome = Outcome()
    crashes = 0
    with _Signals() as signals:
        waiting_for_others = False
        while not signals.received:
            final = store.final_runs()
            open_tasks = [task for task in tasks if task.run_id not in final and task.run_id not in outcome.failures]
            if not open_tasks:
                break
            claimed = store.claimed()
            free = [task for task in open_tasks if task.run_id not in claimed]
            if not free:
                if not waiting_for_others:
                    who = ", ".join(store.holders(task.run_id for task in open_tasks)) or "another command"
                    progress.say(f"{len(open_tasks)} runs are being trained by {who}; waiting for them")
                    waiting_for_others = True
                time.sleep(OTHERS_POLL_SECONDS)
                continue
            died = _train(store, free, num_workers, settings, progress, signals, outcome)
            if died and not signals.received:
                crashes = 0 if len(store.final_runs()) > len(final) else crashes + 1
                if crashes > MAX_CRASHES:
                    raise TrainingError(
                        f"worker processes keep dying ({died}); what is done is stored, the same command goes on from there"
                    )
                progress.say(f"a worker process died ({died}); its runs go on from their last checkpoint")
    outcome.interrupted = signals.received
    return outcome


def _train(
    store: Store,
    tasks: Sequence[Task],
    num_workers: int,
    settings: Settings,
    progress: Progress,
    signals: _Signals,
    outcome: Outcome,
) -> str:
    """One round of worker processes; returns how one died, or an empty text."""
    processes: dict[Connection, subprocess.Popen[bytes]] = {}
    numbers: dict[Connection, int] = {}
    trouble: list[WorkerFailed] = []
    told_done: set[int] = set()
    died = ""
    with progress:
        progress.expect(expected(tasks), {task.variant: expected_seconds(task.run) for task in tasks})
        for worker, jobs in enumerate(share_out(tasks, num_workers)):
            here, process = _start_worker(worker, store, jobs, settings)
            processes[here], numbers[here] = process, worker
        told = False
        try:
            while processes:
                if (signals.received or trouble) and not told:
                    told = True
                    for running in processes.values():
                        terminate(running)
                for connection in wait(list(processes), POLL_SECONDS):
                    assert isinstance(connection, Connection)
                    try:
                        message: Message = connection.recv()
                    except EOFError:
                        how = exit_text(processes.pop(connection).wait())
                        if numbers[connection] not in told_done:
                            how = how or "with exit status 0, before its work was done"
                        if how:
                            died = how
                            progress.drop(numbers[connection])
                        connection.close()
                        continue
                    if isinstance(message, WorkerDone):
                        told_done.add(numbers[connection])
                    _take(message, progress, outcome, trouble)
        finally:
            for running in processes.values():
                running.kill()
                running.wait()
    if trouble:
        raise trouble[0].kind(trouble[0].message)
    return died


def expected(tasks: Sequence[Task]) -> dict[str, VariantProgress]:
    """What there is to do, by variant, before any worker has spoken."""
    by_variant: dict[str, list[Task]] = {}
    for task in tasks:
        by_variant.setdefault(task.variant, []).append(task)
    return {
        variant: VariantProgress(0, total_steps([task.run for task in own]), 0, len(own))
        for variant, own in by_variant.items()
    }


def _start_worker(
    worker: int, store: Store, jobs: Sequence[Job], settings: Settings
) -> tuple[Connection, "subprocess.Popen[bytes]"]:
    """A worker process and the connection on which it speaks.

    A program of its own, unlike a process of `multiprocessing`, which would run the user's script once more in every worker.
    """
    here, there = os.pipe()
    command = [sys.executable, "-c", "from rlbench.runner.worker import main; main()", str(there)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[there])
    os.close(there)
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died at once: its end of the connection tells
        pickle.dump(sys.path, process.stdin)
        pickle.dump((worker, store.root, jobs, settings), process.stdin)
        process.stdin.close()
    return Connection(here, writable=False), process


def terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ask a worker to commit and end."""
    if process.poll() is None:
        process.terminate()


def _take(message: Message, progress: Progress, outcome: Outcome, trouble: list[WorkerFailed]) -> None:
    if isinstance(message, WorkerUpdate):
        progress.update(message)
    elif isinstance(message, RunFailed):
        outcome.failures[message.run_id] = message.message
        progress.say(f"run {message.run_id} failed: {message.message}")
    elif isinstance(message, Compiling):
        progress.say_once(str(message))
    elif isinstance(message, WorkerFailed):
        trouble.append(message)
    elif isinstance(message, Said):
        progress.say(message.message)


def exit_text(code: int) -> str:
    """How a process died; empty where it ended as it should."""
    if not code:
        return ""
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
