"""Environment ids: what they resolve to, and the one line that tells what is wrong with one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

from rlbench.envs.registry import EnvInfo, describe, lane_env
from rlbench.errors import ConfigError

MODULE = """
import gymnasium
from gymnasium import spaces

class Coin(gymnasium.Env):
    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0, 1, (3, 2))

gymnasium.register("RlbenchCoin-v0", Coin, max_episode_steps=9)
"""


class Shaped(gymnasium.Env[Any, Any]):
    """An environment with any spaces."""

    def __init__(self, actions: Any, observations: Any) -> None:
        self.action_space = actions
        self.observation_space = observations


@pytest.fixture
def coin_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module on the Python path that registers RlbenchCoin-v0 when it is imported."""
    (tmp_path / "rlbench_coin.py").write_text(MODULE)
    (tmp_path / "rlbench_broken.py").write_text("raise RuntimeError('no licence\\nsecond line')")
    monkeypatch.syspath_prepend(tmp_path)
    yield "rlbench_coin"
    gymnasium.registry.pop("RlbenchCoin-v0", None)
    sys.modules.pop("rlbench_coin", None)


@pytest.fixture
def shaped() -> Iterator[None]:
    register: Any = gymnasium.register
    box, discrete = spaces.Box(0, 1, (2,)), spaces.Discrete(2)
    register("RlbenchDict-v0", Shaped, kwargs={"actions": discrete, "observations": spaces.Dict({"a": box})})
    empty = spaces.Box(0, 1, (2, 0))
    register("RlbenchEmpty-v0", Shaped, kwargs={"actions": discrete, "observations": empty})
    pairs = spaces.MultiDiscrete([2, 2])
    register("RlbenchPairs-v0", Shaped, kwargs={"actions": pairs, "observations": box})
    yield
    for env_id in ("RlbenchDict-v0", "RlbenchEmpty-v0", "RlbenchPairs-v0"):
        del gymnasium.registry[env_id]


@pytest.mark.parametrize(
    "expected",
    [
        EnvInfo("CartPole-v0", (4,), 2, 200, fast=True),
        EnvInfo("CartPole-v1", (4,), 2, 500, fast=True),
        EnvInfo("MountainCar-v0", (2,), 3, 200, fast=True),
        EnvInfo("Acrobot-v1", (6,), 3, 500, fast=True),
    ],
)
def test_fast_environments(expected: EnvInfo) -> None:
    assert describe(expected.env_id) == expected
    env = lane_env(expected.env_id)
    assert env is not None
    assert env.env_id == expected.env_id


def test_step_limit_override_of_a_fast_environment_leaves_the_table_alone() -> None:
    assert describe("CartPole-v1", max_env_steps=30).max_episode_steps == 30
    short = lane_env("CartPole-v1", max_env_steps=30)
    assert short is not None
    assert (short.env_id, short.max_episode_steps) == ("CartPole-v1", 30)
    assert describe("CartPole-v1").max_episode_steps == 500


def test_an_environment_of_another_module(coin_module: str) -> None:
    env_id = f"{coin_module}:RlbenchCoin-v0"
    assert describe(env_id) == EnvInfo(env_id, (6,), 2, 9, fast=False)
    assert describe(env_id, max_env_steps=4).max_episode_steps == 4
    assert lane_env(env_id) is None


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Taxi-v4"])
def test_a_step_limit_below_one_is_an_error(env_id: str, limit: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 1, not {limit}"):
        describe(env_id, limit)


@pytest.mark.usefixtures("coin_module", "shaped")
@pytest.mark.parametrize(
    ("env_id", "parts"),
    [
        ("cartpole-v1", ["unknown environment 'cartpole-v1'", "did you mean 'CartPole-v1'?"]),
        ("CartPole", ["did you mean 'CartPole-v1'?"]),
        ("CartPole-v7", ["did you mean 'CartPole-v"]),
        ("MountanCar-v0", ["did you mean 'MountainCar-v0'?"]),
        ("zzzz", ["unknown environment 'zzzz' (allowed: any id in gymnasium.registry"]),
        ("", ["unknown environment ''"]),
        ("rlbench_coin:RlbenchCoyn-v0", ["did you mean 'rlbench_coin:RlbenchCoin-v0'?"]),
        ("rlbench_no_such_module:Coin-v0", ["module 'rlbench_no_such_module' does not import: ModuleNotFoundError"]),
        ("rlbench_broken:Coin-v0", ["module 'rlbench_broken' does not import: RuntimeError: no licence;"]),
        (":Coin-v0", ["module '' does not import"]),
        ("Pendulum-v1", ["has actions Box(-2.0, 2.0, (1,), float32)", "only Discrete actions are supported"]),
        ("RlbenchPairs-v0", ["has actions MultiDiscrete([2 2])", "only Discrete actions are supported"]),
        ("Taxi-v4", ["has observations Discrete(500)", "only a Box of at least one number is supported"]),
        (
            "RlbenchDict-v0",
            [
                "has observations Dict('a': Box(0.0, 1.0, (2,), float32))",
                "only a Box of at least one number is supported",
            ],
        ),
        ("RlbenchEmpty-v0", ["has observations Box([], [], (2, 0), float32)"]),
        ("GymV26Environment-v0", ["'GymV26Environment-v0' cannot be created: "]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(env_id: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        describe(env_id)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text
