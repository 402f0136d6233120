"""`run ... --cfg` and `show` print the same settings, from which the same runs come again."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlbench.run
import rlbench.show
import rlbench.tune
from rlbench.config import resolve, run_id_of, run_of
from rlbench.runner.experiments import recorded
from rlbench.store import Store

WORDS = ["variant=hard_mse,soft_huber", "optimizer.lr=1e-3,1e-4", "steps=2000", "seeds=2", "name=mine"]


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return read


@pytest.mark.parametrize("words", [WORDS, ["experiment=two_environments"], ["recipe=cleanrl_cartpole"]])
def test_what_is_shown_gives_the_same_runs_again(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words, f"store={tmp_path / 'results'}"]
    assert rlbench.run.main([*words, "--cfg"]) == 0
    told = shown(capsys)
    planned = resolve(words).planned
    again = resolve(shlex.split(told["command"])[3:]).planned
    assert [one.run_id for one in again] == [one.run_id for one in planned]
    settings = [{key: value for key, value in one.items() if key != "cell"} for one in told["settings"]]
    ids = {run_id_of({**cell, "seed": seed}) for cell in settings for seed in told["seeds"]}
    assert ids == {one.run_id for one in planned}
    assert not (tmp_path / "results").exists()


def test_show_says_the_same_of_what_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results"
    words = [*WORDS, f"store={path}"]
    assert rlbench.run.main([*words, "--cfg"]) == 0
    asked = shown(capsys)
    request = resolve(words)
    Store.open(path).record_experiment(request.name, *recorded(request.planned, request.definition))
    assert rlbench.show.main(["mine", f"store={path}"]) == 0
    assert shown(capsys) == asked
    planned = request.planned[3]
    assert rlbench.show.main([planned.run_id, f"store={path}"]) == 0
    assert run_of(shown(capsys)["settings"]) == run_of(planned.spec)


def test_a_study_says_where_settings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.tune.main(["study=cartpole", "--cfg"]) == 2
    assert "python -m rlbench.run ... --cfg" in capsys.readouterr().err
