"""Environments that end the process, or give what is no number: failed runs with the reason, exit code 3, the others trained."""

import re
from pathlib import Path

import pytest

from rlbench.store import load
from tests.runner.commands import finish, run, start

MODULE = "tests.envs.misbehaving"
WORDS = ("steps=30", "seeds=1", "evaluation.period=30", "evaluation.episodes=1")


def test_failed_runs_say_who_did_what_and_the_others_are_trained(tmp_path: Path) -> None:
    names = ("Leaves", "Interrupts", "ClosesDown", "Colours", "RewardNaN", "ObservationNaN")
    envs = ",".join([*(f"{MODULE}:{name}-v0" for name in names), "CartPole-v1"])
    code, _, err = finish(start(tmp_path / "s", "variant=random", f"env={envs}", *WORDS))
    assert code == 3
    assert "Traceback" not in err
    assert "\x1b" not in err
    told = " ".join(err.split())
    assert "raised SystemExit: 0 in its step" in told
    assert "raised KeyboardInterrupt in its step" in told
    assert "raised GeneratorExit in its step" in told
    assert r"ValueError: \x1b[31mred\x07 bell" in told
    seen = re.findall(r"gave (?:a reward|an observation) that is not finite[^,]*, step 7 of the run", told)
    assert len(seen) >= 2
    runs = load(tmp_path / "s").runs.set_index("env")
    assert runs.loc["CartPole-v1", "status"] == "done"
    assert (runs.drop("CartPole-v1")["status"] == "failed").all()
    assert run(tmp_path / "s", "variant=random", "env=CartPole-v1", *WORDS)[0] == 0


def test_a_learner_is_not_blamed_for_the_rewards_it_was_given(tmp_path: Path) -> None:
    names = ("RewardNaN", "RewardHuge")
    envs = ",".join(f"{MODULE}:{name}-v0" for name in names)
    code, _, err = run(tmp_path / "s", "variant=hard_mse", f"env={envs}", "replay.warmup=2", *WORDS)
    assert code == 3
    assert "Traceback" not in err
    runs = load(tmp_path / "s").runs
    assert list(runs["status"]) == ["failed"] * 2
    assert runs["error"].str.contains("gave a reward that is not finite in single precision").all()


@pytest.mark.slow
def test_a_process_that_vanishes_is_a_death_and_not_an_end(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path / "s", "variant=random", f"env={MODULE}:Vanishes-v0", *WORDS))
    assert code == 3
    assert "worker processes keep dying (with exit status 0, before its work was done)" in " ".join(err.split())
