"""Lanes that stop at given steps and wait there give the same bits as lanes that never stop, and may be ended where they wait."""

import dataclasses
from pathlib import Path

import pytest

from rlbench.config.plan import PlannedRun
from rlbench.lanes.choices.losses import Huber, Squared
from rlbench.runner import cohort
from rlbench.runner.cohort import Cohort
from rlbench.runner.cohorts import Cohorts
from rlbench.runner.worker import THE_END, Round, WorkerSettings
from rlbench.store import Store, load
from rlbench.verify import digest_alone
from tests.runner.small_runs import SMALL, digests, opened, task

SETTINGS = WorkerSettings(Path(), max_lanes=8, checkpoint_seconds=30.0, launcher="test")


def made(store: Store) -> Cohort:
    return Cohort(store, SETTINGS, lambda: False)


@pytest.fixture
def tasks() -> list[PlannedRun]:
    return [task(seed) for seed in range(4)]


@pytest.fixture
def uncut(tmp_path: Path, tasks: list[PlannedRun]) -> dict[str, str]:
    """The digests of runs that never stop."""
    store = opened(tmp_path / "uncut", tasks)
    uncut = Cohorts(store, SETTINGS, lambda: False)
    assert uncut.run(whole_round(tasks, THE_END)).ended == {one.run_id: "done" for one in tasks}
    uncut.close()
    return digests(tmp_path / "uncut")


def test_lanes_that_wait_for_each_other_have_the_same_digests(
    tmp_path: Path, tasks: list[PlannedRun], uncut: dict[str, str]
) -> None:
    store = opened(tmp_path / "cut", tasks)
    run = made(store)
    run.add(tasks[:3])
    first, second, third, late = (one.run_id for one in tasks)
    assert run.advance({first: 200, second: 200, third: 400})
    assert {run_id: sorted(points) for run_id, points in run.points.items()} == {
        first: [200],
        second: [200],
        third: [200, 400],
    }
    run.add(tasks[3:])
    assert run.advance({first: 400, late: 200})
    assert run.live == {first, second, third, late}
    run.commit()
    assert run.advance(dict.fromkeys((first, second, third, late), 600))
    assert run.statuses == dict.fromkeys((first, second, third, late), "done")
    run.commit()
    run.close()
    assert digests(tmp_path / "cut") == uncut
    rows = load(tmp_path / "cut").evaluations.groupby(["run_id", "env_steps"])["episode_return"].mean()
    assert {(run_id, at): value for run_id, own in run.points.items() for at, value in own.items()} == rows.to_dict()


def test_a_commit_in_between_lets_another_program_go_on(
    tmp_path: Path, tasks: list[PlannedRun], uncut: dict[str, str]
) -> None:
    store = opened(tmp_path / "cut", tasks)
    run = made(store)
    run.add(tasks)
    run.advance({one.run_id: 200 * (1 + place % 2) for place, one in enumerate(tasks)})
    run.commit()
    run.close()
    again = made(store)
    again.add(tasks)
    again.advance({one.run_id: 600 for one in tasks})
    again.commit()
    again.close()
    assert digests(tmp_path / "cut") == uncut


def test_a_pruned_run_is_final_keeps_its_rows_and_can_be_verified(
    tmp_path: Path, tasks: list[PlannedRun], uncut: dict[str, str]
) -> None:
    store = opened(tmp_path / "cut", tasks)
    run = made(store)
    run.add(tasks)
    run.advance({one.run_id: 400 for one in tasks})
    run.prune([tasks[1].run_id])
    run.advance({one.run_id: 600 for one in tasks})
    run.commit()
    run.close()
    results = load(tmp_path / "cut")
    row = results.runs.set_index("run_id").loc[tasks[1].run_id]
    assert (row["status"], row["env_steps"]) == ("pruned", 400)
    assert sorted(results.evaluations.query(f"run_id == '{tasks[1].run_id}'")["env_steps"].unique()) == [200, 400]
    assert row["digest"] == digest_alone(tasks[1].run, 400) == results.stored_digest(tasks[1].run_id)
    assert tasks[1].run_id in store.final_runs()
    others = {run_id: digest for run_id, digest in digests(tmp_path / "cut").items() if run_id != tasks[1].run_id}
    assert others == {run_id: digest for run_id, digest in uncut.items() if run_id != tasks[1].run_id}


def test_a_stop_ends_with_a_commit(tmp_path: Path, tasks: list[PlannedRun]) -> None:
    store = opened(tmp_path / "cut", tasks)
    run = Cohort(store, SETTINGS, lambda: True)
    run.add(tasks)
    assert not run.advance({one.run_id: 600 for one in tasks})
    run.close()
    assert min(store.progress().values()) > 0


def test_a_run_that_ends_while_it_is_looked_up_is_asked_for_again(tmp_path: Path, tasks: list[PlannedRun]) -> None:
    store = opened(tmp_path / "store", tasks[:1])
    other = made(store)
    other.add(tasks[:1])
    late = made(store)
    seen: list[int] = []

    class EndsMeanwhile(Store):
        def outcomes(self) -> dict[str, dict[str, object]]:
            before = super().outcomes()
            if not seen:  # the other program ends the run just after this look
                seen.append(len(before))
                other.advance({tasks[0].run_id: 600})
                other.commit()
                other.close()
            return before

    late.store = EndsMeanwhile(store.layout)
    assert late.add(tasks[:1])
    assert seen == [0]
    assert late.statuses == {tasks[0].run_id: "done"}


def whole_round(tasks: list[PlannedRun], at: int) -> Round:
    return Round({one.run_id: at for one in tasks}, {}, tasks)


def test_a_worker_trains_several_cohorts_in_one_round(
    tmp_path: Path, tasks: list[PlannedRun], uncut: dict[str, str]
) -> None:
    other = [task(seed, dataclasses.replace(SMALL, loss=Huber())) for seed in range(2)]
    assert isinstance(SMALL.loss, Squared)
    store = opened(tmp_path / "cut", [*tasks, *other])
    worker = Cohorts(store, SETTINGS, lambda: False)
    first = worker.run(whole_round([*tasks, *other], 200))
    assert {run_id: list(points) for run_id, points in first.points.items()} == {
        one.run_id: [200] for one in (*tasks, *other)
    }
    assert first.lane_steps == 6 * 200
    last = worker.run(Round({one.run_id: 600 for one in tasks}, {one.run_id: 200 for one in other}, [*tasks, *other]))
    assert last.ended == {**{one.run_id: "done" for one in tasks}, **{one.run_id: "pruned" for one in other}}
    worker.close()
    found = digests(tmp_path / "cut")
    assert {one.run_id: found[one.run_id] for one in tasks} == uncut


def test_a_run_that_fails_from_the_start_is_recorded_alone(
    tmp_path: Path, tasks: list[PlannedRun], uncut: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Brittle(cohort.Trainer):
        def advance(self, ticks: int):  # type: ignore[no-untyped-def]
            if any(run is not None and run.seed == 2 for run in self.slots):
                raise RuntimeError("seed 2 cannot be trained")
            return super().advance(ticks)

    monkeypatch.setattr(cohort, "Trainer", Brittle)
    store = opened(tmp_path / "cut", tasks)
    worker = Cohorts(store, SETTINGS, lambda: False)
    bad = tasks[2].run_id
    first = worker.run(whole_round(tasks, 200))
    assert first.errors == {bad: "RuntimeError: seed 2 cannot be trained"}
    assert first.ended == {bad: "failed"}
    good = [one for one in tasks if one.run_id != bad]
    last = worker.run(whole_round(good, 600))
    worker.close()
    assert last.ended == {one.run_id: "done" for one in good}
    found = digests(tmp_path / "cut")
    assert {one.run_id: found[one.run_id] for one in good} == {one.run_id: uncut[one.run_id] for one in good}
    assert store.outcomes()[bad]["status"] == "failed"
