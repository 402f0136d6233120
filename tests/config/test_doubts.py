"""What is possible and may not be meant is said in a note, by a dry run too, and refused by nobody."""

import math

import pytest

from rlbench.config import resolve
from rlbench.lanes.choices.variant import doubts
from rlbench.run import main


def doubts_of(*words: str) -> list[str]:
    return doubts(resolve([*words, "seeds=1"]).planned[0].run)


@pytest.mark.parametrize("variant", ["soft_huber", "c51", "noisy", "rainbow", "qr"])
def test_named_variants_raise_none(variant: str) -> None:
    assert doubts_of(f"variant={variant}") == doubts_of(f"variant={variant}", "env=acrobot") == []


def test_a_support_that_does_not_hold_the_returns() -> None:
    (said,) = doubts_of("variant=c51", "estimator.v_max=9")
    begin = "estimator.v_min -100 to estimator.v_max 9 does not hold the discounted returns of CartPole-v1, 0 to 100:"
    assert said.startswith(begin)
    assert "-100 to 0" in doubts_of("variant=c51", "estimator.v_min=-50", "env=acrobot")[0]
    short = "variant=c51", "estimator.v_max=9", "env.max_env_steps=9"
    assert "0 to 100" in doubts_of(*short)[0]  # an episode that is cut at 9 steps bootstraps
    assert doubts_of(*short, "bootstrap_on_truncation=false") == []
    assert math.isclose((1 - 0.99**500) / 0.01, 99.34, abs_tol=0.01)
    assert "0 to 99.34" in doubts_of("variant=c51", "estimator.v_max=9", "bootstrap_on_truncation=false")[0]
    assert "0 to 500" in doubts_of("variant=c51", "discount=1")[0]


def test_random_actions_that_stay_beside_noise() -> None:
    (said,) = doubts_of("variant=noisy", "exploration=linear")
    assert "network.noise=fresh explores by itself, and 5 % of the actions stay random" in said


def test_frozen_noise_explores_nothing() -> None:
    (said,) = doubts_of("variant=noisy", "network.noise=frozen")
    assert "network.noise=frozen explores nothing, and in the end no action is random beside it" in said
    assert doubts_of("variant=noisy", "network.noise=frozen", "exploration.value=0.05") == []
    assert doubts_of("recipe=revisiting_rainbow") == []


def test_a_dry_run_says_it_once(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert main(["variant=noisy", "exploration=linear", "seeds=3", f"store={tmp_path}/store", "--dry-run"]) == 0
    assert capsys.readouterr().err.count("note: network.noise=fresh") == 1
