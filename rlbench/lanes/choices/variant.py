"""A variant: the bundle of choices that is one algorithm; and a lane's order: variant, environment, budget and seed of one run."""

import dataclasses
from typing import ClassVar

from rlbench.envs.frames import DRAWN_BY_TENSORS, FOLLOWED
from rlbench.envs.registry import lane_env
from rlbench.errors import ConfigError
from rlbench.lanes.choices.bases import (
    Clip,
    Estimator,
    Exploration,
    Loss,
    Network,
    Observation,
    Optimizer,
    Replay,
    Returns,
    Target,
    Validation,
)
from rlbench.lanes.choices.choice import Choice, check, choices_of, number, structural, structure
from rlbench.lanes.choices.clipping import NoClip
from rlbench.lanes.choices.estimators import Scalar
from rlbench.lanes.choices.exploration import Linear
from rlbench.lanes.choices.losses import Squared
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.observations import MOST_PLACES, State
from rlbench.lanes.choices.optimizers import Adam
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import OneStep
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.validation import NoValidation


@dataclasses.dataclass(frozen=True)
class Variant(Choice):
    """One DQN algorithm as data. The difference of two variants is the difference of two algorithms."""

    kind: ClassVar[str] = "dqn"
    network: Network = MLP()
    loss: Loss = Squared()
    target: Target = Periodic()
    optimizer: Optimizer = Adam()
    clip: Clip = NoClip()
    exploration: Exploration = Linear()
    replay: Replay = Uniform()
    double: bool = structural(
        False, "double DQN: the online network picks the next action, the target network values it"
    )
    discount: float = number(0.99, "discount of future rewards", "0 <= x <= 1")
    batch_size: int = structural(64, "transitions in a minibatch", ">= 1")
    update_period: int = structural(1, "environment steps between updates", ">= 1")
    updates_per_period: int = structural(1, "updates, each on its own minibatch, at an update step", ">= 1")
    final_reward: float | None = number(
        None, "reward stored for the step that ends an episode; null keeps the environment's"
    )
    bootstrap_on_truncation: bool = number(True, "whether an episode cut by the time limit still bootstraps")
    bootstrap_on_termination: bool = structural(False, "whether final states bootstrap as if they went on", later=True)
    validation: Validation = structural(NoValidation(), "", later=True)
    loss_over: str = structural(
        "taken",
        "what the loss averages: the taken action's value, or all values, the others' goals being the target network's",
        allowed=("taken", "all"),
        later=True,
    )
    steps_per_minibatch: int = structural(
        1, "optimiser steps, each counted as an update, into which a minibatch is cut in turn", ">= 1", later=True
    )
    detach_target: bool = structural(
        True,
        "whether the target is cut from the gradient graph; if not, gradients pile up in the target network and are clipped along",
        later=True,
    )
    update_clock: str = structural(
        "run",
        "whose steps update_period counts: the run's, or those of an episode",
        allowed=("run", "episode"),
        later=True,
    )
    epsilon_draws: int = number(
        1, "exploration draws a step, each a step of the schedule; the first decides", ">= 1", later=True
    )
    observation: Observation = structural(State(), "", later=True)
    estimator: Estimator = structural(Scalar(), "", later=True)
    returns: Returns = structural(OneStep(), "", later=True)


@dataclasses.dataclass(frozen=True)
class Environment:
    """Which Gymnasium environment, and after how many steps an episode is cut (null: the registered limit)."""

    id: str = structural("CartPole-v1", "Gymnasium id, or module:id")
    max_env_steps: int | None = structural(
        None, "time limit of an episode in steps; null takes the registered one", ">= 1"
    )


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a run lasts: environment steps or training episodes, whichever is given."""

    steps: int | None = structural(50_000, "environment steps", ">= 1")
    episodes: int | None = structural(None, "training episodes", ">= 1")
    count_warmup_episodes: bool = structural(
        True, "whether a budget in episodes counts those that begin before learning starts", later=True
    )
    stop_at_return: float | None = structural(
        None, "a run ends with the first training episode of at least this return; null never does", later=True
    )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Greedy evaluation on a fixed grid of environment steps, on environment seeds that training never uses."""

    period: int = structural(2_500, "environment steps between evaluations", ">= 1")
    episodes: int = structural(10, "episodes of one evaluation", ">= 1")
    max_env_steps: int | None = structural(
        None, "steps after which an evaluation episode is cut; null takes the environment's limit", ">= 1", later=True
    )
    at_end: bool = structural(False, "whether a run is evaluated at its end too, wherever that is", later=True)


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """Cadence of the diagnostics rows."""

    period: int = structural(1_000, "environment steps between diagnostics", ">= 1")


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that determines a run's result, and nothing else. `seed` in [0, 2**32); `namespace` names the family of seeds."""

    variant: Variant
    env: Environment
    budget: Budget
    evaluation: Evaluation
    diagnostics: Diagnostics
    seed: int
    namespace: str = "train"

    def cohort_key(self) -> tuple[object, ...]:
        """Runs with equal keys can be lanes of one program."""
        stops = (self.budget.count_warmup_episodes, self.budget.stop_at_return is None)
        return (structure(self.variant), self.env, self.evaluation.episodes, self.evaluation.max_env_steps, stops)


def check_run(run: Run) -> None:
    """Raise ConfigError, one line, for an impossible value or an impossible combination."""
    for part in (run.env, run.budget, run.evaluation, run.diagnostics, run.variant):
        check(part)
    variant, replay = run.variant, run.variant.replay
    if variant.batch_size > replay.capacity:
        raise ConfigError(
            f"batch_size {variant.batch_size} is larger than replay.capacity {replay.capacity}: a minibatch cannot be drawn"
        )
    if replay.warmup > replay.capacity:
        raise ConfigError(
            f"replay.warmup {replay.warmup} is larger than replay.capacity {replay.capacity}: learning would never start"
        )
    if not replay.replacement and replay.warmup < variant.batch_size:
        raise ConfigError(
            f"replay.replacement=false needs replay.warmup of at least batch_size {variant.batch_size}; got {replay.warmup}"
        )
    _check_sight(run)
    if (run.budget.steps is None) == (run.budget.episodes is None):
        raise ConfigError("the budget is either steps=N or episodes=N: exactly one of them")
    steps = run.budget.steps
    if steps is not None and run.evaluation.period > steps:
        raise ConfigError(
            f"evaluation.period {run.evaluation.period} is larger than steps {steps}: no run would ever be evaluated"
        )
    if steps is not None and variant.network.learns and replay.warmup > steps:
        raise ConfigError(f"replay.warmup {replay.warmup} is larger than steps {steps}: learning would never start")
    if variant.batch_size % variant.steps_per_minibatch != 0:
        raise ConfigError(
            f"steps_per_minibatch {variant.steps_per_minibatch} does not divide batch_size {variant.batch_size}"
        )
    if not variant.detach_target and not variant.target.keeps_network:
        raise ConfigError("detach_target=false needs a target network: target=hard or target=soft")
    if not variant.network.learns and variant.validation.episodes is not None:
        raise ConfigError("validation=episode needs a network that learns")
    for choice in choices_of(variant):
        refused = choice.refused() or choice.refused_beside(variant)
        if refused is not None:
            raise ConfigError(refused)


def doubts(run: Run) -> list[str]:
    """What of a run is possible and may not be meant, a line each."""
    found = (choice.doubted(run) for choice in choices_of(run.variant))
    return [line for line in found if line is not None]


def _check_sight(run: Run) -> None:
    """Raise ConfigError where observation and network do not fit each other."""
    pixel, network = run.variant.observation.pixels, run.variant.network
    if pixel is None:
        env = lane_env(run.env.id)
        is_grid = env is not None and len(env.obs_shape) == 3
        if network.sees == "grids" and not is_grid:
            raise ConfigError("network=conv sees pixels only: give observation=pixel, or network=mlp")
        return
    if network.learns and network.sees == "numbers":
        raise ConfigError("observation=pixel needs a network that convolves: give network=conv or network=dqn2015")
    if pixel.renderer == "tensors" and run.env.id not in DRAWN_BY_TENSORS:
        raise ConfigError(
            f"observation=pixel: tensors draw {', '.join(DRAWN_BY_TENSORS)} and not '{run.env.id}';"
            " observation.renderer=gymnasium takes the environment's own frames"
        )
    capacity = run.variant.replay.capacity
    if pixel.renderer == "gymnasium" and pixel.ring_size(capacity) > MOST_PLACES:
        raise ConfigError(
            f"replay.capacity {capacity} is too large for stored frames (observation.renderer=gymnasium); at most 8000000"
        )
    if pixel.follow and run.env.id not in FOLLOWED:
        raise ConfigError(
            f"observation.follow=true is for {' and '.join(FOLLOWED)}, whose cart it follows; for the whole frame of '{run.env.id}' give"
            " observation.follow=false observation.top=0 observation.bottom=1 observation.width=1"
        )
    alone = run.variant.batch_size == run.variant.steps_per_minibatch
    refused = network.refused_shape(pixel.shape, alone)
    if refused is not None and alone and "minibatch" in refused:
        refused = refused.replace(
            "of one transition",
            f"of one transition (batch_size {run.variant.batch_size}, steps_per_minibatch {run.variant.steps_per_minibatch})",
        )
    if refused is not None:
        raise ConfigError(refused)
