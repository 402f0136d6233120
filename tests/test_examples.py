"""The files of `examples/` do what they say, with small numbers."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from rlbench.config import resolve
from rlbench.store import load

EXAMPLES = Path(__file__).parent.parent / "examples"
SMALL = (
    "replay.warmup=60",
    "batch_size=8",
    "evaluation.episodes=2",
    "workers=1",
    "wandb.mode=disabled",
    "report=false",
)


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is called here has the folder as its current one and on its path, as `python -m` there would."""
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in ("own_loss", "own_study"):  # an environment stays registered, and so stays imported
        sys.modules.pop(name, None)


def words_of(name: str) -> list[str]:
    """The words of the command that a file tells people to give."""
    (line,) = (line for line in (EXAMPLES / name).read_text().splitlines() if "python -m rlbench.run" in line)
    return line.partition("rlbench.run")[2].partition("   ")[0].split()


def test_there_is_nothing_else_in_the_folder() -> None:
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.*") if "__pycache__" not in path.parts}
    assert files == {"own_loss.py", "own_env.py", "own_study.py", "variant/soft_log_cosh.yaml"}


@pytest.mark.parametrize("name", ["own_loss.py", "own_env.py", "variant/soft_log_cosh.yaml"])
def test_the_command_in_a_file_trains(name: str, tmp_path: Path) -> None:
    from rlbench.run import main

    words = [word for word in words_of(name) if not word.startswith("seeds=")]
    own = [f"store={tmp_path}/store", "seeds=1", "steps=300", "evaluation.period=150"]
    assert main([*words, *own, *SMALL]) == 0
    runs = load(tmp_path / "store").runs
    assert set(runs["status"]) == {"done"}
    assert (runs["updates"] == 300 - 60 + 1).all()
    assert set(runs["env"]) == {"own_env:Corridor-v0" if name == "own_env.py" else "CartPole-v1"}


def test_the_variant_file_is_what_it_says() -> None:
    run = resolve(["--config-dir", ".", "variant=soft_log_cosh", "seeds=1"]).planned[0].run
    own_loss: Any = importlib.import_module("own_loss")
    assert run.variant.loss == own_loss.LogCosh(scale=2.0)
    assert run.variant.double
    plain = resolve(["variant=soft_huber", "seeds=1"]).planned[0].run
    assert run.variant.target == plain.variant.target


def test_the_loss_is_log_cosh() -> None:
    own_loss: Any = importlib.import_module("own_loss")
    error = torch.linspace(-30, 30, 601, dtype=torch.float64)
    for scale in (0.5, 1.0, 2.0):
        expected = scale**2 * (error / scale).cosh().log()
        assert torch.allclose(own_loss.LogCosh(scale)(error), expected, rtol=1e-9, atol=1e-12)


def test_the_environment_is_what_gymnasium_asks_for() -> None:
    from gymnasium.utils.env_checker import check_env

    own_env: Any = importlib.import_module("own_env")
    env = own_env.Corridor()
    check_env(env, skip_render_check=True)
    env.reset(seed=0)
    total, over = 0.0, False
    while not over:
        _, reward, over, _, _ = env.step(1)
        total += reward
    assert total in (7.0, 8.0, 9.0) or total == 10.0 - (own_env.Corridor.LENGTH - 1 - 2)


def test_the_study_trains_what_it_proposes(tmp_path: Path) -> None:
    own_study: Any = importlib.import_module("own_study")
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    small = {"steps": 1100, "seeds": 1, "evaluation__period": 550, "workers": 1, "store": os.fspath(tmp_path / "store")}
    study.optimize(lambda trial: own_study.objective(trial, **small), n_trials=1)
    (trial,) = study.trials
    results = load(tmp_path / "store")
    (run_id,) = results.runs["run_id"]
    loss = results.specs()[run_id]["variant"]["loss"]
    assert (loss["kind"], loss["scale"]) == ("own_loss:LogCosh", trial.params["loss.scale"])
    assert trial.value == results.runs["final_return"].mean()
    assert (results.runs["updates"] > 0).all()
