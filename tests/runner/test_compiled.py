"""The compiled engine, which is what people run: killed, continued, and a run of it trained again alone, with the same bits.

The other tests of the runner are eager, for speed; the compiled engine at many shapes and widths is in the slow tests of the lanes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.lanes.fast.platform import ENGINE
from rlbench.store import Store, load
from tests.runner.commands import kill, progress, wait_until

WORDS = (
    "variant=soft_huber",
    "seeds=3",
    "steps=30000",
    "network.units=[12,9]",
    "batch_size=16",
    "replay.warmup=100",
    "replay.capacity=1000",
    "evaluation.period=15000",
    "evaluation.episodes=2",
    "workers=1",
    "checkpoint_seconds=0.5",
    "wandb.mode=disabled",
)


def command(store: Path, module: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, f"store={store}", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"RLBENCH_COMPILE": "1"},
    )


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here: nothing is compiled")
@pytest.mark.slow
def test_compiled_runs_are_killed_continued_and_verified(tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = command(store, "rlbench.run", *WORDS)
    wait_until(process, lambda: len(progress(store)) == 3 and min(progress(store).values()) > 1000)
    kill(process)
    went_on_from = progress(store)
    assert min(went_on_from.values()) > 1000
    assert max(went_on_from.values()) < 30000
    again = command(store, "rlbench.run", *WORDS)
    assert again.communicate(timeout=600)[1].count("3 of them from their last checkpoint") == 1
    assert again.returncode == 0
    runs = load(store).runs
    assert set(runs["platform"]) == {ENGINE}
    assert Store.open(store, create=False).progress() == {}
    verified = command(store, "rlbench.verify")
    out, _ = verified.communicate(timeout=600)
    assert verified.returncode == 0
    assert "the same digest" in out
