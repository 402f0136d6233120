"""Lanes of any Gymnasium environment: the same numbers as the environment alone, isolated lanes, exact resume."""

import itertools
import json
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from rlbench.envs.gymnasium_lanes import GymnasiumLanes
from rlbench.errors import ConfigError, RlbenchError

ALL = np.ones(3, np.bool_)


class Walk(gymnasium.Env[NDArray[np.float64], np.int64]):
    """Actions -1, 0, 1 move a noisy point; the observation is a 2x2 box of float64; ends after 12 steps or beyond 4."""

    metadata = {"render_modes": ["human"]}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(3, start=-1)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2, 2), np.float64)
        self.closed = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed)
        self.position, self.length = self.np_random.normal(), 0
        return self.observation(0), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.position += float(action) + 0.1 * self.np_random.normal()
        self.length += 1
        return self.observation(float(action)), 0.5 * float(action), abs(self.position) > 4, self.length >= 12, {}

    def observation(self, action: float) -> NDArray[np.float64]:
        return np.array([[self.position, action], [self.length, 1 / 3]])

    def close(self) -> None:
        self.closed = True


class Forgetful(Walk):
    """Its observation counts the steps of all copies since the program began, so a seed does not determine it."""

    count = itertools.count()

    def observation(self, action: float) -> NDArray[np.float64]:
        return super().observation(action) + next(self.count)


class EndsByTheClock(Walk):
    """Episodes get one step shorter each time one begins."""

    steps_left = itertools.count(6, -1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float64], dict[str, Any]]:
        obs, info = super().reset(seed=seed)
        self.length = 12 - next(self.steps_left)
        return obs, info


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Register the environments above for one test."""
    register: Any = gymnasium.register
    ids: dict[str, dict[str, Any]] = {
        "RlbenchWalk-v0": {"entry_point": Walk},
        "RlbenchShortWalk-v0": {"entry_point": Walk, "max_episode_steps": 5},
        "RlbenchWindow-v0": {"entry_point": Walk, "kwargs": {"render_mode": "human"}},
        "RlbenchForgetful-v0": {"entry_point": Forgetful},
        "RlbenchEndsByTheClock-v0": {"entry_point": EndsByTheClock},
    }
    for env_id, options in ids.items():
        register(env_id, **options)
    yield
    for env_id in ids:
        del gymnasium.registry[env_id]


def some_actions(num_steps: int, num_lanes: int, num_actions: int) -> NDArray[np.int64]:
    return np.random.default_rng(3).integers(num_actions, size=(num_steps, num_lanes))


def test_lanes_see_what_a_single_environment_shows() -> None:
    lanes = GymnasiumLanes("RlbenchWalk-v0", 3)
    assert (lanes.env_id, lanes.obs_size, lanes.num_actions) == ("RlbenchWalk-v0", 4, 3)
    alone = [gymnasium.make("RlbenchWalk-v0", disable_env_checker=True) for _ in range(3)]
    for lane, env in enumerate(alone):
        expected = env.reset(seed=40 + lane)[0].astype(np.float32).ravel()
        first = lanes.reset(lane, 40 + lane)
        assert first.dtype == np.float32
        assert np.array_equal(first, expected)
    for actions in some_actions(6, 3, 3):
        obs, reward, terminated, truncated = lanes.step(actions, ALL)
        assert obs.dtype == np.float32
        assert reward.dtype == np.float64
        assert terminated.dtype == truncated.dtype == np.bool_
        for lane, env in enumerate(alone):
            expected_obs, expected_reward, *expected_flags, _ = env.step(np.int64(actions[lane] - 1))
            assert np.array_equal(obs[lane], expected_obs.astype(np.float32).ravel())
            assert reward[lane] == expected_reward
            assert [terminated[lane], truncated[lane]] == expected_flags


def test_only_active_lanes_step_and_the_others_read_zero() -> None:
    lanes = GymnasiumLanes("RlbenchWalk-v0", 3)
    for lane in range(3):
        lanes.reset(lane, seed=1)
    obs, reward, terminated, truncated = lanes.step(np.array([2, 2, 2]), np.array([True, False, True]))
    assert np.array_equal(obs[0], obs[2])
    assert reward.tolist() == [0.5, 0.0, 0.5]
    assert not obs[1].any()
    assert not terminated.any()
    assert not truncated.any()
    # The idle lane is one step behind and otherwise where the others were.
    later, *_ = lanes.step(np.array([2, 2, 2]), np.array([False, True, False]))
    assert np.array_equal(later[1], obs[0])


def test_an_ended_episode_shows_its_last_observation_and_waits_for_its_reset() -> None:
    lanes = GymnasiumLanes("RlbenchWalk-v0", 1)
    lanes.reset(0, seed=1)
    for length in range(1, 13):
        obs, _, terminated, truncated = lanes.step(np.array([1]), ALL[:1])
        assert obs[0, 2] == length
        assert truncated[0] == (length == 12)
        assert not terminated[0]
    assert lanes.reset(0, seed=2)[2] == 0


def test_step_limit_is_the_registered_one_or_the_override() -> None:
    for env_id, override, effective in (
        ("RlbenchWalk-v0", None, None),
        ("RlbenchShortWalk-v0", None, 5),
        ("RlbenchShortWalk-v0", 7, 7),
        ("RlbenchWalk-v0", 3, 3),
    ):
        lanes = GymnasiumLanes(env_id, 2, override)
        assert lanes.max_episode_steps == effective
        lanes.reset(1, seed=0)
        limit = effective or 12  # the walk itself stops after 12
        flags = [bool(lanes.step(np.array([1, 1]), np.array([False, True]))[3][1]) for _ in range(limit)]
        assert flags == [False] * (limit - 1) + [True]


def test_a_step_limit_below_one_is_an_error() -> None:
    # Gymnasium itself would read -1 as "no limit".
    with pytest.raises(ConfigError, match="at least 1, not -1"):
        GymnasiumLanes("RlbenchShortWalk-v0", 1, -1)


def test_restored_lanes_go_on_bit_for_bit() -> None:
    actions = some_actions(10, 3, 3)
    lanes = GymnasiumLanes("RlbenchWalk-v0", 3)
    for lane in range(3):
        lanes.reset(lane, seed=7 * lane)
    lanes.step(actions[0], ALL)
    lanes.reset(1, seed=99)
    lanes.step(actions[1], np.array([True, True, False]))
    obs, *_ = lanes.step(actions[2], ALL)
    snapshots = [json.loads(json.dumps(lanes.snapshot(lane))) for lane in range(3)]
    assert [len(snapshot["actions"]) for snapshot in snapshots] == [3, 2, 2]

    resumed = GymnasiumLanes("RlbenchWalk-v0", 3)
    for lane in (2, 0, 1):
        assert np.array_equal(resumed.restore(lane, snapshots[lane], obs[lane]), obs[lane])
    for row in actions[3:6]:
        kept: tuple[Any, ...] = lanes.step(row, ALL)
        again: tuple[Any, ...] = resumed.step(row, ALL)
        assert [part.tobytes() for part in kept] == [part.tobytes() for part in again]
    assert resumed.snapshot(0) == lanes.snapshot(0)


def test_a_snapshot_is_not_changed_by_later_steps() -> None:
    lanes = GymnasiumLanes("RlbenchWalk-v0", 1)
    lanes.reset(0, seed=5)
    lanes.step(np.array([2]), ALL[:1])
    snapshot = lanes.snapshot(0)
    lanes.step(np.array([0]), ALL[:1])
    assert snapshot == {"seed": 5, "actions": [2]}


def test_an_environment_that_its_seed_does_not_determine_cannot_be_resumed() -> None:
    lanes = GymnasiumLanes("RlbenchForgetful-v0", 1)
    lanes.reset(0, seed=5)
    obs, *_ = lanes.step(np.array([2]), ALL[:1])
    with pytest.raises(RlbenchError, match="'RlbenchForgetful-v0' is not a deterministic function of its reset seed"):
        lanes.restore(0, lanes.snapshot(0), obs[0])


def test_a_replay_that_ends_early_cannot_be_resumed() -> None:
    lanes = GymnasiumLanes("RlbenchEndsByTheClock-v0", 1)
    lanes.reset(0, seed=5)
    for _ in range(6):
        *_, truncated = lanes.step(np.array([1]), ALL[:1])
    assert truncated[0]
    with pytest.raises(RlbenchError, match="the replayed episode ended too early"):
        lanes.restore(0, lanes.snapshot(0))


def test_stepping_a_lane_before_its_first_reset_is_an_error() -> None:
    lanes = GymnasiumLanes("RlbenchWalk-v0", 2)
    lanes.reset(0, seed=0)
    with pytest.raises(RlbenchError, match="lane 1 of 'RlbenchWalk-v0' was not reset yet"):
        lanes.step(np.array([1, 1]), np.array([True, True]))


def test_copies_are_created_when_needed_and_closed() -> None:
    created: list[Walk] = []

    class Counted(Walk):
        def __init__(self) -> None:
            super().__init__()
            created.append(self)

    specification: Any = gymnasium.registry["RlbenchWalk-v0"]
    specification.entry_point = Counted
    lanes = GymnasiumLanes("RlbenchWalk-v0", 50)
    assert len(created) == 1
    lanes.reset(31, seed=0)
    lanes.reset(31, seed=1)
    assert len(created) == 2
    lanes.close()
    lanes.close()
    assert all(env.closed for env in created)


def test_no_window_even_where_the_registration_asks_for_one() -> None:
    lanes = GymnasiumLanes("RlbenchWindow-v0", 1)
    environment = lanes._env(0)
    assert environment.render_mode is None


def test_old_versions_of_cart_pole_are_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GymnasiumLanes("CartPole-v0", 1).max_episode_steps == 200
