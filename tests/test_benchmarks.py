"""The benchmarks' own arithmetic, and what they say to somebody who has not everything they could measure."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import asked_for
from tests.benchmarks.lane_speed import Effort, shape_flops
from tests.benchmarks.peer_speed import bench_peers
from tests.benchmarks.roof import update_flops


def test_operations_of_an_update_are_counted_from_its_layers() -> None:
    # Minibatch of 10, 3 -> 5 -> 2: forward passes 2 * 10 * (15 + 10) = 500 twice, weights' gradients 500,
    # the gradient of the second layer's inputs 2 * 10 * 10 = 200.
    assert update_flops((3, 5, 2), 10) == 1_700
    # 4 -> 64 -> 64 -> 2 has 256 + 4096 + 128 = 4480 weights, 256 of them in the first layer.
    assert shape_flops("batch 64, 64-64") == 2 * 64 * (3 * 4_480 + 4_224) == 2_260_992


def test_peers_that_are_not_installed_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # -S: without anything that was installed
    python.chmod(0o755)
    monkeypatch.setenv("RLBENCH_PEERS_PYTHON", str(python))
    assert bench_peers(Effort()) == []
    assert capsys.readouterr().out == (
        "peers: rejax and stable_baselines3 not installed, left out; pip install 'rlbench[peers]', or name an interpreter"
        " that has them in RLBENCH_PEERS_PYTHON\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lanez"], "lanez is neither a part"),
        (["lanes", "second=1"], "second is neither a part"),
        (["lanes", "against=nowhere"], "against=nowhere is no checkout"),
        (["lanes", "counts=0"], "must be above 0"),
    ],
)
def test_words_that_are_not_known_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asked_for(words)


def test_parts_that_are_not_named_do_not_run() -> None:
    assert list(asked_for(["pixels", "lanes", "seconds=1"])) == ["lanes", "pixels"]
    timed = ["lanes", "peers", "parts"]
    assert list(asked_for([])) == [*timed, "tracking", "statistics", "report", "growth", "tuning", "pixels"]
