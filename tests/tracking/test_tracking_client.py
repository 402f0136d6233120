"""Handing rows to the real client: many at once is the same as one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from numpy.testing import assert_equal
from wandb_files import OfflineRun, offline_runs

SCRIPT = """
import sys
from pathlib import Path
from types import SimpleNamespace
import wandb
from rlbench.tracking import TrackingSettings
from rlbench.tracking.tracker import RunHeader
from rlbench.tracking.wandb import tracker

def never(*args, **kwargs):
    raise AssertionError("not this way")

if sys.argv[2] == "bulk":
    wandb.Run.log = never
else:
    tracker._bulk_entrance = lambda run: None
rows = [
    {"env_steps": 7, "episode/return": 1 / 3, "episode/length": 2**53 - 1, "episode/terminated": 0},
    {"env_steps": 8, "diagnostics/loss": float("nan"), "diagnostics/q_max": float("inf")},
    {"env_steps": 8, "diagnostics/loss": 1e-300, "diagnostics/q_max": -float("inf"), "diagnostics/q_mean": -0.0},
]
rows += [{"env_steps": 10 + i, "episode/return": i * 0.1} for i in range(1500)]
mine = tracker.WandbTracker(TrackingSettings(), Path(sys.argv[1]))
run = mine.open(RunHeader("abc", "name", "group", {"variant": "v"}))
run.log(rows[:2], 0)
run.log(rows[2:], 2)
mine.finish(run, len(rows), {"status": "done", "digest": "d"}, None)
mine.close()
"""


def logged(folder: Path, way: str) -> OfflineRun:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    subprocess.run([sys.executable, "-c", SCRIPT, folder, way], env=environment, check=True, stdin=subprocess.DEVNULL)
    return offline_runs(folder)["abc"]


def test_many_at_once_is_the_same_as_one_by_one(tmp_path: Path) -> None:
    for way in ("bulk", "single"):
        (tmp_path / way).mkdir()
    bulk, single = (logged(tmp_path / way, way) for way in ("bulk", "single"))
    assert len(bulk.rows) == 1503
    assert_equal(bulk.rows, single.rows)
    assert bulk.steps == single.steps == list(range(1503))
    assert_equal(bulk.summary, single.summary)
    assert bulk.step_metrics == single.step_metrics


@pytest.mark.parametrize("arrived", [0, 3, 5, 9, 20])
def test_rows_that_have_arrived_are_left_out(monkeypatch: pytest.MonkeyPatch, arrived: int) -> None:
    from rlbench.tracking.wandb import tracker

    sent: list[int] = []

    class Run:
        settings = SimpleNamespace(sync_dir=".")

        def log(self, row: dict[str, int], step: int, commit: bool) -> None:
            assert row["env_steps"] == 10 * step
            sent.append(step)

    monkeypatch.setattr(tracker, "_bulk_entrance", lambda run: None)
    opened = tracker.WandbRun(Run(), arrived)  # type: ignore[arg-type]
    rows = [{"env_steps": 10 * step} for step in range(12)]
    opened.log(rows[:4], 0)
    opened.log(rows[4:], 4)
    assert sent == list(range(arrived, 12))
