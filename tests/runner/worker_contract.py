"""What every implementation of the `Worker` port must do: a test class of each inherits this one, and says which launcher it is.

The pool is the real one, and what is trained is real too. The workers are in `started`, in the order of starting.
"""

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pytest

from rlbench.config.plan import PlannedRun
from rlbench.errors import StoreError, TrainingError
from rlbench.runner.deaths import MAX_CRASHES
from rlbench.runner.launch import train_runs
from rlbench.runner.pool import Interrupted, News, WorkerDied, WorkerPool
from rlbench.runner.progress import Progress
from rlbench.runner.updates import WorkerUpdate
from rlbench.runner.worker import THE_END, Launcher, Round, RunFailed, Said, Worker
from rlbench.store import Store, load
from tests.runner.small_runs import digests, opened, task

RUNS = [task(seed) for seed in range(4)]


def whole(runs: Sequence[PlannedRun], *, waits: bool = True) -> Round:
    return Round({run.run_id: THE_END for run in runs}, {}, runs, waits)


class WorkerContract(ABC):
    """The tests; the workers are in `started`, and `crash` ends one of them as a fault would."""

    @abstractmethod
    def new_launcher(self) -> Launcher: ...

    @abstractmethod
    def crash(self, worker: Worker) -> None: ...

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return opened(tmp_path / "store", RUNS)

    @pytest.fixture
    def pool(self, store: Store) -> WorkerPool:
        return self.pool_of(store, 2)

    def pool_of(self, store: Store, num_workers: int) -> WorkerPool:
        self.launcher = self.new_launcher()
        self.started: list[Worker] = []
        start = self.launcher.start

        def noted(settings):  # type: ignore[no-untyped-def]
            self.started.append(start(settings))
            return self.started[-1]

        self.launcher.start = noted  # type: ignore[method-assign]
        return WorkerPool(self.launcher, store.root, num_workers, max_lanes=3, checkpoint_seconds=0.05)

    def test_an_experiment_is_trained_and_its_launcher_named(
        self, store: Store, pool: WorkerPool, alone: dict[str, str]
    ) -> None:
        progress = Progress()
        assert train_runs(store, RUNS, pool, progress) is False
        assert digests(store.root) == alone
        assert set(load(store.root).runs["launcher"]) == {self.launcher.name}
        totals = progress.totals().values()
        assert sum(total.runs_done for total in totals) == sum(total.runs_total for total in totals) == len(RUNS)
        assert [worker.died() is not None for worker in self.started] == [True, True]

    def test_lanes_wait_between_two_rounds_and_may_be_pruned(
        self, store: Store, pool: WorkerPool, alone: dict[str, str]
    ) -> None:
        first, second, *others = RUNS
        with pool:
            done = pool.run({0: [Round({run.run_id: 200 for run in RUNS}, {}, RUNS)]})
            assert {run_id: list(points) for run_id, points in done.points.items()} == {r.run_id: [200] for r in RUNS}
            assert (done.ended, done.lane_steps) == ({}, 200 * len(RUNS))
            going_on = {run.run_id: THE_END for run in (first, *others)}
            done = pool.run({0: [Round(going_on, {second.run_id: 200}, RUNS)]})
        assert done.ended == {**dict.fromkeys(going_on, "done"), second.run_id: "pruned"}
        assert {run_id: digests(store.root)[run_id] for run_id in going_on} == {
            run_id: alone[run_id] for run_id in going_on
        }

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_with_a_commit_and_training_goes_on_from_there(
        self, store: Store, number: signal.Signals, alone: dict[str, str]
    ) -> None:
        pool = self.pool_of(store, 1)
        before = signal.getsignal(number)

        def interrupt(news: News) -> None:
            if isinstance(news, WorkerUpdate) and not pool.interrupted:
                signal.raise_signal(number)

        with pytest.raises(Interrupted), pool:
            pool.run({0: [whole(RUNS)]}, interrupt)
        assert signal.getsignal(number) == before
        assert [worker.died() is not None for worker in self.started] == [True]
        assert store.claimed() == set()
        assert len(store.progress()) + len(store.final_runs()) >= 3  # as many as there are lanes
        assert train_runs(store, RUNS, self.pool_of(store, 1)) is False
        assert digests(store.root) == alone

    def test_the_runs_of_a_worker_that_dies_are_taken_over(
        self, store: Store, pool: WorkerPool, alone: dict[str, str]
    ) -> None:
        heard: list[News] = []

        def crash_once(news: News) -> None:
            heard.append(news)
            if isinstance(news, WorkerUpdate) and news.worker == 0 and len(self.started) == 2:
                self.crash(self.started[0])

        with pool:
            done = pool.run({0: [whole(RUNS[:2])], 1: [whole(RUNS[2:])]}, crash_once)
        assert [news.worker for news in heard if isinstance(news, WorkerDied)] == [0]
        assert len(self.started) == 3
        assert done.ended == {run.run_id: "done" for run in RUNS}
        assert digests(store.root) == alone

    def test_a_worker_that_was_taken_for_dead_says_so_and_is_replaced(
        self, store: Store, pool: WorkerPool, alone: dict[str, str]
    ) -> None:
        """As after a pause that was longer than its lease: somebody else has fenced it."""
        heard: list[News] = []

        def fence_once(news: News) -> None:
            heard.append(news)
            if (
                isinstance(news, WorkerUpdate)
                and len(self.started) == 2
                and not any(isinstance(one, Said) for one in heard)
            ):
                store.index.transact(
                    lambda index: index.fenced([name for name, one in index.writers.items() if one.claim])
                )

        with pool:
            done = pool.run({0: [whole(RUNS[:2])], 1: [whole(RUNS[2:])]}, fence_once)
        said = [news.message for news in heard if isinstance(news, Said)]
        assert said
        assert all(f"the lease on {store.root} is lost" in text for text in said)
        assert not any(isinstance(news, RunFailed) for news in heard)
        assert len(self.started) > 2
        assert done.ended == {run.run_id: "done" for run in RUNS}
        assert digests(store.root) == alone
        assert len(store.read_rows("outcomes")) == len(RUNS)

    def test_workers_that_keep_dying_end_the_command(self, store: Store) -> None:
        pool = self.pool_of(store, 1)
        start = self.launcher.start

        def doomed(settings):  # type: ignore[no-untyped-def]
            worker = start(settings)
            self.crash(worker)
            return worker

        self.launcher.start = doomed  # type: ignore[method-assign]
        with pytest.raises(TrainingError, match="worker processes keep dying"), pool:
            pool.run({0: [whole(RUNS)]})
        # One that dies before it has a round counts apart from those that die in it; which it is, the clock decides.
        assert MAX_CRASHES < len(self.started) <= 2 * MAX_CRASHES + 1
        assert store.final_runs() == set()

    def test_what_another_program_holds_is_left_to_it_and_taken_over_later(
        self, store: Store, alone: dict[str, str]
    ) -> None:
        pool, held = self.pool_of(store, 1), RUNS[1].run_id
        with pool:
            with store.program([held]):
                done = pool.run({0: [whole(RUNS, waits=False)]})
                assert done.ended == {run.run_id: "done" for run in RUNS if run.run_id != held}
            assert pool.run({0: [whole(RUNS)]}).ended == {run.run_id: "done" for run in RUNS}
        assert digests(store.root) == alone

    def test_a_run_that_fails_is_told_and_the_others_are_trained(self, tmp_path: Path) -> None:
        runs = [RUNS[0], task(9, env="tests.envs.misbehaving:Leaves-v0")]
        store, heard = opened(tmp_path / "failing", runs), list[News]()
        with self.pool_of(store, 1) as pool:
            done = pool.run({0: [whole(runs)]}, heard.append)
        assert done.ended == {runs[0].run_id: "done", runs[1].run_id: "failed"}
        assert [news.run_id for news in heard if isinstance(news, RunFailed)] == [runs[1].run_id]
        assert store.outcomes()[runs[1].run_id]["status"] == "failed"

    def test_a_store_that_cannot_be_written_is_the_commands_error(self, store: Store) -> None:
        (store.root / "format.json").write_text("{}")
        with pytest.raises(StoreError), self.pool_of(store, 1) as pool:
            pool.run({0: [whole(RUNS)]})
