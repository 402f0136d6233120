"""Any budget works: what nobody gave is a part of it, and at the default budgets every run keeps its id."""

import hashlib
from pathlib import Path

import pytest

from rlbench.config import resolve, run_id
from rlbench.config.cadence import NAMES, default_fraction, steps_of
from rlbench.config.composing import composing
from rlbench.errors import ConfigError
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.variant import Diagnostics, Evaluation, Run
from rlbench.tuning.request import resolve as resolve_study
from rlbench.tuning.study import first_run

# SHA-256 over the ids of all runs, from a time when every cadence was written in steps; the last ones are younger.
IDS = {
    "variant=hard_huber": "cf33618b3bfea0ae",
    "variant=hard_huber_pixel": "44b3d60b7dd3f8de",
    "variant=hard_huber_small_pixel": "c0ef80d0794b1c94",
    "variant=hard_mse": "7185264bdc69bcfc",
    "variant=hard_mse_pixel": "d75571c5d689dfc7",
    "variant=hard_mse_small_pixel": "4fefbd564fecd95f",
    "variant=random": "74dde5f1548e34bf",
    "variant=soft_huber": "0a50d586a2eb7835",
    "variant=soft_huber_pixel": "7e55a153ad8281cb",
    "variant=soft_huber_small_pixel": "46f008bc15bc5a6f",
    "variant=soft_mse": "14ebeddfb447ad76",
    "variant=soft_mse_pixel": "160048db035abea3",
    "variant=soft_mse_small_pixel": "4e13ffe0f74fb8fe",
    "recipe=cleanrl_cartpole": "f2c2252cceddc103",
    "recipe=keras_mountaincar": "2b38a771e0eefbcb",
    "recipe=keras_mountaincar_fixed": "c62d6258e85a3dc7",
    "recipe=mlp_hard": "70c834bc791edf0b",
    "recipe=mlp_hard_fixed": "e6dd132da3fb81e7",
    "recipe=pytorch_pixel": "84f2dc73a1c55a49",
    "recipe=pytorch_pixel_448": "2eb6fa3fd6cb5653",
    "recipe=pytorch_state": "bcfb21f6a2fed380",
    "recipe=torchkeras": "fd202bf38ea2cd9b",
    "recipe=torchkeras_fixed": "aa70260f8c1b0823",
    "experiment=cleanrl_cartpole": "f2c2252cceddc103",
    "experiment=hard_or_soft": "c5dc3dc1a10f1cbb",
    "experiment=pixel_vs_state": "ecb6ac93602b6afd",
    "experiment=pixel_vs_state_small": "9673106680e92a20",
    "experiment=quickstart": "9188c9ca9f104789",
    "experiment=target_by_loss": "dfd0d9696657edbb",
    "experiment=two_environments": "a490b5514f40e4bd",
    "env=acrobot": "554844c85dda2f45",
    "env=cartpole": "7185264bdc69bcfc",
    "env=cartpole_v0": "4c0d982270152538",
    "env=mountain_car": "5a94cefdac5358c7",
    "variant=c51": "2c5dafdb936ee16d",
    "variant=double": "122656c6d6883387",
    "variant=dueling": "1693a3cb00c8bc79",
    "variant=munchausen": "2129a94bf6f1ac28",
    "variant=noisy": "febf71264aa6f626",
    "variant=nstep": "5ca27750b4308405",
    "variant=per": "b7ca083665d614e2",
    "variant=qr": "66948496773e0546",
    "variant=rainbow": "f70fde28b84b3ad3",
    "variant=rainbow_no_c51": "09e482e63eb8e9a0",
    "variant=rainbow_no_double": "fcdbd1e73b5f3c86",
    "variant=rainbow_no_dueling": "e38bca2a44325cf5",
    "variant=rainbow_no_noisy": "5627375ff9236edc",
    "variant=rainbow_no_nstep": "4341f445309deec4",
    "variant=rainbow_no_per": "31c628fcc73de638",
    "recipe=cleanrl_c51": "17b3420e6160afe1",
    "recipe=revisiting_dqn": "11539c341cd3410a",
    "recipe=revisiting_dqn_acrobot": "ae656b3f26ca4377",
    "recipe=revisiting_dqn_mountaincar": "05d9b80c0acb1ee6",
    "recipe=revisiting_rainbow": "26959bed94d2f88d",
    "recipe=revisiting_rainbow_acrobot": "5910b39274fd9354",
    "recipe=revisiting_rainbow_acrobot_fixed": "b7ae46786c2a8f59",
    "recipe=revisiting_rainbow_fixed": "d522a10c74d82af5",
    "recipe=revisiting_rainbow_mountaincar": "b33979c9648b5d2c",
    "recipe=revisiting_rainbow_mountaincar_fixed": "ea7276cf8ea68175",
}
STUDY_IDS = {"study=cartpole": "28ffd085192cdf27"}

with composing() as composer:
    NAMED = [
        f"{group}={name}"
        for group in ("variant", "recipe")
        for name in composer.names[group]
        if not name.endswith(("_lunarlander", "_lunarlander_fixed"))  # needs an extra: see test_revisiting
    ]


def digest_of(run_ids: list[str]) -> str:
    return hashlib.sha256("\n".join(run_ids).encode()).hexdigest()[:16]


def first(*words: str) -> Run:
    return resolve([*words, "seeds=1"]).planned[0].run


def cadences(run: Run) -> tuple[int, int, int]:
    return run.evaluation.period, run.diagnostics.period, run.variant.replay.warmup


@pytest.mark.parametrize("command", IDS)
def test_at_its_default_budget_every_run_keeps_its_id(command: str) -> None:
    assert digest_of([planned.run_id for planned in resolve([command]).planned]) == IDS[command]


@pytest.mark.parametrize("command", STUDY_IDS)
def test_at_its_default_budget_every_study_keeps_its_runs(command: str) -> None:
    studies = resolve_study([command]).studies
    assert digest_of([run_id(first_run(study)) for study in studies]) == STUDY_IDS[command]


def test_the_shipped_names_are_all_held() -> None:
    assert set(NAMED) <= set(IDS)


@pytest.mark.parametrize("named", NAMED)
def test_every_named_algorithm_takes_a_short_budget(named: str) -> None:
    for steps in (1500, 3_000_000):
        run = first(named, f"steps={steps}")
        assert run.budget.steps == steps
        assert all(1 <= cadence <= steps for cadence in cadences(run))
        assert run.variant.replay.warmup <= run.variant.replay.capacity


SHORT = [(steps, "soft_huber") for steps in (1, 2)] + [
    (steps, variant) for steps in (7, 19, 20, 50, 999) for variant in ("soft_huber", "nstep", "rainbow")
]  # a transition of three steps takes three


@pytest.mark.parametrize(("steps", "variant"), SHORT)
def test_no_budget_is_too_small(steps: int, variant: str) -> None:
    period, _, warmup = cadences(first(f"variant={variant}", f"steps={steps}"))
    assert steps // period >= min(steps, 20)
    assert warmup <= steps


def test_defaults_are_their_parts_of_the_default_budget() -> None:
    assert [default_fraction(name) for name in NAMES] == [0.05, 0.02, 0.02]
    assert cadences(first("variant=hard_mse")) == (Evaluation().period, Diagnostics().period, Uniform().warmup)
    assert cadences(first("variant=hard_mse", "steps=100000")) == (5000, 2000, 2000)


def test_a_part_is_rounded_down_and_exact() -> None:
    assert [steps_of(0.29, 100), steps_of(0.05, 1234), steps_of(1 / 3, 9), steps_of(1e-9, 10)] == [29, 61, 2, 0]


def test_a_warm_up_that_nobody_gave_fits_the_replay_and_the_minibatch() -> None:
    assert first("replay.capacity=300").variant.replay.warmup == 300
    assert first("replay.replacement=false", "steps=500").variant.replay.warmup == 64


def test_a_command_may_give_parts_or_steps() -> None:
    assert cadences(first("steps=2000", "evaluation.period=0.1", "replay.warmup=0.5")) == (200, 40, 1000)
    assert cadences(first("steps=2000", "evaluation.period=300")) == (300, 40, 40)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluation.period=2500", "steps=2000"], "evaluation.period 2500 is larger than steps 2000"),
        (
            ["recipe=cleanrl_cartpole", "evaluation.period=600000"],
            "evaluation.period 600000 is larger than steps 500000",
        ),
        (["replay.warmup=3000", "steps=2000"], "replay.warmup 3000 is larger than steps 2000"),
        (["evaluation.period=1.5"], "evaluation.period must be a whole number of steps, or a fraction of the budget"),
        (["evaluation.period=-0.5"], "evaluation.period must be a whole number of steps, or a fraction of the budget"),
        (["replay.capacity=0.5"], "replay.capacity must be a whole number; got 0.5"),
    ],
)
def test_what_the_same_command_gives_is_held_to_its_budget(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        resolve(words)


def test_a_file_in_steps_yields_to_a_smaller_budget_above_it(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text("steps: 20000\nevaluation: {period: 4000}\n")
    (tmp_path / "experiment").mkdir()
    text = "variant: hard_mse\nsteps: 10000\nevaluation: {period: 2500}\nset: {replay.warmup: 5000}\n"
    (tmp_path / "experiment" / "asked.yaml").write_text(text)
    folder = f"--config-dir={tmp_path}"
    assert first(folder, "recipe=mine", "steps=5000").evaluation.period == 4000
    assert first(folder, "recipe=mine", "steps=1000").evaluation.period == 200  # a fifth, as in the file
    assert cadences(first(folder, "experiment=asked")) == (2500, 200, 5000)
    assert cadences(first(folder, "experiment=asked", "steps=1000")) == (250, 20, 500)
    (tmp_path / "experiment" / "wrong.yaml").write_text("variant: hard_mse\nsteps: 1000\nevaluation: {period: 2500}\n")
    with pytest.raises(ConfigError, match=r"evaluation\.period 2500 is larger than steps 1000"):
        resolve([folder, "experiment=wrong"])


def test_a_budget_in_episodes_adapts_too_and_is_evaluated_at_its_end() -> None:
    short, long = first("episodes=3"), first("episodes=2000")
    assert cadences(short) == (30, 12, 12)  # parts of 3 x 200 steps
    assert cadences(long) == (2500, 1000, 1000)
    assert short.evaluation.at_end
    assert long.evaluation.at_end
    assert not first("episodes=3", "evaluation.period=10").evaluation.at_end
