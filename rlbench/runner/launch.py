"""From a plan to finished runs, with the live view.

In: a store with a recorded experiment, its runs, and workers. Out: what became of them; the store is where the results are. Runs that
another command is training on the same store are waited for, and taken over if that command dies.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from rlbench.config.plan import PlannedRun
from rlbench.exact.compiler import compiler
from rlbench.places import Place
from rlbench.runner.compile_time import Compiling
from rlbench.runner.plan import expected_seconds, pieces, share_out, total_steps
from rlbench.runner.pool import Interrupted, News, WorkerDied, WorkerPool, WorkerSettled
from rlbench.runner.progress import Progress
from rlbench.runner.updates import VariantProgress, WorkerUpdate
from rlbench.runner.worker import THE_END, Launcher, Round, RunFailed, Said
from rlbench.store import Store

OTHERS_POLL_SECONDS = 1.0


def train_runs(store: Store, runs: Sequence[PlannedRun], pool: WorkerPool, progress: Progress | None = None) -> bool:
    """Train every run that is not final, and return when all are, some failed, or one asked to stop: True when interrupted.

    Raises StoreError when the store cannot be written, and TrainingError when workers keep dying.
    """
    view = _View(progress or Progress())
    told_waiting = False
    with pool:
        while not pool.interrupted:
            final = store.final_runs() | view.failed
            left = [run for run in runs if run.run_id not in final]
            if not left:
                break
            store.settle()  # whose lease is over is fenced here, where leases are watched, so that workers find its runs free
            claimed = store.claimed()
            free = [run for run in left if run.run_id not in claimed]
            if free:
                view.train(free, pool)
                continue
            if not told_waiting:
                who = ", ".join(store.holders(run.run_id for run in left)) or "another command"
                view.progress.say(f"{len(left)} runs are being trained by {who}; waiting for them")
                told_waiting = True
            time.sleep(OTHERS_POLL_SECONDS)
    return pool.interrupted


class PoolRequest(Protocol):
    """What a command says of its workers: the store's folder, how many, and how they work."""

    @property
    def store(self) -> Place: ...
    @property
    def workers(self) -> int | None: ...
    @property
    def lanes(self) -> int: ...
    @property
    def checkpoint_seconds(self) -> float: ...
    @property
    def lease_seconds(self) -> float: ...


def pool_of(asked: PoolRequest, launcher: Launcher) -> WorkerPool:
    """The workers that a command asks for. Says on stderr where they will be slow; raises ConfigError where `CXX` names no compiler."""
    if compiler() is None:
        print("no C++ compiler is used: the same numbers, many times slower", file=sys.stderr)
    return WorkerPool(
        launcher,
        asked.store,
        asked.workers or launcher.room(),
        max_lanes=asked.lanes,
        checkpoint_seconds=asked.checkpoint_seconds,
        lease_seconds=asked.lease_seconds,
    )


class _View:
    """Shows one round after the other; `failed` has the runs that are not to be tried again."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.failed: set[str] = set()

    def train(self, runs: Sequence[PlannedRun], pool: WorkerPool) -> None:
        """These runs, each to its end, but for those that another program takes meanwhile."""
        with self.progress:
            self.progress.expect(expected(runs), {run.variant: expected_seconds(run.run) for run in runs})
            rounds = {
                number: [Round({run.run_id: THE_END for run in own}, {}, own, waits=False) for own in pieces(jobs)]
                for number, jobs in enumerate(share_out(runs, pool.num_workers))
            }
            with suppress(Interrupted):  # the pool says so
                pool.run(rounds, self._hear)

    def _hear(self, news: News) -> None:
        if isinstance(news, WorkerUpdate):
            self.progress.update(news)
        elif isinstance(news, WorkerSettled):
            self.progress.keep(news.worker)
        elif isinstance(news, RunFailed):
            self.failed.add(news.run_id)
            self.progress.say(f"run {news.run_id} failed: {news.message}")
        elif isinstance(news, WorkerDied):
            self.progress.drop(news.worker)
            self.progress.say(str(news))
        elif isinstance(news, Compiling):
            self.progress.say_once(str(news))
        elif isinstance(news, Said):
            self.progress.say(news.message)


def expected(runs: Sequence[PlannedRun]) -> dict[str, VariantProgress]:
    """What there is to do, by variant, before any worker has spoken."""
    by_variant: dict[str, list[PlannedRun]] = {}
    for planned in runs:
        by_variant.setdefault(planned.variant, []).append(planned)
    return {
        variant: VariantProgress(0, total_steps([planned.run for planned in own]), 0, len(own))
        for variant, own in by_variant.items()
    }
