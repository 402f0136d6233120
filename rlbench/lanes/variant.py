"""A variant: the bundle of choices that is one algorithm; and a lane's order: variant, environment, budget and seed of one run."""

import dataclasses
from typing import ClassVar

from rlbench.envs.frames import DRAWN_BY_TENSORS
from rlbench.errors import ConfigError
from rlbench.lanes.choice import Choice, check, number, structural, structure
from rlbench.lanes.clipping import ClipNorm, ClipValue, NoClip
from rlbench.lanes.convolution import Conv
from rlbench.lanes.exploration import Constant, Exponential, Linear, Multiplicative
from rlbench.lanes.losses import Huber, Squared
from rlbench.lanes.networks import MLP, UniformPolicy
from rlbench.lanes.observations import Pixel, State
from rlbench.lanes.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.replay import Uniform
from rlbench.lanes.targets import NoTarget, Periodic


@dataclasses.dataclass(frozen=True)
class Variant(Choice):
    """One DQN algorithm as data. The difference of two variants is the difference of two algorithms."""

    kind: ClassVar[str] = "dqn"
    network: MLP | Conv | UniformPolicy = MLP()
    loss: Squared | Huber = Squared()
    target: Periodic | NoTarget = Periodic()
    optimizer: Adam | AdamW | RMSprop | SGD = Adam()
    clip: NoClip | ClipValue | ClipNorm = NoClip()
    exploration: Constant | Linear | Exponential | Multiplicative = Linear()
    replay: Uniform = Uniform()
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
    observation: State | Pixel = structural(State(), "", later=True)


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


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Greedy evaluation on a fixed grid of environment steps, on environment seeds that training never uses."""

    period: int = structural(2_500, "environment steps between evaluations", ">= 1")
    episodes: int = structural(10, "episodes of one evaluation", ">= 1")


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
        return (structure(self.variant), self.env, self.evaluation.episodes)


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
    optimizer = variant.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and (optimizer.momentum == 0 or optimizer.dampening != 0):
        raise ConfigError("optimizer.nesterov needs optimizer.momentum above 0 and optimizer.dampening 0")


def _check_sight(run: Run) -> None:
    """Raise ConfigError where observation and network do not fit each other."""
    pixel, network = run.variant.observation, run.variant.network
    if isinstance(pixel, State):
        if isinstance(network, Conv):
            raise ConfigError("network=conv sees pixels only: give observation=pixel, or network=mlp")
        return
    if isinstance(network, MLP):
        raise ConfigError("observation=pixel needs a network that convolves: give network=conv or network=dqn2015")
    if run.env.id not in DRAWN_BY_TENSORS:
        raise ConfigError(
            f"observation=pixel: environment '{run.env.id}' cannot be rendered here; there is a renderer for:"
            f" {', '.join(DRAWN_BY_TENSORS)}"
        )
    if pixel.top >= pixel.bottom:
        raise ConfigError(
            f"observation.top {pixel.top} must be above observation.bottom {pixel.bottom}: nothing would be left of the frame"
        )
    if pixel.combine != "stack" and pixel.frames != 2:
        raise ConfigError(f"observation.combine={pixel.combine} takes observation.frames=2; got {pixel.frames}")
    if isinstance(network, Conv):
        _, rows, columns = network.sizes(pixel.shape)[-1]
        if network.batch_norm and network.norm_acting == "training" and rows * columns == 1:
            raise ConfigError(
                "network.norm_acting=training takes mean and variance over one patch, of which the last convolution leaves a"
                " single pixel: take larger observation.rows and observation.columns"
            )
