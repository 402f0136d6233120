"""A worker process: trains its jobs one after the other with one torch thread, and tells its parent how far it is.

A stop request (SIGTERM from the parent, or the parent's death) ends the current job with a commit. A job that raises is cut in halves and
tried again from its last commit, down to the one run that fails alone; that run is recorded as failed and the others go on.
"""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from rlbench.errors import RlbenchError, StoreError, first_line
from rlbench.runner.compile_time import Compiling, watch_compiler
from rlbench.runner.job import JobRun, Settings
from rlbench.runner.plan import Job
from rlbench.runner.updates import VariantProgress, WorkerUpdate
from rlbench.store import Finished, Store


@dataclass(frozen=True)
class WorkerFailed:
    """The worker cannot go on, in one line for the user (the store is full, say)."""

    worker: int
    message: str
    kind: type[StoreError] = StoreError


@dataclass(frozen=True)
class Said:
    """A line for the user; nothing has failed."""

    message: str


@dataclass(frozen=True)
class RunFailed:
    """One run failed alone: its id, and the last line of what was raised."""

    run_id: str
    message: str


@dataclass(frozen=True)
class WorkerDone:
    """The worker has nothing more to do, or was stopped: its last word. One that ends without it has died."""


Message = WorkerUpdate | WorkerFailed | RunFailed | WorkerDone | Compiling | Said


def main() -> None:
    """A worker process: what to do comes on stdin, what happens goes to the file descriptor named on the command line."""
    connection = Connection(int(sys.argv[1]), readable=False)
    sys.path[:] = pickle.load(sys.stdin.buffer)  # what the parent can import, the jobs may need
    try:
        worker, root, jobs, settings = pickle.load(sys.stdin.buffer)
    except BaseException as error:  # whatever the modules of one's own choices raise
        _send(connection, WorkerFailed(0, f"a worker cannot import what its runs are made of: {last_line(error)}"))
        return
    work(worker, root, jobs, settings, connection)


def work(worker: int, root: Path, jobs: Sequence[Job], settings: Settings, connection: Connection) -> None:
    """The body of a worker process."""
    from rlbench.lanes.compiling import prepare_process

    parent, stopped = os.getppid(), False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the parent passes it on as SIGTERM
    prepare_process()
    compile_time = watch_compiler(lambda word: _send(connection, word))

    def should_stop() -> bool:
        return stopped or os.getppid() != parent

    done: dict[str, VariantProgress] = {}
    latest = done

    def report(per_variant: dict[str, VariantProgress], lanes_running: int, speed: float) -> None:
        nonlocal latest
        latest = _sum(done, per_variant)
        _send(connection, WorkerUpdate(worker, lanes_running, latest, speed, compile_time.seconds))

    waiting = list(jobs)
    try:
        store = Store.open(root, say=lambda line: _send(connection, Said(line)))
        while waiting and not should_stop():
            job = waiting.pop(0)
            latest = done
            try:
                job_run = JobRun(store, job, settings, should_stop, report)
                job_run.run()
                done = latest
                for run_id, reason in job_run.refused.items():
                    _send(connection, RunFailed(run_id, reason))
            except StoreError:
                raise
            except BaseException as error:  # whatever an environment's code raises, SystemExit too
                if len(job) > 1:
                    waiting[:0] = [job[: len(job) // 2], job[len(job) // 2 :]]
                else:
                    _record_failure(store, job, settings, error)
                    _send(connection, RunFailed(job[0].run_id, last_line(error)))
    except StoreError as error:
        _send(connection, WorkerFailed(worker, str(error), type(error)))
    else:
        _send(connection, WorkerDone())
    finally:
        connection.close()


def _sum(done: dict[str, VariantProgress], current: dict[str, VariantProgress]) -> dict[str, VariantProgress]:
    """Progress of earlier jobs and of the current one, by variant."""
    total = dict(done)
    for variant, share in current.items():
        before = total.get(variant)
        if before is None:
            total[variant] = share
            continue
        total[variant] = VariantProgress(
            done_steps=before.done_steps + share.done_steps,
            total_steps=before.total_steps + share.total_steps if before.total_steps and share.total_steps else 0,
            runs_done=before.runs_done + share.runs_done,
            runs_total=before.runs_total + share.runs_total,
            recent_return=share.recent_return if share.recent_return is not None else before.recent_return,
            lanes_running=share.lanes_running,
            runs_share=before.runs_share + share.runs_share,
        )
    return total


def _record_failure(store: Store, job: Job, settings: Settings, error: BaseException) -> None:
    from rlbench.lanes.platform import ENGINE

    run_id = job[0].run_id
    with store.program([run_id]) as program:
        if run_id not in program.run_ids:
            return
        failure = Finished(run_id, "failed", 0, 0, 0, 0.0, error="".join(traceback.format_exception(error)))
        program.commit({}, None, [failure], ENGINE, settings.launcher)


def last_line(error: BaseException) -> str:
    if isinstance(error, RlbenchError):
        return first_line(error)
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0]


def _send(connection: Connection, message: Message) -> None:
    with suppress(OSError):  # the parent is gone: `should_stop` sees it
        connection.send(message)
