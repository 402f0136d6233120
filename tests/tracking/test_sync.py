"""The command `sync`: what it makes of its words. What it does is in test_mirror_offline.py and test_mirror_online.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from follower_processes import num_mirrored
from tracking_toy import ToyStore
from wandb_files import offline_runs

from rlbench.sync import main


def test_it_mirrors_offline_unless_told_otherwise(toy: ToyStore, capfd: pytest.CaptureFixture[str]) -> None:
    toy.train([1000])
    words = ["wandb.project=p", "wandb.tags=[a, b]", "wandb.entity=e", "wandb.artifacts=false"]
    assert main([f"store={toy.path}", *words]) == 0
    runs = offline_runs(toy.path).values()
    assert {(run.header.project, run.header.entity, tuple(run.header.tags)) for run in runs} == {
        ("p", "e", ("a", "b", "toy", "CartPole-v1"))
    }
    assert num_mirrored(toy.path) == 3
    assert capfd.readouterr().out == "offline: 3 complete runs at W&B project p\n"
    assert main([f"store={toy.path}"]) == 0
    assert capfd.readouterr().out == "offline: 3 complete runs at W&B project p\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["stor=x"], "did you mean 'store'"),
        (["wandb.projct=x"], "did you mean 'wandb.project'"),
        (["wandb.mode=onlin"], "did you mean 'online'"),
        (["wandb.mode=disabled"], "offline, online"),
        (["wandb.artifacts=maybe"], "true, false"),
        (["wandb.project=a/b"], "wandb.project"),
        (["wandb.tags=a"], r"wandb.tags=[a]"),
    ],
)
def test_what_it_does_not_know_is_one_line(
    words: list[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert answer in err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_store_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"store={tmp_path / 'nothing'}"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for key in ("store", "wandb.mode", "wandb.project", "wandb.entity", "wandb.tags", "wandb.artifacts"):
        assert key in out
