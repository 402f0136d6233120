"""What has been mirrored, after any crash, and who may mirror."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlbench.tracking import TrackingSettings
from rlbench.tracking.ledger import Lock, Mirrored, MirrorLedger, destination_folder, recall, remember

ID_A, ID_B = "a" * 16, "b" * 16
A = Mirrored(ID_A, "done 1", True, 470, f"offline-run-20260102_030405-{ID_A}")
B = Mirrored(ID_B, "failed 2", False, 3)


def test_a_ledger_remembers(tmp_path: Path) -> None:
    ledger = MirrorLedger(tmp_path)
    assert ledger.runs == {}
    ledger.add(A)
    ledger.add(B)
    assert MirrorLedger(tmp_path).runs == {ID_A: A, ID_B: B} == ledger.runs


def test_the_latest_line_of_a_run_holds(tmp_path: Path) -> None:
    ledger = MirrorLedger(tmp_path)
    ledger.add(B)
    later = Mirrored(ID_B, "done 3", True, 9)
    ledger.add(later)
    assert MirrorLedger(tmp_path).runs == {ID_B: later}


@pytest.mark.parametrize("kept", range(0, 100, 7))
def test_a_line_that_was_cut_off_does_not_count_and_harms_no_other(tmp_path: Path, kept: int) -> None:
    ledger = MirrorLedger(tmp_path)
    ledger.add(A)
    path = tmp_path / "mirrored.jsonl"
    whole = path.stat().st_size
    ledger.add(B)
    os.truncate(path, min(whole + kept, path.stat().st_size - 2))
    assert MirrorLedger(tmp_path).runs == {ID_A: A}
    MirrorLedger(tmp_path).add(B)
    assert MirrorLedger(tmp_path).runs == {ID_A: A, ID_B: B}


def test_one_destination_has_one_folder(tmp_path: Path) -> None:
    def folder(mode: str, base_url: str = "", **values: str) -> Path:
        settings = TrackingSettings(mode, **values)  # type: ignore[arg-type]
        return destination_folder(tmp_path, "wandb", settings.destination(base_url))

    online = {
        folder("online", "http://a:1"),
        folder("online", "http://a:2"),
        folder("online", "http://a:1", project="p"),
        folder("online", "http://a:1", entity="e"),
    }
    assert len(online) == 4
    assert folder("online", "http://a:1/") == folder("online", "http://a:1")
    assert folder("offline") == folder("offline", project="p") not in online


def test_the_lock_is_for_one(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.try_take()
    assert not second.try_take()


def test_a_child_that_inherited_the_lock_holds_it(tmp_path: Path, until: Callable[..., None]) -> None:
    # As W&B's service does when the follower is killed: as long as it lives, nobody else may begin.
    code = (
        "import subprocess, sys; from pathlib import Path; from rlbench.tracking.ledger import Lock\n"
        "lock = Lock(Path(sys.argv[1])); assert lock.try_take(); lock.mark(); lock.hand_to_children()\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        assert holder.wait() == 0
        lock = Lock(tmp_path)
        assert not lock.try_take()
        os.kill(child, signal.SIGKILL)
    until(lock.try_take)
    assert lock.mark()


def test_the_lock_tells_whether_the_one_before_came_to_an_end(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    assert not lock.mark()
    assert lock.mark()
    lock.unmark()
    assert not lock.mark()


def test_what_a_store_was_mirrored_with_is_remembered(tmp_path: Path) -> None:
    assert recall(tmp_path, "wandb") is None
    (tmp_path / "wandb" / "follower").mkdir(parents=True)
    settings = TrackingSettings("online", "p", "e", ("a", "b"), artifacts=True)
    remember(tmp_path, settings)
    assert recall(tmp_path, "wandb") == settings
    (tmp_path / "wandb" / "follower" / "settings.json").write_text("{")
    assert recall(tmp_path, "wandb") is None
