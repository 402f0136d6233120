"""Lanes that see pixels beside lanes that see the state, and on every environment that tensors draw."""

import pytest
import torch
from lane_runs import SMALL, fresh, small_run, train, with_fields

from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.variant import Environment, Run
from rlbench.lanes.training.trainer import Trainer

WHOLE = Pixel(top=0.0, bottom=1.0, width=1.0, follow=False, rows=15, columns=21, colour="grey", combine="both")
SEEN = with_fields(
    SMALL,
    observation=WHOLE,
    network=Conv(channels=(3,), kernels=(5,), strides=(3,), hidden=(7,), norm_acting="training"),
    replay=Uniform(capacity=40, warmup=12),
    batch_size=5,
    update_period=2,
)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_a_lane_is_as_alone_on_every_environment_that_is_drawn(env_id: str) -> None:
    def run(seed: int) -> Run:
        return small_run(SEEN, seed=seed, steps=60, env=Environment(env_id, max_env_steps=15))

    company = [outcome.digest for outcome in train([run(seed) for seed in range(4)])]
    assert len(set(company)) == 4
    assert [outcome.digest for outcome in train([run(2)], cuts=(7,))] == [company[2]]
    assert [outcome.digest for outcome in train([run(3), run(0)], cuts=(1, 13))] == [company[3], company[0]]


def test_pixels_and_state_of_one_seed_share_resets_and_exploration() -> None:
    """With every action drawn, both live the same life: the same states in the same episodes, update for update."""
    seen, plain = (with_fields(one, exploration=Constant(1.0)) for one in (SEEN, SMALL))
    pixels, state = (Trainer([fresh(small_run(one, seed=6, steps=90))]) for one in (seen, plain))
    lives: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for _ in range(80):
        for life, trainer in zip(lives, (pixels, state), strict=True):
            trainer.advance(1)
            life.append(trainer.state["env"][0, :4].clone())
    assert torch.equal(torch.stack(lives[0]), torch.stack(lives[1]))
    assert torch.equal(
        pixels.state["replay.float32"][0, 79 % 40, -3:], state.state["replay.float32"][0, 79, -3:]
    )  # action, reward, discount
    assert int(pixels.state["episodes"]) == int(state.state["episodes"]) > 3


def test_pixels_and_state_explore_at_the_same_steps() -> None:
    """Half of the actions are drawn: at these, and at resets, the two agree, whatever their networks think."""
    pixels, state = (Trainer([fresh(small_run(one, seed=2, steps=90))]) for one in (SEEN, SMALL))
    starts: tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]] = ({}, {})
    for _ in range(60):
        for begun, trainer in zip(starts, (pixels, state), strict=True):
            before = int(trainer.state["episodes"])
            trainer.advance(1)
            if int(trainer.state["episodes"]) > before:
                begun[before + 1] = trainer.state["env"][0, :4].clone()
    shared = starts[0].keys() & starts[1].keys()
    assert len(shared) >= 3
    assert all(torch.equal(starts[0][episode], starts[1][episode]) for episode in shared)
