"""Cohorts whose lanes must not feel each other: the four named algorithms, and structures that stress the layout of the arithmetic."""

from rlbench.lanes.choices.clipping import ClipNorm, ClipValue
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.distributions import C51
from rlbench.lanes.choices.exploration import Constant, Exponential, Linear, Multiplicative
from rlbench.lanes.choices.losses import CrossEntropy, Huber
from rlbench.lanes.choices.networks import MLP, UniformPolicy
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import NStep
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.validation import EpisodeValidation
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant

from lane_runs import with_fields  # isort: skip

HARD, SOFT = Periodic(every=9), Periodic(every=1, tau=0.05)
BASE = Variant(
    network=MLP(units=(32, 32)),
    optimizer=Adam(lr=2e-3),
    exploration=Linear(decay_fraction=None, decay_steps=60),
    replay=Uniform(capacity=90, warmup=24),
    batch_size=16,
)
# Odd widths, a minibatch without replacement, and an activation, a norm and a schedule whose arithmetic could depend on layout.
BUSY = Variant(
    network=MLP(units=(24, 17), activation="tanh"),
    loss=Huber(),
    target=SOFT,
    optimizer=AdamW(lr=2e-3, amsgrad=True),
    clip=ClipNorm(1.0),
    exploration=Exponential(decay_steps=40.0),
    replay=Uniform(capacity=90, warmup=24, replacement=False),
    batch_size=13,
)
# Sizes that put parameters, statistics and patches at odd places in memory; acting writes statistics.
PIXELS = with_fields(
    BASE,
    observation=Pixel(rows=17, columns=31, colour="grey"),
    network=Conv(channels=(5, 7), kernels=(5, 3), strides=(2, 2), norm_acting="training"),
    batch_size=6,
    update_period=2,
)
RAINBOW = with_fields(
    BASE,
    network=MLP(units=(9, 7), head="dueling", noise="fresh"),
    estimator=C51(11, -3.0, 15.0),
    loss=CrossEntropy(),
    target=SOFT,
    exploration=Constant(0.0),
    replay=Prioritised(capacity=60, warmup=24, beta_fraction=None, beta_steps=100),
    returns=NStep(3),
    double=True,
)
VARIANTS = {
    "hard_mse": with_fields(BASE, target=HARD),
    "soft_mse": with_fields(BASE, target=SOFT),
    "hard_huber": with_fields(BASE, target=HARD, loss=Huber()),
    "soft_huber": with_fields(BASE, target=SOFT, loss=Huber()),
    "busy": BUSY,
    "double_rmsprop_by_steps": with_fields(
        BASE,
        network=MLP(units=(9, 7), init="glorot"),
        target=Periodic(every=5, tau=0.5, unit="steps"),
        optimizer=RMSprop(lr=1e-3, momentum=0.5, centered=True),
        clip=ClipValue(0.1),
        exploration=Multiplicative(factor=0.98),
        double=True,
        batch_size=7,
        update_period=3,
        updates_per_period=2,
    ),
    "one_row": with_fields(
        BASE, network=MLP(units=(5,)), optimizer=SGD(lr=1e-4, momentum=0.9), target=NoTarget(), batch_size=1
    ),
    "chunks_of_four": with_fields(BASE, target=SOFT),  # where a chunk has BYTES_FOR_FOUR
    # Eight optimiser steps a minibatch on the whole output vector, and final states that bootstrap.
    "single_steps": with_fields(
        BASE,
        network=MLP(units=(24, 11), init="glorot"),
        loss_over="all",
        steps_per_minibatch=8,
        optimizer=Adam(lr=1e-3, eps_hat=True),
        target=Periodic(every=3, unit="steps", offset=2),
        exploration=Multiplicative(factor=0.97, before_draw=True),
        bootstrap_on_termination=True,
    ),
    # Learning by the clock of episodes, validation between them, and gradients that pile up in the target network.
    "validated": with_fields(
        BUSY,
        detach_target=False,
        target=Periodic(every=17, tau=1.0, unit="losses"),
        exploration=Linear(start=0.9, end=0.3, decay_fraction=None, decay_steps=300),
        epsilon_draws=2,
        replay=Uniform(capacity=90, warmup=24, replacement=False, warmup_ends="next_episode"),
        update_period=2,
        update_clock="episode",
        updates_per_period=2,
        validation=EpisodeValidation(max_env_steps=12, greedy=False),
    ),
    "rainbow": RAINBOW,
    "pixels": with_fields(PIXELS, target=SOFT),
    "pixels_stacked_double": with_fields(
        PIXELS,
        observation=Pixel(rows=20, columns=30, combine="stack", frames=3),
        network=Conv(channels=(3,), kernels=(5,), strides=(3,), hidden=(11,), norm_target="training"),
        target=Periodic(every=2, unit="episodes"),
        loss=Huber(),
        double=True,
    ),
    # All of it on pixels: the target in the graph, minibatches in parts, goals of all actions, validation on frames.
    "pixels_validated": with_fields(
        PIXELS,
        network=Conv(
            channels=(3,), kernels=(5,), strides=(3,), hidden=(11,), norm_acting="training", norm_target="training"
        ),
        double=True,
        detach_target=False,
        loss_over="all",
        steps_per_minibatch=2,
        clip=ClipNorm(1.0),
        target=Periodic(every=17, tau=0.5, unit="losses"),
        exploration=Linear(start=0.9, end=0.3, decay_fraction=None, decay_steps=300),
        replay=Uniform(capacity=90, warmup=24, warmup_ends="next_episode"),
        update_clock="episode",
        validation=EpisodeValidation(max_env_steps=12),
    ),
    "uniform": with_fields(BASE, network=UniformPolicy()),
}
BYTES_FOR_FOUR = 200_000
NUM_EVALUATION_EPISODES = {"one_row": 1, "hard_mse": 10}


def lane_run(case: str, seed: int, steps: int = 95) -> Run:
    """The run of one lane: its numbers, its budget and its cadences go with the seed, the structure with the case."""
    variant = VARIANTS[case]
    if isinstance(variant.target, Periodic) and variant.target.unit == "updates" and seed % 4 == 3:
        variant = with_fields(variant, target=SOFT if variant.target == HARD else HARD)
    if isinstance(variant.loss, Huber):
        variant = with_fields(variant, loss__delta=0.5 + 0.1 * (seed % 5))
    variant = with_fields(
        variant, optimizer__lr=variant.optimizer.lr * (1 + seed % 3), discount=0.99 - 0.01 * (seed % 2)
    )
    if isinstance(variant.validation, EpisodeValidation):
        variant = with_fields(variant, validation__greedy=seed % 3 == 1, epsilon_draws=1 + seed % 2)
    if seed % 5 == 2:
        variant = with_fields(variant, final_reward=-1.0, bootstrap_on_truncation=False)
    return Run(
        variant,
        Environment("Acrobot-v1" if case == "double_rmsprop_by_steps" else "CartPole-v1", max_env_steps=15),
        Budget(steps=steps + 5 * (seed % 3)),
        Evaluation(period=40 + 10 * (seed % 2), episodes=NUM_EVALUATION_EPISODES.get(case, 3)),
        Diagnostics(period=30 + seed % 2),
        seed,
    )
