"""The recipes of "Revisiting Rainbow" against the study's public code (JohanSamir/revisiting_rainbow, commit 64ec8c8, Configs)."""

import json
import math
import subprocess
import sys
from importlib.util import find_spec

import pytest

from rlbench.config import resolve
from rlbench.lanes.choices.clipping import NoClip
from rlbench.lanes.choices.distributions import C51
from rlbench.lanes.choices.estimators import Scalar
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.losses import CrossEntropy, Squared
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import Adam
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import NStep, OneStep
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Environment, Run

TURN = math.pi
# Suffix of the recipe: environment, lowest and highest observation, largest atom, steps, steps between targets.
ENVIRONMENTS = {
    "": (Environment("CartPole-v0"), (-2.4, -5.0, -TURN / 12, -2 * TURN), (2.4, 5.0, TURN / 12, 2 * TURN), 200, 30_000, 100),
    "_acrobot": (Environment("Acrobot-v1"), (-1, -1, -1, -1, -5, -5), (1, 1, 1, 1, 5, 5), 200, 30_000, 100),
    "_mountaincar": (Environment("MountainCar-v0", 600), (-1.2, -0.07), (0.6, 0.07), 100, 30_000, 100),
}  # fmt: skip


def run_for(recipe: str) -> Run:
    return resolve([f"recipe={recipe}", "seeds=1"]).planned[0].run


@pytest.mark.parametrize("suffix", ENVIRONMENTS)
def test_its_dqn(suffix: str) -> None:
    env, low, high, _, steps, every = ENVIRONMENTS[suffix]
    run = run_for(f"revisiting_dqn{suffix}")
    v = run.variant
    assert (run.env, run.budget.steps) == (env, steps)
    assert v.network == MLP(units=(512, 512), init="variance_scaling", obs_low=low, obs_high=high)
    assert v.loss == Squared()
    assert v.optimizer == Adam(lr=1e-2 if suffix == "_mountaincar" else 1e-3, eps=3.125e-4)
    assert (v.target, v.clip) == (Periodic(every=every, tau=1.0, unit="steps"), NoClip())
    assert v.replay == Uniform(capacity=50_000, warmup=500)
    assert v.exploration == Constant(0.01)
    assert (v.batch_size, v.update_period, v.discount, v.double) == (128, 4, 0.99, False)
    assert (v.estimator, v.returns) == (Scalar(), OneStep())


@pytest.mark.parametrize("is_fixed", [False, True])
@pytest.mark.parametrize("suffix", ENVIRONMENTS)
def test_its_rainbow(suffix: str, is_fixed: bool) -> None:
    env, low, high, largest, steps, every = ENVIRONMENTS[suffix]
    run = run_for(f"revisiting_rainbow{suffix}{'_fixed' if is_fixed else ''}")
    v, noise = run.variant, {"noise": "fresh" if is_fixed else "frozen", "sigma0": 0.1}
    assert (run.env, run.budget.steps) == (env, steps)
    network = {"units": (512, 512), "init": "torch", "head": "dueling", "obs_low": low, "obs_high": high}
    assert v.network == MLP(**network, **noise)
    assert v.estimator == C51(atoms=51, v_min=-largest, v_max=largest)
    assert (v.loss, v.returns, v.double) == (CrossEntropy(), NStep(steps=3), True)
    assert v.optimizer == Adam(lr=1e-4, eps=3.125e-4)
    assert (v.target, v.clip) == (Periodic(every=every, tau=1.0, unit="steps"), NoClip())
    assert isinstance(v.replay, Prioritised)
    # The priority is sqrt(loss + 1e-10), the weight 1 / sqrt(probability) over the largest.
    assert (v.replay.capacity, v.replay.warmup, v.replay.alpha, v.replay.eps) == (50_000, 500, 0.5, 1e-10)
    assert (v.replay.beta, v.replay.beta_end) == (0.5, 0.5)
    assert v.exploration == Constant(0.01)
    assert (v.batch_size, v.update_period, v.discount) == (128, 2, 0.99)


@pytest.mark.skipif(find_spec("Box2D") is None, reason="LunarLander needs the extra box2d")
def test_lunar_lander_is_longer_and_unscaled() -> None:
    """In a process of its own: Box2D has crashed where it was imported late, beside everything that tests import."""
    names = [f"revisiting_{kind}_lunarlander" for kind in ("dqn", "rainbow")] + ["revisiting_rainbow_lunarlander_fixed"]
    words = "import json, sys; from rlbench.config import resolve, spec_of\n"
    words += (
        "for name in sys.argv[1:]: print(json.dumps(spec_of(resolve([f'recipe={name}', 'seeds=1']).planned[0].run)))"
    )
    done = subprocess.run([sys.executable, "-c", words, *names], capture_output=True, text=True, check=True)
    dqn, rainbow, fixed = (json.loads(line) for line in done.stdout.splitlines())
    for spec in (dqn, rainbow, fixed):
        variant = spec["variant"]
        assert (spec["env"]["id"], spec["budget"]["steps"]) == ("LunarLander-v3", 120_000)
        assert "obs_low" not in variant["network"]
        assert (variant["optimizer"]["lr"], variant["optimizer"]["eps"]) == (1e-3, 3.125e-4)
        assert (variant["target"]["every"], variant["target"]["unit"], variant["update_period"]) == (300, "steps", 4)
    assert dqn["variant"]["loss"]["kind"] == "mse"
    assert (rainbow["variant"]["estimator"]["v_max"], rainbow["variant"]["returns"]["steps"]) == (300, 3)
    assert rainbow["variant"]["network"].pop("noise") == "frozen"
    assert fixed["variant"]["network"].pop("noise") == "fresh"
    assert fixed == rainbow
