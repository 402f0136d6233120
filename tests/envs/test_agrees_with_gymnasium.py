"""The tensor environments against Gymnasium's own: first states, steps of thousands of random episodes, time limit."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils import seeding
from numpy.typing import NDArray

from rlbench.envs.lane_env import LaneEnv
from rlbench.envs.registry import lane_env

ENV_IDS = ["CartPole-v0", "CartPole-v1", "MountainCar-v0", "Acrobot-v1"]
FULL_EPISODES = {"CartPole-v0": 2000, "CartPole-v1": 2000, "MountainCar-v0": 500, "Acrobot-v1": 10}
CART_POLE_ANGLE_LIMIT = 12 * 2 * np.pi / 360

# A state from which no action ends the episode at once, and a state with an action that does.
QUIET_STATE = {
    "CartPole-v0": [0.0, 0.0, 0.0, 0.0],
    "CartPole-v1": [0.0, 0.0, 0.0, 0.0],
    "MountainCar-v0": [-0.5, 0.0],
    "Acrobot-v1": [0.0, 0.0, 0.0, 0.0],
}
LAST_STATE = {
    "CartPole-v0": [2.4, 1.0, 0.0, 0.0],
    "CartPole-v1": [0.0, 0.0, 0.2, 1.0],
    "MountainCar-v0": [0.49, 0.07],
    "Acrobot-v1": [np.pi, 0.0, 0.0, 0.0],
}

# Bounds of random states that reach past every border of the dynamics. Acrobot's velocities start at half their limits:
# steps from there agree to 2e-14, those from the limits only to 1e-12, so much is a sine's last bit magnified there.
# Whole random episodes reach a third of the limits.
WIDE_BOUNDS = {
    "CartPole-v0": [2.5, 3.0, 0.23, 3.5],
    "CartPole-v1": [2.5, 3.0, 0.23, 3.5],
    "MountainCar-v0": [1.2, 0.07],
    "Acrobot-v1": [np.pi, np.pi, 2 * np.pi, 4.5 * np.pi],
}


@dataclass(frozen=True)
class Transitions:
    """Steps of Gymnasium's environment: states [N, S] float64, observations [N, D] float32, and the rest [N]."""

    state: NDArray[np.float64]
    action: NDArray[np.int64]
    next_state: NDArray[np.float64]
    obs: NDArray[np.float32]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]


def environment(env_id: str) -> LaneEnv:
    env = lane_env(env_id)
    assert env is not None
    return env


def gymnasium_environment(env_id: str) -> gymnasium.Env[Any, Any]:
    """Gymnasium's own environment; from its specification, because the id CartPole-v0 draws a warning."""
    return gymnasium.make(gymnasium.spec(env_id), disable_env_checker=True)


def set_state(theirs: gymnasium.Env[Any, Any], state: NDArray[np.float64]) -> None:
    inner: Any = theirs.unwrapped
    inner.state = state
    inner.steps_beyond_terminated = None  # CartPole's; the others ignore it


def record(theirs: gymnasium.Env[Any, Any], starts: NDArray[np.float64], seed: int, max_steps: int) -> Transitions:
    """Play one episode with random actions from each of `starts` [N, S], for at most `max_steps`."""
    inner: Any = theirs.unwrapped
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for start in starts:
        set_state(theirs, start)
        state: Any = start
        for action in rng.integers(inner.action_space.n, size=max_steps):
            obs, reward, terminated, _, _ = inner.step(action)
            rows.append((state, action, inner.state, obs, reward, terminated))
            if terminated:
                break
            state = inner.state
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Transitions(columns[0].astype(np.float64), columns[1], columns[2].astype(np.float64), *columns[3:])


def assert_agrees(ours: LaneEnv, seen: Transitions) -> None:
    next_state, reward, terminated = ours.step(torch.from_numpy(seen.state), torch.from_numpy(seen.action))
    assert np.abs(next_state.numpy() - seen.next_state).max() < 1e-12
    assert np.array_equal(reward.numpy(), seen.reward)
    assert np.array_equal(terminated.numpy(), seen.terminated)
    # Both round to float32 from float64 numbers that are at most 1e-12 apart: equal, or neighbours.
    obs = ours.observe(next_state).numpy()
    assert (np.abs(obs - seen.obs) <= np.spacing(np.abs(seen.obs))).all()


def reset_states(theirs: gymnasium.Env[Any, Any], count: int) -> NDArray[np.float64]:
    states = []
    for seed in range(count):
        theirs.reset(seed=seed)
        inner: Any = theirs.unwrapped
        states.append(np.asarray(inner.state, np.float64))
    return np.array(states)


def wide_states(env_id: str, count: int) -> NDArray[np.float64]:
    bounds = np.array(WIDE_BOUNDS[env_id])
    return np.random.default_rng(11).uniform(-bounds, bounds, size=(count, len(bounds)))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_sizes_and_limit(env_id: str) -> None:
    ours, theirs = environment(env_id), gymnasium_environment(env_id)
    assert theirs.spec is not None
    assert ours.env_id == theirs.spec.id
    assert ours.max_episode_steps == theirs.spec.max_episode_steps
    assert ours.obs_shape == theirs.observation_space.shape
    assert isinstance(theirs.action_space, gymnasium.spaces.Discrete)
    assert ours.num_actions == theirs.action_space.n
    assert theirs.action_space.start == 0


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_reset_maps_the_same_uniforms_to_the_same_state(env_id: str) -> None:
    ours, theirs = environment(env_id), gymnasium_environment(env_id)
    uniforms = np.array([seeding.np_random(seed)[0].random(ours.num_reset_uniforms) for seed in range(300)])
    assert np.array_equal(ours.reset(torch.from_numpy(uniforms)).numpy(), reset_states(theirs, 300))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_steps_of_whole_random_episodes(env_id: str) -> None:
    ours, theirs = environment(env_id), gymnasium_environment(env_id)
    starts = reset_states(theirs, FULL_EPISODES[env_id])
    assert_agrees(ours, record(theirs, starts, seed=1, max_steps=ours.max_episode_steps))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_steps_of_episodes_from_all_over_the_state_space(env_id: str) -> None:
    seen = record(gymnasium_environment(env_id), wide_states(env_id, 2000), seed=2, max_steps=10)
    assert 100 < seen.terminated.sum() < len(seen.terminated) - 1000
    assert_agrees(environment(env_id), seen)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["MountainCar-v0", "Acrobot-v1"])
def test_steps_of_two_thousand_whole_random_episodes(env_id: str) -> None:
    ours, theirs = environment(env_id), gymnasium_environment(env_id)
    assert_agrees(ours, record(theirs, reset_states(theirs, 2000), seed=3, max_steps=ours.max_episode_steps))


def test_cart_pole_ends_only_beyond_its_thresholds() -> None:
    # Without velocity a step keeps position and angle, so these are the numbers that are compared with the thresholds.
    limits = np.array([2.4, CART_POLE_ANGLE_LIMIT])
    at, over = limits, np.nextafter(limits, np.inf)
    starts = np.array([[x, 0.0, theta, 0.0] for edge in (at, over) for x, theta in (*np.diag(edge), *np.diag(-edge))])
    seen = record(gymnasium_environment("CartPole-v1"), starts, seed=4, max_steps=1)
    assert seen.terminated.tolist() == [False] * 4 + [True] * 4
    assert_agrees(environment("CartPole-v1"), seen)


def test_mountain_car_at_its_left_wall_and_at_the_goal() -> None:
    velocities = np.linspace(-0.07, 0.07, 57)
    wall = [[position, velocity] for position in (-1.2, -1.19, -1.15) for velocity in velocities]
    goal = [[position, velocity] for position in (0.43, 0.49, 0.5, 0.52, 0.58, 0.6) for velocity in velocities]
    seen = record(gymnasium_environment("MountainCar-v0"), np.array(wall + goal), seed=5, max_steps=2)
    stopped = (seen.next_state[:, 0] == -1.2) & (seen.next_state[:, 1] == 0.0)
    passed_backwards = (seen.next_state[:, 0] >= 0.5) & ~seen.terminated
    assert stopped.sum() > 10
    assert passed_backwards.sum() > 10
    assert seen.terminated.sum() > 10
    assert_agrees(environment("MountainCar-v0"), seen)


def test_acrobot_wraps_several_turns_and_bounds_its_velocities() -> None:
    bounds = np.array([np.pi, np.pi, 4 * np.pi, 9 * np.pi])
    corners = np.array(np.meshgrid(*[(-1.0, -0.9, 0.9, 1.0)] * 4)).reshape(4, -1).T * bounds
    seen = record(gymnasium_environment("Acrobot-v1"), corners, seed=6, max_steps=1)
    assert (np.abs(seen.next_state[:, 2:]) == bounds[2:]).any(axis=0).all()
    assert (np.abs(seen.next_state[:, :2]) <= np.pi).all()
    assert_agrees(environment("Acrobot-v1"), seen)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_truncated_is_length_at_the_limit_whatever_terminated_is(env_id: str) -> None:
    ours, theirs = environment(env_id), gymnasium_environment(env_id)
    last_step = ours.max_episode_steps
    for final_state, final_terminated in ((QUIET_STATE[env_id], False), (LAST_STATE[env_id], True)):
        theirs.reset(seed=0)
        for length in range(1, last_step + 1):
            set_state(theirs, np.array(final_state if length == last_step else QUIET_STATE[env_id]))
            _, _, terminated, truncated, _ = theirs.step(1)
            assert truncated == (length >= last_step)
            assert terminated == (final_terminated and length == last_step)
