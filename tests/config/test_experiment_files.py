"""Experiment files: those that are shipped, what a file may say, and what a command line changes in it."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.config import experiment_file, resolve
from rlbench.config.experiment_file import experiment_paths, packaged_experiments
from rlbench.errors import ConfigError
from rlbench.lanes.choices.exploration import Linear
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.variant import Budget, Evaluation

SHIPPED = sorted(path.stem for path in packaged_experiments().glob("*.yaml"))
FOUR = ["hard_mse", "hard_huber", "soft_mse", "soft_huber"]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes ./experiments/mine.yaml."""
    monkeypatch.chdir(tmp_path)

    def write_file(text: str) -> None:
        (tmp_path / "experiments").mkdir(exist_ok=True)
        (tmp_path / "experiments" / "mine.yaml").write_text(text)

    return write_file


def test_packaged_experiments_are_inside_a_wheel_and_beside_the_package_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rlbench"
    package.mkdir()
    monkeypatch.setattr(experiment_file.importlib.resources, "files", lambda name: tmp_path / name)
    assert packaged_experiments() == tmp_path / "experiments"
    (package / "experiments").mkdir()
    assert packaged_experiments() == package / "experiments"


def test_the_shipped_experiments_are_found() -> None:
    assert {"cleanrl_cartpole", "quickstart", "target_by_loss"} <= set(SHIPPED)
    assert set(SHIPPED) <= set(experiment_paths(None))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_experiment_resolves_and_says_its_question(name: str) -> None:
    request = resolve([f"experiment={name}"])
    assert request.name == name
    assert request.definition["question"].endswith("?")
    assert len(request.planned) == len(request.definition["cells"]) * len(request.definition["seeds"])
    assert (packaged_experiments() / f"{name}.yaml").read_text().startswith("# ")


def test_target_by_loss_is_the_grid_that_it_says() -> None:
    request = resolve(["experiment=target_by_loss"])
    assert [(cell["variant"], cell["env"]) for cell in request.definition["cells"]] == [
        (v, "CartPole-v1") for v in FOUR
    ]
    assert request.definition["seeds"] == list(range(10))
    assert {one.run.budget for one in request.planned} == {Budget(steps=50_000)}
    assert {one.run.evaluation for one in request.planned} == {Evaluation(2_500, 10)}
    assert request.definition["comparisons"] == [
        {"family": "target rule", "pairs": [["soft_mse", "hard_mse"], ["soft_huber", "hard_huber"]]},
        {"family": "loss", "pairs": [["hard_huber", "hard_mse"], ["soft_huber", "soft_mse"]]},
    ]


def test_a_command_line_wins_over_the_file() -> None:
    request = resolve(
        [
            "experiment=target_by_loss",
            "variant=soft_mse,hard_mse",
            "episodes=30",
            "seeds=5:7",
            "name=other",
            "discount=0.5",
        ]
    )
    assert [one.variant for one in request.planned] == ["soft_mse", "soft_mse", "hard_mse", "hard_mse"]
    assert [one.run.seed for one in request.planned] == [5, 6, 5, 6]
    assert {one.run.budget for one in request.planned} == {Budget(steps=None, episodes=30)}
    assert {one.run.variant.discount for one in request.planned} == {0.5}
    assert request.name == "other"
    assert request.definition["comparisons"] == [{"family": "target rule", "pairs": [["soft_mse", "hard_mse"]]}]
    as_recipe = resolve(["experiment=target_by_loss", "recipe=cleanrl_cartpole"])
    assert [cell["variant"] for cell in as_recipe.definition["cells"]] == ["cleanrl_cartpole"]
    assert {one.run.budget for one in as_recipe.planned} == {Budget(steps=50_000)}


def test_everything_that_a_file_may_say(write: Any) -> None:
    write("""
question: Is it?
variant: [soft_huber, hard_mse]
env: [acrobot, CartPole-v0]
grid:
  optimizer.lr: [1e-3, 1e-4]
set: {loss: huber, loss.delta: 2, network.units: [8, 8], exploration.decay_steps: 9}
seeds: 1:16
steps: 1_000
evaluation: {period: 500, episodes: 2}
diagnostics: {period: 100}
final_window: 3
comparisons: [{family: f, pairs: [[soft_huber optimizer.lr=0.001, hard_mse optimizer.lr=0.001]]}]
""")
    request = resolve(["experiment=mine"])
    assert request.definition["seeds"] == list(range(1, 16))  # and not the sexagesimal number 76
    assert request.definition["final_window"] == 3
    assert [cell["env"] for cell in request.definition["cells"]] == ["Acrobot-v1"] * 4 + ["CartPole-v0"] * 4
    assert [cell["variant"] for cell in request.definition["cells"]][:2] == [
        "soft_huber optimizer.lr=0.001",
        "soft_huber optimizer.lr=0.0001",
    ]
    run = request.planned[0].run
    assert (run.variant.loss, run.variant.network) == (Huber(2.0), MLP(units=(8, 8)))
    assert run.variant.exploration == Linear(decay_fraction=None, decay_steps=9)
    assert (run.budget, run.evaluation, run.diagnostics.period) == (Budget(1_000), Evaluation(500, 2), 100)
    assert request.definition["comparisons"][0]["family"] == "f"
    swept = resolve(["experiment=mine", "optimizer.lr=0.5", "seeds=1"])
    assert [one.variant for one in swept.planned] == ["soft_huber", "hard_mse"] * 2


def test_what_a_file_declares_for_the_report_is_in_the_definition(write: Any) -> None:
    write("""
variant: [soft_mse, hard_mse]
factors: {target: {hard: [hard_mse], soft: [soft_mse]}}
smallest_effect: 2.5
threshold: {CartPole-v1: 400}
""")
    definition = resolve(["experiment=mine"]).definition
    assert definition["factors"] == [
        {
            "factor": "target",
            "levels": [{"level": "hard", "cells": ["hard_mse"]}, {"level": "soft", "cells": ["soft_mse"]}],
        }
    ]
    assert (definition["smallest_effect"], definition["threshold"]) == ({"": 2.5}, {"CartPole-v1": 400.0})
    assert "factors" not in resolve(["experiment=mine", "variant=hard_mse"]).definition


@pytest.mark.parametrize("seeds", ["3", "0:3", "[0, 1, 2]"])
def test_seeds_of_a_file_take_every_form(write: Any, seeds: str) -> None:
    write(f"variant: random\nseeds: {seeds}\n")
    assert resolve(["experiment=mine"]).definition["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an experiment file is a mapping of question, variant,"),
        ("- a", "an experiment file is a mapping of"),
        ("a: [1\nb: 2", "cannot be read (while parsing"),
        ("variant: random\nvariant: random", "'variant' is given twice"),
        ("seed: 3\nvariant: random", "unknown key 'seed'; did you mean 'seeds'? (one of: question,"),
        ("seeds: 3", "needs either variant or recipe: one of the two"),
        ("variant: random\nrecipe: cleanrl_cartpole", "needs either variant or recipe: one of the two"),
        ("variant: randm", "unknown variant 'randm'; did you mean 'random'?"),
        ("variant: []", "variant is an empty list"),
        ("variant: random\nseeds:", "seeds has no value"),
        ("variant: random\nseeds: 0", "seeds=0: at least 1 seed is needed"),
        ("variant: random\nsteps: 5\nepisodes: 5", "steps and episodes exclude each other"),
        ("variant: random\nsteps: -5", "steps must be >= 1; got -5"),
        ("variant: random\nset: [a]", "set is a mapping, {key: value}"),
        ("variant: random\nset: {lr: 3}", "unknown key 'lr'; did you mean 'optimizer.lr'?"),
        ("variant: random\nset: {loss.delta: 3}", "'loss.delta' does not apply: loss=mse has no 'delta'"),
        ("variant: random\nset: {discount: {a: b}}", "discount is a value or a list, not a mapping"),
        ("variant: random\ngrid: {discount: 3}", "grid.discount is a list of values"),
        ("variant: random\ngrid: {discount: [0.1, 0.1]}", "discount lists 0.1 twice"),
        (
            "variant: random\nevaluation: {perod: 3}",
            "unknown key 'evaluation.perod'; did you mean 'evaluation.period'?",
        ),
        ("variant: random\nquestion: [a]", "question is one text"),
        ("variant: random\ncomparisons: 3", "comparisons is a list of {family: name, pairs:"),
        ("variant: random\ncomparisons: [{family: f}]", "comparisons is a list of"),
        ("variant: random\ncomparisons: [{family: f, pairs: [[random]]}]", "comparisons is a list of"),
        ("variant: random\ncomparisons: [{family: f, pairs: [[random, random]]}]", "comparisons is a list of"),
        (
            "variant: [random, hard_mse]\ncomparisons: [{family: f, pairs: [[random, hard_ms]]}]",
            "comparisons 'f': unknown cell 'hard_ms'; did you mean 'hard_mse'? (one of: random, hard_mse)",
        ),
        ("variant: random\nfactors: [a]", "factors is a mapping {factor: {level:"),
        ("variant: random\nfactors: {f: {a: [random]}}", "factors is a mapping {factor: {level: [cell, ...], other"),
        ("variant: random\nfactors: {f: {a: random, b: [random]}}", "factors is a mapping"),
        ("variant: random\nfactors: {f: {a: [random], b: [random]}}", "factors: 'random' is given twice under 'f'"),
        (
            "variant: random\nfactors: {f: {a: [random], b: [randm]}}",
            "factors 'f': unknown cell 'randm'; did you mean 'random'? (one of: random)",
        ),
        ("variant: random\nsmallest_effect: much", "smallest_effect is a return, or a mapping"),
        ("variant: random\nsmallest_effect: {CartPole-v1: 0}", "smallest_effect must be finite and above 0; got 0"),
        ("variant: random\nthreshold: inf", "threshold must be finite; got inf"),
    ],
)
def test_a_mistake_in_a_file_is_told_in_one_line(write: Any, text: str, message: str) -> None:
    write(text)
    with pytest.raises(ConfigError) as caught:
        resolve(["experiment=mine"])
    assert str(caught.value).startswith((f"experiments/mine.yaml: {message}", message))
    assert str(caught.value).isprintable()


def test_files_of_the_config_dir_hide_those_of_the_folder_and_of_the_package(write: Any, tmp_path: Path) -> None:
    write("variant: random\nquestion: in the folder?")
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("variant: random\nquestion: my own?")
    (tmp_path / "experiments" / "quickstart.yaml").write_text("variant: random\nquestion: another quickstart?")
    assert resolve(["experiment=mine"]).definition["question"] == "in the folder?"
    assert resolve(["experiment=mine", "--config-dir", "own"]).definition["question"] == "my own?"
    assert resolve(["experiment=quickstart"]).definition["question"] == "another quickstart?"
    assert len(resolve(["experiment=target_by_loss"]).definition["cells"]) == 4
