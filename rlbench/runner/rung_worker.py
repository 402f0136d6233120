"""A worker process of a study: keeps lanes between rounds, and brings them to the steps that each round asks for.

In: `Round`s through a pipe. Out: for each a `RoundDone`; by then every run that has ended is in the store. A stop request (SIGTERM, or the
parent's death) ends with a commit. A round that raises is tried again in halves, from the last commit, down to the one run that fails
alone; that run is recorded as failed and the others go on.
"""

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from rlbench.errors import StoreError
from rlbench.runner.compile_time import watch_compiler
from rlbench.runner.job import Settings
from rlbench.runner.plan import Task, cohorts
from rlbench.runner.rungs import RungRun
from rlbench.runner.worker import WorkerFailed, last_line
from rlbench.store import Finished, Store

IDLE_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Round:
    """What is to be done next: bring runs to these steps; end others, pruned, at exactly these; forget a third kind."""

    advance: Mapping[str, int]
    prune: Mapping[str, int]
    forget: Sequence[str]
    tasks: Sequence[Task]
    """Whatever is named above and was not sent before."""


@dataclass(frozen=True)
class RoundDone:
    """What came of it: the evaluation points of every run of the round, the ends of those that ended, and how fast it went."""

    points: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    lane_steps: int = 0
    seconds: float = 0.0


class _Stopped(Exception):  # noqa: N818 (not an error)
    """A stop was asked for, and what was done is committed."""


def main() -> None:
    """A worker process: where it works comes on stdin, rounds come and go by the file descriptor named on the command line."""
    connection = Connection(int(sys.argv[1]))
    sys.path[:] = pickle.load(sys.stdin.buffer)  # what the parent can import, the runs may need
    root, settings = pickle.load(sys.stdin.buffer)
    work(root, settings, connection)


def work(root: Path, settings: Settings, connection: Connection) -> None:
    """The body of a worker process."""
    from rlbench.lanes.compiling import prepare_process

    parent, stopped = os.getppid(), False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_process()
    watch_compiler(connection.send)

    def should_stop() -> bool:
        return stopped or os.getppid() != parent

    try:
        store = Store.open(root, say=lambda line: print(line, file=sys.stderr, flush=True))
        bench = Bench(store, settings, should_stop)
        while not should_stop():
            if connection.poll(IDLE_POLL_SECONDS):
                connection.send(bench.run(_received(connection)))
        bench.close()
    except (_Stopped, EOFError, BrokenPipeError):
        pass
    except StoreError as error:
        connection.send(WorkerFailed(0, str(error), type(error)))
    finally:
        connection.close()


def _received(connection: Connection) -> Round:
    """The next round. Raises StoreError, which ends the study, where the modules of one's own choices do not import."""
    try:
        received: Round = connection.recv()
    except (EOFError, OSError):
        raise
    except BaseException as error:  # whatever those modules raise
        raise StoreError(f"a worker cannot import what its runs are made of: {last_line(error)}") from None
    return received


class Bench:
    """All lanes of one worker process, as one `RungRun` for each cohort."""

    def __init__(self, store: Store, settings: Settings, should_stop: Callable[[], bool]) -> None:
        self.store, self.settings, self.should_stop = store, settings, should_stop
        self._tasks: dict[str, Task] = {}
        self._runs: dict[Hashable, list[RungRun]] = {}

    def run(self, work: Round) -> RoundDone:
        """Do one round."""
        begin = time.monotonic()
        self._tasks |= {task.run_id: task for task in work.tasks}
        self._forget(work.forget)
        targets = {**work.advance, **work.prune}
        points: dict[str, dict[int, float]] = {}
        ended: dict[str, str] = {}
        errors: dict[str, str] = {}
        steps = 0
        for cohort in cohorts([self._tasks[run_id] for run_id in targets]):
            for run in self._advance(cohort, work, errors):
                steps += run.env_steps_done
                run.env_steps_done = 0
                points |= {run_id: dict(own) for run_id, own in run.points.items() if run_id in targets}
                ended |= {run_id: status for run_id, status in run.statuses.items() if run_id in targets}
        ended |= dict.fromkeys(errors, "failed")
        self._forget([run_id for run_id in work.prune])
        return RoundDone(points, ended, errors, steps, time.monotonic() - begin)

    def close(self) -> None:
        """Commit and let go of everything."""
        for runs in self._runs.values():
            for run in runs:
                run.commit()
                run.close()

    def _forget(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._tasks.pop(run_id, None)
        for runs in self._runs.values():
            for run in runs:
                run.release(run_ids)

    def _advance(self, tasks: Sequence[Task], work: Round, errors: dict[str, str]) -> list[RungRun]:
        """Bring the runs of one cohort to their steps, in the lanes where they are; returns where they are."""
        key = tasks[0].run.cohort_key()
        runs = self._runs.setdefault(key, [])
        if not runs:
            runs.append(self._new())
        homes = {run_id: run for run in runs for run_id in run.tasks}
        shares: dict[int, list[Task]] = {}
        for task in tasks:
            shares.setdefault(runs.index(homes.get(task.run_id, runs[0])), []).append(task)
        for index, share in shares.items():
            run = runs[index]
            try:
                self._advance_one(run, share, work)
            except (StoreError, _Stopped):
                raise
            except BaseException as error:  # whatever an environment's code raises, SystemExit too
                others = [task for task in run.tasks.values() if task.run_id in run.live and task not in share]
                run.close()
                runs[index] = self._new()
                runs[index].add(others)
                runs += self._halved(share, work, errors, error)
        return runs

    def _halved(
        self, tasks: Sequence[Task], work: Round, errors: dict[str, str], error: BaseException
    ) -> list[RungRun]:
        """The same runs in two programs, each again in two where it fails; the one that fails alone is recorded."""
        if len(tasks) == 1:
            self._record_failure(tasks[0], error)
            errors[tasks[0].run_id] = last_line(error)
            return []
        made: list[RungRun] = []
        for half in (tasks[: len(tasks) // 2], tasks[len(tasks) // 2 :]):
            run = self._new()
            try:
                self._advance_one(run, half, work)
                made.append(run)
            except (StoreError, _Stopped):
                raise
            except BaseException as again:
                run.close()
                made += self._halved(half, work, errors, again)
        return made

    def _advance_one(self, run: RungRun, tasks: Sequence[Task], work: Round) -> None:
        ids = [task.run_id for task in tasks]
        pruned = {run_id: work.prune[run_id] for run_id in ids if run_id in work.prune}
        going_on = {run_id: work.advance[run_id] for run_id in ids if run_id in work.advance}
        # The pruned first: their lanes are where they are to end, unless a crash set them back.
        done = run.add(tasks) and run.advance(pruned)
        if done:
            run.prune(pruned)
            done = run.advance(going_on)
        if run.books.has_unstored_ends:
            run.commit()
        if not done:
            self.close()
            raise _Stopped

    def _new(self) -> RungRun:
        return RungRun(self.store, self.settings.checkpoint_seconds, self.settings.launcher, self.should_stop)

    def _record_failure(self, task: Task, error: BaseException) -> None:
        from rlbench.lanes.platform import ENGINE

        with self.store.program([task.run_id]) as program:
            if task.run_id in program.run_ids:
                text = "".join(traceback.format_exception(error))
                program.commit(
                    {},
                    None,
                    [Finished(task.run_id, "failed", 0, 0, 0, 0.0, error=text)],
                    ENGINE,
                    self.settings.launcher,
                )
