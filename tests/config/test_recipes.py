"""Every recipe is what its source is: the choices of the published scripts, row by row, against the resolved configuration.

The numbers here are those of the sources; the recipes are not asked for them.
"""

import dataclasses
from typing import Any

import pytest
import torch

from rlbench.config import resolve, run_id, run_of, spec_of
from rlbench.config.settings import Settings
from rlbench.envs.registry import describe
from rlbench.lanes.choices.choice import stack
from rlbench.lanes.choices.clipping import ClipNorm, ClipValue, NoClip
from rlbench.lanes.choices.distributions import C51
from rlbench.lanes.choices.estimators import Scalar
from rlbench.lanes.choices.exploration import Exponential, Linear, Multiplicative
from rlbench.lanes.choices.losses import CrossEntropy, Huber, Squared
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.observations import State
from rlbench.lanes.choices.optimizers import Adam, AdamW, RMSprop
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import OneStep
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.validation import EpisodeValidation, NoValidation
from rlbench.lanes.choices.variant import Budget, Environment, Run

FIXED = {"mlp_hard": "mlp_hard_fixed", "keras_mountaincar": "keras_mountaincar_fixed", "torchkeras": "torchkeras_fixed"}
STUDIED = ("revisiting_rainbow", "revisiting_rainbow_acrobot", "revisiting_rainbow_mountaincar")
RECIPES = ("mlp_hard", "pytorch_state", "keras_mountaincar", "torchkeras", *FIXED.values())


def run_for(recipe: str) -> Run:
    return resolve([f"recipe={recipe}"]).planned[0].run


def the_rest(run: Run, *named: str) -> dict[str, Any]:
    """The choices of a run that a test has not named, to be those of plain DQN."""
    fields = {field.name: getattr(run.variant, field.name) for field in dataclasses.fields(run.variant)}
    return {name: value for name, value in fields.items() if name not in named}


PLAIN = {
    "double": False,
    "update_period": 1,
    "updates_per_period": 1,
    "final_reward": None,
    "bootstrap_on_truncation": True,
    "bootstrap_on_termination": False,
    "validation": NoValidation(),
    "estimator": Scalar(),
    "returns": OneStep(),
    "loss_over": "taken",
    "steps_per_minibatch": 1,
    "detach_target": True,
    "update_clock": "run",
    "epsilon_draws": 1,
    "observation": State(),
}
PARTS = ("network", "loss", "target", "optimizer", "clip", "exploration", "replay", "discount", "batch_size")


def plain_but(**others: Any) -> dict[str, Any]:
    return PLAIN | others


def test_mlp_hard_is_its_source() -> None:
    run = run_for("mlp_hard")
    v = run.variant
    assert run.env == Environment("CartPole-v0", None)
    assert describe("CartPole-v0").max_episode_steps == 200
    assert v.network == MLP(units=(128, 128), activation="relu", init="torch")
    assert v.loss == Huber(delta=1.0)
    # After episodes 0, 10, 20 ..., which are the 1st, 11th, 21st.
    assert v.target == Periodic(every=10, tau=1.0, unit="episodes", offset=1)
    assert v.optimizer == RMSprop(lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False)
    assert v.clip == ClipValue(limit=1.0)
    assert v.discount == 0.999
    assert v.batch_size == 128
    assert v.replay == Uniform(capacity=10_000, warmup=128, replacement=False)
    assert v.exploration == Exponential(start=0.9, end=0.05, decay_steps=200)
    assert v.exploration.start - v.exploration.end == pytest.approx(0.85)
    assert run.budget == Budget(steps=None, episodes=500)
    assert the_rest(run, *PARTS) == plain_but(bootstrap_on_termination=True)


def test_pytorch_state_is_its_source() -> None:
    request = resolve(["recipe=pytorch_state"])
    run = request.planned[0].run
    v = run.variant
    assert run.env == Environment("CartPole-v1", None)
    assert describe("CartPole-v1").max_episode_steps == 500
    assert v.network == MLP(units=(128, 128), activation="relu", init="torch")
    assert v.loss == Huber(delta=1.0)
    assert v.target == Periodic(every=1, tau=0.005, unit="steps")
    assert v.optimizer == AdamW(lr=1e-4, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, amsgrad=True)
    assert v.clip == ClipValue(limit=100.0)
    assert v.discount == 0.99
    assert v.batch_size == 128
    assert v.replay == Uniform(capacity=10_000, warmup=128, replacement=False)
    assert v.exploration == Exponential(start=0.9, end=0.05, decay_steps=1000)
    assert run.budget == Budget(steps=None, episodes=600)
    assert (run.evaluation.episodes, run.evaluation.max_env_steps, run.evaluation.at_end) == (5, 500, True)
    assert request.definition["final_window"] == 1
    assert the_rest(run, *PARTS) == plain_but()


def test_keras_mountaincar_is_its_source() -> None:
    run = run_for("keras_mountaincar")
    v = run.variant
    assert run.env == Environment("MountainCar-v0", None)
    assert describe("MountainCar-v0").max_episode_steps == 200
    assert describe("MountainCar-v0").num_actions == 3
    assert v.network == MLP(units=(24, 48, 24), activation="relu", init="glorot")
    assert v.loss == Squared()
    assert v.target == Periodic(every=1, tau=1.0, unit="steps")
    assert v.optimizer == Adam(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-7, weight_decay=0.0, amsgrad=False, eps_hat=True)
    assert v.clip == NoClip()
    assert v.discount == 0.95
    assert v.batch_size == 32
    assert v.replay == Uniform(capacity=2_000, warmup=32, replacement=False)
    assert v.exploration == Multiplicative(start=1.0, factor=0.995, floor=0.01, before_draw=True)
    # Each trial is worth -1 a step, so -199 is the goal in 199 steps: one less than the limit.
    assert run.budget == Budget(steps=None, episodes=100, stop_at_return=-199.0)
    rest = plain_but(final_reward=-20.0, bootstrap_on_truncation=False, loss_over="all", steps_per_minibatch=32)
    assert the_rest(run, *PARTS) == rest


def test_torchkeras_is_its_source() -> None:
    request = resolve(["recipe=torchkeras"])
    run = request.planned[0].run
    v = run.variant
    assert run.env == Environment("CartPole-v1", max_env_steps=999 * 5)
    assert v.network == MLP(units=(32, 16), activation="tanh", init="torch")
    assert v.loss == Huber(delta=1.0)
    assert v.target == Periodic(every=200, tau=1.0, unit="losses")
    assert v.optimizer == Adam(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False)
    assert v.clip == ClipNorm(max_norm=1.0)
    assert v.discount == 0.9
    assert v.batch_size == 128
    assert v.replay == Uniform(capacity=2_048, warmup=512, replacement=False, warmup_ends="next_episode")
    assert v.exploration == Linear(start=0.1, end=0.01, decay_fraction=None, decay_steps=90)
    assert v.validation == EpisodeValidation(max_env_steps=199, greedy=False, patience=100, keep_best=True)
    assert run.budget == Budget(steps=None, episodes=600, count_warmup_episodes=False)
    assert (run.evaluation.episodes, run.evaluation.max_env_steps, run.evaluation.at_end) == (2, 300, True)
    assert request.definition["final_window"] == 1
    rest = plain_but(
        detach_target=False, update_period=5, update_clock="episode", epsilon_draws=2, validation=v.validation
    )
    assert the_rest(run, *PARTS) == rest


def test_linear_loses_a_thousandth_a_draw_and_two_a_step() -> None:
    """0.1, then max(0.01, epsilon - 0.001) after each of two draws."""
    v = run_for("torchkeras").variant
    assert isinstance(v.exploration, Linear)
    epsilon, expected = 0.1, []
    for _ in range(60):
        expected.append(epsilon)
        for _ in range(2):
            epsilon = max(0.01, epsilon - 0.001)
    n = torch.arange(60, dtype=torch.float64)[None] * v.epsilon_draws
    assert stack([v.exploration]).epsilon(n)[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_multiplicative_decays_before_each_draw() -> None:
    v = run_for("keras_mountaincar").variant
    epsilon, expected = 1.0, []
    for _ in range(1200):
        epsilon = max(0.01, epsilon * 0.995)
        expected.append(epsilon)
    assert expected[0] == 0.995
    assert expected[-1] == 0.01
    n = torch.arange(1200, dtype=torch.float64)[None]
    assert stack([v.exploration]).epsilon(n)[0].tolist() == pytest.approx(expected, rel=1e-9)


DEFECTS: dict[str, dict[str, tuple[Any, Any]]] = {
    "mlp_hard": {"variant.bootstrap_on_termination": (True, False)},
    "keras_mountaincar": {"variant.target.tau": (1.0, 0.05)},
    "torchkeras": {
        "env.max_env_steps": (4995, None),
        "variant.target.unit": ("losses", "updates"),
        "variant.detach_target": (False, True),
        "variant.epsilon_draws": (2, 1),
        "variant.validation.greedy": (False, True),
    },
    **{name: {"variant.network.noise": ("frozen", "fresh")} for name in STUDIED},
}


def flattened(part: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        inner = flattened(value, f"{prefix}{field.name}.") if dataclasses.is_dataclass(value) else {}
        found |= inner or {prefix + field.name: value}
    return found


@pytest.mark.parametrize("recipe", DEFECTS)
def test_the_fixed_sibling_differs_in_the_named_defects_alone(recipe: str) -> None:
    faithful, fixed = flattened(run_for(recipe)), flattened(run_for(f"{recipe}_fixed"))
    assert faithful.keys() == fixed.keys()
    found = {key: (faithful[key], fixed[key]) for key in faithful if faithful[key] != fixed[key]}
    assert found == DEFECTS[recipe]


def test_the_sources_without_a_defect_have_no_sibling() -> None:
    with pytest.raises(Exception, match="unknown recipe 'pytorch_state_fixed'; did you mean 'pytorch_state'"):
        resolve(["recipe=pytorch_state_fixed"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_the_store(recipe: str) -> None:
    run = run_for(recipe)
    assert run_of(spec_of(run)) == run
    assert run_id(run_of(spec_of(run))) == run_id(run)


def test_ten_seeds_are_the_default_and_any_budget_can_be_given() -> None:
    request = resolve(["recipe=torchkeras", "episodes=3"])
    assert len(request.planned) == len(range(int(Settings().seeds)))
    assert request.planned[0].run.budget == Budget(steps=None, episodes=3, count_warmup_episodes=False)


def test_cleanrl_c51_is_its_source() -> None:
    request = resolve(["recipe=cleanrl_c51"])
    run = request.planned[0].run
    v = run.variant
    assert run.env == Environment("CartPole-v1", None)
    assert v.network == MLP(units=(120, 84), activation="relu", init="torch")
    assert v.estimator == C51(atoms=101, v_min=-100.0, v_max=100.0)
    assert v.loss == CrossEntropy(floor=1e-5)
    assert v.target == Periodic(every=500, tau=1.0, unit="steps")
    assert v.optimizer == Adam(lr=2.5e-4, beta1=0.9, beta2=0.999, eps=0.01 / 128)
    assert v.clip == NoClip()
    assert v.discount == 0.99
    assert v.batch_size == 128
    assert v.replay == Uniform(capacity=10_000, warmup=10_000, replacement=True)
    assert v.exploration == Linear(start=1.0, end=0.05, decay_fraction=None, decay_steps=250_000)
    assert run.budget == Budget(steps=500_000)
    assert the_rest(run, *PARTS) == plain_but(estimator=v.estimator, update_period=10)
    assert len(request.planned) == 30
