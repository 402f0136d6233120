"""A commit takes what its states cover and refuses the rest, with nothing written."""

from pathlib import Path
from typing import Any

import pytest
import store_toy
import torch
from safetensors import safe_open
from store_toy import Toy

from rlbench.errors import ConfigError, StoreError
from rlbench.store import Checkpoint, CheckpointLane, Finished, Member, Program, Store, load
from rlbench.store.schema import canonical_json


@pytest.fixture
def store(tmp_path: Path, toy: Toy) -> Store:
    store = Store.open(tmp_path)
    store_toy.record(store, list(toy.specs.values()))
    return store


def episodes(run_id: str, *env_steps: int) -> dict[str, dict[str, list[Any]]]:
    n = len(env_steps)
    columns = {"episode": [steps // 5 for steps in env_steps], "env_steps": [*env_steps], "length": [5] * n}
    return {"episodes": {"run_id": [run_id] * n, **columns, "episode_return": [1.0] * n, "terminated": [False] * n}}


def at(**env_steps: int) -> Checkpoint:
    """A checkpoint of these runs; each lane's tensor holds its env_steps."""
    lanes = [CheckpointLane(run_id, steps, {"note": steps}) for run_id, steps in env_steps.items()]
    return Checkpoint({"steps": torch.tensor([*env_steps.values()])}, lanes)


def commit(program: Program, rows: Any = None, checkpoint: Checkpoint | None = None, *finished: Finished) -> None:
    program.commit(rows or {}, checkpoint, finished, platform="p", launcher="l")


def end(run_id: str, env_steps: int, status: str = "done", **more: Any) -> Finished:
    return Finished(run_id, status, env_steps, env_steps - 1, env_steps // 5, 0.25, "d" * 64, **more)


def stored_steps(path: Path, run_id: str) -> list[int]:
    rows = load(path).episodes
    return list(rows[rows["run_id"] == run_id]["env_steps"])


def test_every_lane_gets_its_own_state_back(store: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    with store.program(toy.run_ids) as program:
        assert program.checkpoint_of(first) is None
        commit(program, None, at(**{second: 7, first: 3}))
        for run_id, steps in ((first, 3), (second, 7)):
            state = program.checkpoint_of(run_id)
            assert state is not None
            assert (state.run_id, state.env_steps, state.meta) == (run_id, steps, {"note": steps})
            assert state.tensors["steps"].tolist() == [steps]
        assert store.progress() == {first: 3, second: 7}


def test_an_outcome_holds_what_was_said(store: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    weights = {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.ones(2)}
    with store.program(toy.run_ids) as program:
        commit(program, None, None, end(first, 20, weights=weights), end(second, 9, "diverged", error="loss is inf"))
        assert program.run_ids == ()
    outcome = store.outcomes()[first]
    assert {key: outcome[key] for key in ("status", "env_steps", "updates", "episodes", "wall_s", "digest")} == {
        "status": "done",
        "env_steps": 20,
        "updates": 19,
        "episodes": 4,
        "wall_s": 0.25,
        "digest": "d" * 64,
    }
    assert (outcome["platform"], outcome["launcher"], outcome["error"]) == ("p", "l", "")
    assert outcome["version"]
    assert outcome["finished_at"].tzinfo is not None
    assert store.outcomes()[second]["error"] == "loss is inf"
    with safe_open(store.weights_path(first), framework="pt") as file:
        assert file.metadata()["spec"] == canonical_json(toy.specs[first])
    loaded = load(store.root).weights(first)
    assert loaded.keys() == weights.keys()
    assert torch.equal(loaded["0.weight"], weights["0.weight"])
    assert load(store.root).weights(second) == {}


@pytest.mark.parametrize(
    ("steps", "lane_at", "message"),
    [
        ((15,), None, "neither a lane nor an end"),
        (
            (15, 21),
            20,
            "15 to 21 env_steps; this commit takes it from 10 to 20",
        ),  # would be published again on resuming
        ((5,), 20, "5 to 5 env_steps; this commit takes it from 10 to 20"),  # started over in spite of its state
        ((), 5, "must go on from its stored state at 10"),
    ],
)
def test_rows_that_no_state_covers_are_refused(
    store: Store, toy: Toy, steps: tuple[int, ...], lane_at: int | None, message: str
) -> None:
    run_id = toy.run_ids[0]
    with store.program([run_id]) as program:
        commit(program, episodes(run_id, 5, 10), at(**{run_id: 10}))
        with pytest.raises(ValueError, match=message):
            commit(program, episodes(run_id, *steps), None if lane_at is None else at(**{run_id: lane_at}))
        commit(program, episodes(run_id, 15, 20), at(**{run_id: 20}))  # still usable
    assert stored_steps(store.root, run_id) == [5, 10, 15, 20]


def test_the_end_of_a_run_covers_its_last_rows_only(store: Store, toy: Toy) -> None:
    run_id = toy.run_ids[0]
    with store.program([run_id]) as program, pytest.raises(ValueError, match="5 to 25 env_steps"):
        commit(program, episodes(run_id, 5, 25), None, end(run_id, 20))
    assert store.parts("episodes") == []


@pytest.mark.parametrize(
    ("checkpoint", "finished", "message"),
    [
        ([("mine", 5), ("mine", 6)], [], "twice"),
        ([("mine", 5)], [("mine", "done")], "twice"),
        ([("other", 5)], [], "does not hold"),
        ([], [("other", "done")], "does not hold"),
        ([], [("mine", "finished")], "unknown status 'finished'"),
    ],
)
def test_commits_about_the_wrong_runs_are_refused(
    store: Store, toy: Toy, checkpoint: list[tuple[str, int]], finished: list[tuple[str, str]], message: str
) -> None:
    ids = {"mine": toy.run_ids[0], "other": toy.run_ids[1]}
    lanes = [CheckpointLane(ids[name], steps) for name, steps in checkpoint]
    with store.program([ids["mine"]]) as program, pytest.raises(ValueError, match=message):
        commit(program, None, Checkpoint({}, lanes), *[end(ids[name], 5, status) for name, status in finished])
    assert store.progress() == {}
    assert store.outcomes() == {}


def test_tensors_without_a_lane_axis_are_refused(store: Store, toy: Toy) -> None:
    lanes = [CheckpointLane(run_id, 5) for run_id in toy.run_ids]
    with store.program(toy.run_ids) as program:
        for tensor in (torch.zeros(3, 2), torch.tensor(1)):
            with pytest.raises(ValueError, match="has not 2 lanes"):
                commit(program, None, Checkpoint({"x": tensor}, lanes))


def test_unknown_tables_are_refused(store: Store, toy: Toy) -> None:
    with store.program(toy.run_ids) as program, pytest.raises(ValueError, match="unknown table 'outcomes'"):
        commit(program, {"outcomes": {}})


def test_a_failed_run_is_tried_again_from_its_last_state(store: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    with store.program(toy.run_ids) as program:
        commit(program, episodes(first, 5, 10), at(**{first: 10, second: 10}))
        rows = {
            name: values + episodes(second, 15)["episodes"][name]
            for name, values in episodes(first, 15)["episodes"].items()
        }
        commit(program, {"episodes": rows}, at(**{second: 20}), end(first, 15, "failed", error="ZeroDivisionError"))
        assert program.run_ids == (second,)
    assert stored_steps(store.root, first) == [5, 10]  # what came after the state will be recorded again
    assert stored_steps(store.root, second) == [15]
    assert store.progress() == {first: 10, second: 20}
    assert list(load(store.root).runs["status"]) == ["failed", "pending"]
    with store.program([first]) as program:
        assert list(load(store.root).runs["status"]) == ["running", "pending"]
        state = program.checkpoint_of(first)
        assert state is not None
        assert state.env_steps == 10
        commit(program, episodes(first, 15, 20), None, end(first, 20))
    assert stored_steps(store.root, first) == [5, 10, 15, 20]
    assert store.outcomes()[first]["status"] == "done"  # the latest
    with store.program([first]) as program:
        assert program.run_ids == ()
    assert set(store.progress()) == {second}


def test_lanes_laid_aside_keep_their_state(store: Store, toy: Toy) -> None:
    """A program that trains one cohort after another, whose states cannot be stacked."""
    first, second = toy.run_ids
    with store.program(toy.run_ids) as program:
        commit(program, episodes(first, 5), at(**{first: 5}))
        commit(program, episodes(second, 5), at(**{second: 5}))
        commit(program, episodes(second, 10), at(**{second: 10}))
        assert store.progress() == {first: 5, second: 10}
        commit(program, episodes(first, 10), at(**{first: 10}))
        assert store.progress() == {first: 10, second: 10}
    assert store.progress() == {first: 10, second: 10}
    assert len(list((store.root / "checkpoints").iterdir())) == 2  # the superseded ones are gone


def test_parts_are_listed_in_order_of_publication_whatever_the_clock_does(
    store: Store, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = toy.run_ids[0]
    listed: list[Path] = []
    with store.program([run_id]) as program:
        for now, steps in ((2000, 5), (1000, 10), (3000, 15)):
            monkeypatch.setattr("time.time_ns", lambda now=now: now)
            commit(program, episodes(run_id, steps), at(**{run_id: steps}))
            parts = store.parts("episodes")
            assert parts[:-1] == listed
            listed = parts
    assert len(listed) == 3


def test_recording_twice_writes_nothing(store: Store, toy: Toy) -> None:
    before = sorted(store.root.rglob("*.parquet"))
    assert len(before) == 3
    store_toy.record(store, list(toy.specs.values()))
    store_toy.record(Store.open(store.root), list(toy.specs.values()))
    assert sorted(store.root.rglob("*.parquet")) == before


def test_a_changed_definition_holds_and_members_are_added(store: Store, toy: Toy) -> None:
    added = store_toy.spec_of(seed=9)
    (run_id,) = store_toy.record(store, [added], final_window=2)
    assert store.experiments() == {"toy": {"name": "toy", "final_window": 2}}
    assert store.members("toy").keys() == {*toy.run_ids, run_id}
    assert store.specs() == {**toy.specs, run_id: added}
    assert store.spec(run_id) == added
    store_toy.record(store, [added])
    assert store.experiments() == {"toy": {"name": "toy", "final_window": 2}}


def test_a_member_keeps_what_was_said_of_it(store: Store, toy: Toy) -> None:
    member = Member(toy.run_ids[0], "v", 0, study="s", trial=4)
    store.record_experiment("tuning", {}, [member], {})
    assert store.members("tuning") == {member.run_id: member}
    assert store.members("toy")[member.run_id] == Member(member.run_id, "v", 0)


def test_one_run_under_two_labels_is_refused(store: Store, toy: Toy) -> None:
    run_id = toy.run_ids[0]
    with pytest.raises(ConfigError, match="'a' and 'b' are the same run"):
        store.record_experiment("x", {}, [Member(run_id, "a", 0), Member(run_id, "b", 1)], toy.specs)
    assert list(store.experiments()) == ["toy"]


def test_another_specification_of_a_known_run_is_refused(store: Store, toy: Toy) -> None:
    run_id = toy.run_ids[0]
    with pytest.raises(StoreError, match="stored with another specification"):
        store.record_experiment("x", {}, [Member(run_id, "a", 0)], {run_id: store_toy.spec_of(seed=77)})
    assert list(store.experiments()) == ["toy"]


def test_members_without_a_specification_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="without a specification"):
        store.record_experiment("x", {}, [Member("0" * 16, "a", 0)], {})
    assert list(store.experiments()) == ["toy"]
