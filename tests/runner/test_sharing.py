"""Who does what: own work first, then what another one has not begun; workers that never come, and rounds that nobody survives."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rlbench.errors import ConfigError
from rlbench.runner.deaths import MAX_CRASHES, Deaths
from rlbench.runner.launch import train_runs
from rlbench.runner.plan import PIECE_SECONDS, expected_seconds, pieces, share_out
from rlbench.runner.pool import WorkerPool
from rlbench.runner.progress import Progress
from rlbench.runner.sharing import Homes, Waiting, study_rounds
from rlbench.runner.updates import VariantProgress, WorkerUpdate
from rlbench.runner.worker import THE_END, Message, Ready, Round, RoundDone, Worker, WorkerSettings
from tests.runner.small_runs import digests, opened, task
from tests.runner.test_plan import tasks
from tests.runner.thread_workers import ThreadLauncher

RUNS = [task(seed) for seed in range(4)]


def to(step: int, *places: int) -> Round:
    runs = [RUNS[place] for place in places]
    return Round({run.run_id: step for run in runs}, {}, runs)


def test_a_worker_does_its_own_rounds_and_then_the_last_of_whoever_has_most() -> None:
    waiting = Waiting({0: [to(THE_END, 0)], 1: [to(THE_END, 1), to(THE_END, 2), to(THE_END, 3)]}, Homes())
    assert waiting.next_of(0) == to(THE_END, 0)
    assert waiting.next_of(0) == to(THE_END, 3)
    assert waiting.next_of(1) == to(THE_END, 1)
    assert waiting
    waiting.put_back(1, to(THE_END, 1))
    assert [waiting.next_of(2), waiting.next_of(2), waiting.next_of(2)] == [to(THE_END, 2), to(THE_END, 1), None]
    assert not waiting


def test_a_round_whose_lanes_are_in_a_worker_stays_with_it_as_long_as_it_lives() -> None:
    homes = Homes()
    homes.settle(1, to(200, 0, 1), RoundDone(ended={RUNS[1].run_id: "done"}))
    assert (homes[RUNS[0].run_id], homes[RUNS[1].run_id]) == (1, None)
    waiting = Waiting({1: [to(400, 0)]}, homes)
    assert waiting.next_of(0) is None
    homes.forget(1)
    assert waiting.next_of(0) == to(400, 0)


def test_in_a_study_new_runs_go_where_the_least_is_to_do_and_others_stay() -> None:
    homes = Homes()
    homes.settle(1, to(200, 0, 1), RoundDone())
    rounds = study_rounds(homes, 2, [RUNS[:2], RUNS[2:]], {run.run_id: 400 for run in RUNS}, {})
    assert rounds == {0: [to(400, 2, 3)], 1: [to(400, 0, 1)]}


@pytest.mark.parametrize(("mse", "huber", "workers"), [(1, 0, 1), (31, 40, 1), (150, 90, 2), (0, 400, 3), (70, 3, 4)])
def test_pieces_are_the_jobs_and_get_smaller_down_to_a_chunk_and_a_minute(mse: int, huber: int, workers: int) -> None:
    runs = tasks(mse, huber)
    for jobs in share_out(runs, workers) if runs else []:
        cut = pieces(jobs)
        assert [run for piece in cut for run in piece] == [run for job in jobs for run in job]
        for job in jobs:
            own = [piece for piece in cut if piece[0] in job]
            assert sum(map(len, own)) == len(job)
            if len(own) > 1:
                assert min(map(len, own)) >= 32  # a chunk of 64-64
                assert min(sum(expected_seconds(run.run) for run in piece) for piece in own[:-1]) >= PIECE_SECONDS


def test_a_large_share_ends_with_small_pieces() -> None:
    (jobs,) = share_out(tasks(640, 0), 1)
    assert [len(piece) for piece in pieces(jobs)] == [320, 160, 96, 32, 32]


class Absent(Worker):
    """A worker whose node never comes."""

    ended = False

    def send(self, order: Round) -> None:
        raise AssertionError("it is not there")

    def receive(self) -> None: ...

    def stop(self, *, at_once: bool = False) -> None:
        self.ended = True

    def died(self) -> str | None:
        return "before it was needed" if self.ended else None


class HalfThere(ThreadLauncher):
    """Of two workers one is absent."""

    def start(self, settings: WorkerSettings) -> Worker:  # type: ignore[override]
        return Absent() if settings.worker == 0 else super().start(settings)


def test_what_is_meant_for_a_worker_that_never_comes_is_done_by_another(tmp_path: Path) -> None:
    store = opened(tmp_path / "store", RUNS)
    progress = Progress()
    pool = WorkerPool(HalfThere(), store.root, 2, max_lanes=4, checkpoint_seconds=30.0)
    assert train_runs(store, RUNS, pool, progress) is False
    assert len(digests(store.root)) == len(RUNS)
    totals = progress.totals().values()
    assert sum(total.runs_done for total in totals) == sum(total.runs_total for total in totals) == len(RUNS)


def test_a_study_goes_on_with_the_workers_that_are_there(tmp_path: Path) -> None:
    store = opened(tmp_path / "store", RUNS)
    with WorkerPool(HalfThere(), store.root, 2, max_lanes=4, checkpoint_seconds=30.0) as pool:
        for step in (200, 400, THE_END):
            targets = {run.run_id: step for run in RUNS[:2]}
            done = pool.run(study_rounds(pool.homes, 2, [[run] for run in RUNS[:2]], targets, {}))
            assert all(list(points) == [min(step, 600)] for points in done.points.values())
    assert done.ended == {run.run_id: "done" for run in RUNS[:2]}


class Older(ThreadLauncher):
    def start(self, settings: WorkerSettings) -> Worker:  # type: ignore[override]
        return Told(Ready("node7", {"rlbench": "0.0.1"}))


class Told(Absent):
    """A worker that has said one thing."""

    def __init__(self, word: Message) -> None:
        self.words = [word]

    def receive(self) -> Message | None:  # type: ignore[override]
        return self.words.pop() if self.words else None


def test_a_worker_of_another_version_gets_no_round_and_is_named(tmp_path: Path) -> None:
    store = opened(tmp_path / "store", RUNS)
    pool = WorkerPool(Older(), store.root, 1, max_lanes=4, checkpoint_seconds=30.0)
    with (
        pytest.raises(ConfigError, match=r"node7 has rlbench 0\.0\.1 and .* install the same version on every node"),
        pool,
    ):
        pool.run({0: [to(THE_END, 0)]})


def test_deaths_count_again_where_something_was_stored_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, deaths = opened(tmp_path / "store", RUNS), Deaths(tmp_path / "store")
    steps: Mapping[str, int] = {}
    monkeypatch.setattr(type(store), "progress", lambda self: steps)
    assert [deaths.count(number, to(THE_END, 0)) for number in range(MAX_CRASHES + 1)] == [1, 2, 3]
    assert deaths.count(1, to(THE_END, 1)) == 1  # another round
    steps = {RUNS[0].run_id: 100}
    assert [deaths.count(0, to(THE_END, 0)), deaths.count(0, to(THE_END, 0))] == [1, 2]
    deaths.forgive(0, to(THE_END, 0))
    assert deaths.count(0, to(THE_END, 0)) == 1
    assert [deaths.count(5, None), deaths.count(5, None)] == [1, 2]


def test_what_a_worker_did_in_a_round_stays_in_the_view_when_it_dies_in_the_next() -> None:
    progress = Progress()
    progress.expect({"mse": VariantProgress(0, 400, 0, 4)})

    def heard(done: int, total: int, steps: int) -> None:
        progress.update(WorkerUpdate(0, 1, {"mse": VariantProgress(steps, 100 * total, done, total)}, 1.0))

    heard(2, 2, 200)
    progress.keep(0)
    heard(1, 2, 150)
    assert (progress.totals()["mse"].runs_done, progress.totals()["mse"].done_steps) == (3, 350)
    progress.drop(0)
    assert (progress.totals()["mse"].runs_done, progress.totals()["mse"].done_steps) == (2, 200)
