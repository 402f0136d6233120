"""What every tracker keeps to: each run once, with every row in its order, after whatever happened on the way.

A new tracker is one entry in `KINDS`; nothing here knows of any of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_equal
from trackers_under_test import KINDS, MemoryTracker
from tracking_toy import ToyStore

from rlbench.store import load
from rlbench.tracking.ledger import MirrorLedger
from rlbench.tracking.mirror import Mirror
from rlbench.tracking.tracker import TrackingError


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Any]:
    before = dict(os.environ)
    yield KINDS[request.param]()
    os.environ.clear()
    os.environ.update(before)


def new_mirror(kind: Any, toy: ToyStore) -> Mirror:
    folder = toy.path.parent / "ledger"
    folder.mkdir(exist_ok=True)
    return Mirror(toy.store, MirrorLedger(folder), kind.tracker(toy.path))


def mirror(kind: Any, toy: ToyStore) -> int:
    """All that there is; returns how many runs are left unfinished."""
    whole = new_mirror(kind, toy)
    whole.advance()
    return whole.finish()


def assert_complete(kind: Any, toy: ToyStore) -> None:
    """Every run is shown once, with its rows, its summary and what it is."""
    shown = kind.shown(toy.path)
    stored = load(toy.path).runs.set_index("run_id")
    assert set(shown) == set(toy.run_ids)
    for run_id, run in shown.items():
        row = stored.loc[run_id]
        assert_equal(run.rows, toy.expected_rows(run_id))  # knows that NaN is NaN
        assert (run.summary["status"], run.summary["digest"]) == (row.status, row.digest)
        assert run.summary["final_return"] == pytest.approx(row.final_return, rel=1e-12)
        assert (run.name, run.group) == (f"soft_huber-s{row.seed}", "soft_huber")
        assert (run.config["env"], run.config["seed"]) == ("CartPole-v1", row.seed)
        assert toy.settings(run_id).items() <= run.config.items()


def test_every_number_is_shown(kind: Any, toy: ToyStore) -> None:
    toy.train([300, 1000])
    assert mirror(kind, toy) == 0
    assert_complete(kind, toy)


def test_a_second_time_there_is_nothing_to_do(kind: Any, toy: ToyStore) -> None:
    toy.train([1000])
    mirror(kind, toy)
    before = kind.shown(toy.path)
    mirror(kind, toy)
    assert_equal(
        {run_id: run.rows for run_id, run in kind.shown(toy.path).items()}, {k: v.rows for k, v in before.items()}
    )


def test_interrupted_training_goes_on_in_the_same_run(kind: Any, toy: ToyStore) -> None:
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 400)
        assert mirror(kind, toy) == 3
        for run_id, run in kind.shown(toy.path).items():
            assert_equal(run.rows, [row for row in toy.expected_rows(run_id) if row["env_steps"] < 400])
        toy.commit(program, 400, 1000)
    assert mirror(kind, toy) == 0
    assert_complete(kind, toy)


def test_what_was_dropped_under_way_is_shown_whole(kind: Any, toy: ToyStore) -> None:
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        dropped = new_mirror(kind, toy)
        dropped.advance()
        dropped.abandon()
        toy.commit(program, 500, 1000)
    assert mirror(kind, toy) == 0
    assert_complete(kind, toy)


def test_a_failed_run_that_is_tried_again_is_one_run(kind: Any, toy: ToyStore) -> None:
    with toy.store.program(toy.run_ids) as program:
        unlucky = toy.fail_first(program, 500)
        mirror(kind, toy)
        assert kind.shown(toy.path)[unlucky].summary["status"] == "failed"
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 500, 1000)
    mirror(kind, toy)
    assert_complete(kind, toy)


def test_a_run_that_somebody_removed_is_shown_again(kind: Any, toy: ToyStore) -> None:
    toy.train([1000])
    mirror(kind, toy)
    kind.lose(toy.path, toy.run_ids[1])
    assert set(kind.shown(toy.path)) == {toy.run_ids[0], toy.run_ids[2]}
    mirror(kind, toy)
    assert_complete(kind, toy)


def test_what_could_not_be_shown_is_no_mirrored_run(toy: ToyStore, tmp_path: Path) -> None:
    toy.train([1000])
    tracker = MemoryTracker({})
    lost = Mirror(toy.store, MirrorLedger(tmp_path), tracker)
    tracker.is_lost = True
    with pytest.raises(TrackingError, match="the memory is gone"):
        lost.advance()
    lost.abandon()
    assert tracker.is_closed
    assert MirrorLedger(tmp_path).runs == {}
