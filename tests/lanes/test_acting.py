"""What a lane does in its environment, against Gymnasium's own CartPole and the plain network: actions, rows, episodes."""

import gymnasium
import numpy as np
import pytest
import torch
from lane_runs import SMALL, fresh, small_run, weights_of, with_fields
from plain_philox import stream_words

from rlbench.lanes.choices.exploration import Constant, Linear
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.variant import Environment
from rlbench.lanes.training.trainer import Trainer

RESET, EXPLORATION = 2, 3
NUM_STEPS = 90
LIMIT = 12


@pytest.mark.parametrize("seed", [0, 41])
def test_a_lane_does_what_a_plain_loop_does(seed: int) -> None:
    """Epsilon falls from 1 to 0 over 60 steps, so that drawn and greedy actions both occur, before and after learning begins."""
    schedule = Linear(start=1.0, end=0.0, decay_fraction=None, decay_steps=60)
    variant = with_fields(SMALL, exploration=schedule, optimizer__lr=3e-3)
    network = variant.network
    assert isinstance(network, MLP)
    run = small_run(variant, seed=seed, steps=1000, env=Environment("CartPole-v1", max_env_steps=LIMIT))
    trainer = Trainer([fresh(run), fresh(small_run(variant, seed=99, steps=1000, env=run.env))])
    module = network.module(obs_shape=(4,), num_actions=2)
    env = gymnasium.make("CartPole-v1", max_episode_steps=LIMIT)

    def reset(episode: int) -> np.ndarray:
        env.reset()
        words = stream_words(seed=seed, namespace=1, stream=RESET, step=episode, index=0)
        first = np.array([-0.05 + 0.1 * (word / 2**32) for word in words])
        env.unwrapped.state = first  # type: ignore[attr-defined]
        return first.astype(np.float32)

    obs, episode, length, drawn, expected_episodes = reset(0), 0, 0, 0, []
    recorded = []
    for step in range(NUM_STEPS):
        module.load_state_dict(weights_of(trainer.state, network))
        recorded += trainer.advance(1)[0].episodes
        draw, pick, *_ = stream_words(seed=seed, namespace=1, stream=EXPLORATION, step=step, index=0)
        if draw / 2**32 < max(0.0, 1 - step / 60):
            action, drawn = pick * 2 // 2**32, drawn + 1
        else:
            action = int(module(torch.from_numpy(obs)).argmax())
        obs_t, reward, terminated, truncated, _ = env.step(action)
        length += 1
        row = trainer.state["replay.float32"][0, step]
        torch.testing.assert_close(row[:4], torch.from_numpy(obs), rtol=0, atol=1e-6)
        torch.testing.assert_close(row[4:8], torch.from_numpy(obs_t), rtol=0, atol=1e-6)
        assert row[8:].tolist() == [action, reward, float(np.float32(0.0 if terminated else variant.discount))]
        obs = obs_t
        if terminated or truncated:
            expected_episodes.append((episode, step + 1, length, float(length), terminated))
            episode, length = episode + 1, 0
            obs = reset(episode)
    env.close()
    assert recorded == expected_episodes
    assert {row[-1] for row in recorded} == {True, False}
    assert 20 < drawn < 50


def test_the_return_is_the_undiscounted_sum_of_rewards() -> None:
    """Acrobot gives -1 a step: with a limit of 10 every episode returns -10, at steps 10, 20, 30."""
    env = Environment("Acrobot-v1", max_env_steps=10)
    (events,) = Trainer([fresh(small_run(steps=35, env=env))]).advance(35).values()
    assert events.episodes == [(0, 10, 10, -10.0, False), (1, 20, 10, -10.0, False), (2, 30, 10, -10.0, False)]


def test_budgets_in_steps_and_in_episodes_end_where_they_say() -> None:
    runs = [small_run(steps=37), small_run(steps=None, episodes=4), small_run(steps=1)]
    trainer = Trainer([fresh(run) for run in runs])
    events = trainer.advance(1000)
    assert [events[slot].status for slot in range(3)] == ["done"] * 3
    assert int(trainer.state["env_steps"][0]) == 37
    assert int(trainer.state["env_steps"][2]) == 1
    assert [row[0] for row in events[1].episodes] == [0, 1, 2, 3]
    assert int(trainer.state["env_steps"][1]) == events[1].episodes[-1][1]
    assert int(trainer.state["episodes"][1]) == 4


def test_a_trainer_takes_one_cohort_only() -> None:
    other = with_fields(SMALL, batch_size=9)
    with pytest.raises(ValueError, match="one cohort key"):
        Trainer([fresh(small_run()), fresh(small_run(other))])


def test_greedy_lanes_ignore_the_drawn_actions() -> None:
    """With epsilon 0 the row's action is the better one for the network, with epsilon 1 it is the drawn one."""
    greedy = with_fields(SMALL, exploration=Constant(0.0), replay__warmup=200)
    random = with_fields(greedy, exploration=Constant(1.0))
    trainer = Trainer([fresh(small_run(variant, seed=4, steps=1000)) for variant in (greedy, random)])
    trainer.advance(60)
    rows = trainer.state["replay.float32"][:, :60]
    network = greedy.network
    assert isinstance(network, MLP)
    module = network.module(obs_shape=(4,), num_actions=2)
    module.load_state_dict(weights_of(trainer.state, network))
    assert torch.equal(rows[0, :, 8].long(), module(rows[0, :, :4]).argmax(1))
    picks = [stream_words(seed=4, namespace=1, stream=EXPLORATION, step=step, index=0)[1] >> 31 for step in range(60)]
    assert rows[1, :, 8].tolist() == picks
    assert rows[0, :, 8].tolist() != picks
