"""The normalisation table: its sources measured or looked up again, and the scale worked by hand."""

import gymnasium
import numpy as np
import pytest
import torch

from rlbench.envs.registry import lane_env
from rlbench.envs.scores import normalisation, normalise
from rlbench.errors import ConfigError

ENV_IDS = ["CartPole-v0", "CartPole-v1", "MountainCar-v0", "Acrobot-v1"]
STANDARD_ERRORS_OF_THE_TABLE = {"CartPole-v0": 0.038, "CartPole-v1": 0.038, "MountainCar-v0": 0.0, "Acrobot-v1": 0.035}


def random_returns(env_id: str, num_episodes: int, seed: int) -> torch.Tensor:
    """Return the undiscounted returns [num_episodes] of uniformly random actions, 2 000 episodes at a time."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([_random_returns(env_id, 2000, generator) for _ in range(num_episodes // 2000)])


def _random_returns(env_id: str, num_episodes: int, generator: torch.Generator) -> torch.Tensor:
    env = lane_env(env_id)
    assert env is not None
    uniforms = torch.rand(num_episodes, env.num_reset_uniforms, generator=generator, dtype=torch.float64)
    state = env.reset(uniforms)
    returns = torch.zeros(num_episodes, dtype=torch.float64)
    is_running = torch.ones(num_episodes, dtype=torch.bool)
    for _ in range(env.max_episode_steps):
        actions = torch.randint(env.num_actions, (num_episodes,), generator=generator)
        state, reward, terminated = env.step(state, actions)
        returns += torch.where(is_running, reward, 0.0)
        is_running &= ~terminated
        if not is_running.any():
            break
    return returns


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_random_returns_measured_again_with_fewer_episodes(env_id: str) -> None:
    returns = random_returns(env_id, num_episodes=2000, seed=1)
    standard_error = float(returns.std()) / 2000**0.5
    assert abs(float(returns.mean()) - normalisation(env_id).random) <= 4 * standard_error


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_random_returns_of_the_table_itself(env_id: str) -> None:
    returns = random_returns(env_id, num_episodes=100_000, seed=0)
    score = normalisation(env_id)
    standard_error = float(returns.std()) / 100_000**0.5
    assert standard_error == pytest.approx(STANDARD_ERRORS_OF_THE_TABLE[env_id], abs=6e-4)
    # Torch may change its generator between releases: within the error, not to the last digit.
    assert abs(float(returns.mean()) - score.random) <= 4 * standard_error + 6e-4


@pytest.mark.parametrize("env_id", ["MountainCar-v0", "Acrobot-v1"])
def test_reference_is_the_threshold_in_the_registry(env_id: str) -> None:
    assert normalisation(env_id).reference == gymnasium.spec(env_id).reward_threshold


@pytest.mark.parametrize("env_id", ["CartPole-v0", "CartPole-v1"])
def test_reference_is_the_largest_possible_return(env_id: str) -> None:
    assert normalisation(env_id).reference == gymnasium.spec(env_id).max_episode_steps


def test_the_scale_by_hand() -> None:
    assert np.array_equal(normalise("MountainCar-v0", [-200.0, -155.0, -110.0, -65.0]), [0.0, 0.5, 1.0, 1.5])
    assert normalise("CartPole-v1", 500) == 1.0
    assert normalise("CartPole-v1", np.full((2, 3), 22.268)).tolist() == [[0.0] * 3] * 2


def test_an_environment_without_scores_is_an_error_that_lists_those_with() -> None:
    with pytest.raises(ConfigError, match=r"'Taxi-v4'; there is one for: CartPole-v0, CartPole-v1, MountainCar-v0"):
        normalise("Taxi-v4", [1.0])
