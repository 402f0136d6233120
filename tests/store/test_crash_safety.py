"""Contract 3: a program killed at any moment loses no published row, doubles none, and resumes to the same digests."""

import time
from collections import Counter
from pathlib import Path

import pytest
import store_toy
from store_toy import Toy, everything

from rlbench.store import Store, load
from rlbench.store.sweeping import strays


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, stride: int) -> Path:
    """One store per file operation of a training (each `stride`th of them), each killed with SIGKILL before that operation."""
    folder = tmp_path_factory.mktemp("killed")
    with store_toy.start("kill-everywhere", folder, stride) as script:
        assert script.wait(timeout=300) == 0
    return folder


def test_killed_before_any_file_operation_it_resumes_to_the_same_result(
    killed: Path, tmp_path: Path, stride: int
) -> None:
    toy = store_toy.SHORT
    toy.finish(tmp_path / "whole")
    whole = everything(tmp_path / "whole")
    stores = sorted(path for path in killed.iterdir() if path.is_dir())
    where = Counter(path.read_text() for path in killed.glob("*.killed"))
    if stride == 1:  # every commit and claim among them
        assert where["link"] > 8
        assert where["write_file"] > 10
    assert where["link"] >= 2
    for store in stores:
        _check_that_whoever_sees_an_end_sees_all_rows(store, toy)
        _check_that_published_rows_are_whole_commits(store, toy)
        toy.finish(store)
        assert everything(store) == whole, store
        for folder in ("staging", "checkpoints", "claims", "leases"):
            assert not list((store / folder).iterdir()), store
        assert strays(Store.open(store).layout, Store.open(store).index) == [], store


def _check_that_whoever_sees_an_end_sees_all_rows(path: Path, toy: Toy) -> None:
    reader = Store.open(path, create=False)  # what the killed program left is not settled
    for run_id in reader.outcomes():
        assert episode_ends(reader, run_id) == list(range(5, toy.specs[run_id]["budget"]["steps"] + 1, 5)), path


def _check_that_published_rows_are_whole_commits(path: Path, toy: Toy) -> None:
    store = Store.open(path)
    ends = store.progress() | {run_id: row["env_steps"] for run_id, row in store.outcomes().items()}
    for run_id in toy.run_ids:
        assert episode_ends(store, run_id) == list(range(5, ends.get(run_id, 0) + 1, 5)), path


def episode_ends(store: Store, run_id: str) -> list[int]:
    rows: list[int] = store.read_rows("episodes", run_ids=[run_id])["env_steps"].to_pylist()
    return sorted(rows)


def test_resuming_starts_from_the_stored_state(tmp_path: Path, toy: Toy) -> None:
    with toy.program(tmp_path) as program:
        toy.train(program, commits=2)
    with toy.program(tmp_path) as program:
        assert program.run_ids == (toy.run_ids[1],)  # the other is done
        state = program.checkpoint_of(toy.run_ids[1])
        assert state is not None
        assert state.env_steps == 20
        assert state.tensors["weights"].shape == (1, 3)


def test_a_commit_that_the_index_does_not_name_is_nothing(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = toy.program(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("rlbench.store.index_log.IndexLog.transact", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            toy.train(program, commits=1)
    program.close()
    store = Store.open(tmp_path)
    assert store.parts("episodes") == []
    assert store.progress() == {}
    for folder in ("staging", "checkpoints", "claims", "tables/episodes", "tables/starts"):
        assert not list((tmp_path / folder).iterdir()), folder


def test_an_end_that_a_killed_program_committed_is_seen_by_stores_opened_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy((10,))
    program = toy.program(tmp_path)
    store = Store.open(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("rlbench.store.program.Program._remove_old_claims", _interrupt)
        patch.setattr("rlbench.store.program.forget", lambda *_: None)  # as if killed: nobody tidies up
        with pytest.raises(KeyboardInterrupt):
            toy.train(program)
    assert store.outcomes().keys() == set(toy.run_ids)
    assert store.program(toy.run_ids).run_ids == ()
    program.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_readers_see_whole_commits_only(tmp_path: Path) -> None:
    """While another process commits, every reading holds each run's rows without a gap, all of them once it is done."""
    budgets = (50, 100, 150)
    toy = Toy(budgets)
    with store_toy.start("train", tmp_path, *budgets) as writer:
        seen: set[Path] = set()
        readings = 0
        while writer.poll() is None or readings == 0:
            if not (tmp_path / "format.json").exists():
                continue
            results = load(tmp_path)
            parts = results.store.parts("episodes")
            assert seen <= set(parts)
            seen = set(parts)
            status = results.runs.set_index("run_id")["status"]
            for _, own in results.episodes.groupby("run_id"):
                assert list(own["env_steps"]) == list(range(5, len(own) * 5 + 1, 5))
                assert len(own) % 2 == 0  # two episodes a commit
            for run_id in status.index[status == "done"]:
                assert (results.episodes["run_id"] == run_id).sum() == budgets[toy.run_ids.index(run_id)] / 5
            readings += 1
            time.sleep(0.05)  # the writer needs the processor too
    assert writer.returncode == 0
    assert (load(tmp_path).runs["status"] == "done").all()
    assert len(load(tmp_path).episodes) == sum(budgets) / 5
