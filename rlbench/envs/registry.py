"""Which environment an id means: its sizes, its step limit, and whether a pure tensor implementation exists.

In: a Gymnasium id, optionally as `module:Id`, and optionally a step limit in place of the registered one.
Out: `EnvInfo` and `LaneEnv`. A new tensor implementation is one more line in `LANE_ENVS`.
Must never guess: an id that is not exactly right is an error.
"""

import functools
from dataclasses import dataclass, replace
from typing import Any

from rlbench.envs.acrobot import Acrobot
from rlbench.envs.cartpole import CartPole
from rlbench.envs.lane_env import LaneEnv, check_step_limit
from rlbench.envs.mountain_car import MountainCar

LANE_ENVS: dict[str, Any] = {  # each a LaneEnv and a dataclass, which no type says
    env.env_id: env
    for env in (
        CartPole("CartPole-v0", max_episode_steps=200),
        CartPole("CartPole-v1", max_episode_steps=500),
        MountainCar(),
        Acrobot(),
    )
}


@dataclass(frozen=True)
class EnvInfo:
    """What the rest of the program needs to know of an environment.

    Attributes:
        env_id: the id as given.
        obs_shape: of an observation, flattened without a tensor implementation.
        num_actions: A.
        max_episode_steps: the limit that truncates an episode, None when there is none.
        obs_dtype: its dtype.
        fast: whether `lane_env` has a pure tensor implementation.
    """

    env_id: str
    obs_shape: tuple[int, ...]
    num_actions: int
    max_episode_steps: int | None
    fast: bool
    obs_dtype: str = "float32"


def lane_env(env_id: str, max_env_steps: int | None = None) -> LaneEnv | None:
    """Return the tensor implementation of `env_id`, with `max_env_steps` as its limit if given; None if there is none.

    Raises:
        ConfigError: `max_env_steps` is not positive.
    """
    check_step_limit(max_env_steps)
    env = LANE_ENVS.get(env_id)
    if env is not None and max_env_steps is not None:
        env = replace(env, max_episode_steps=max_env_steps)
    found: LaneEnv | None = env
    return found


@functools.cache
def describe(env_id: str, max_env_steps: int | None = None, *, seen: bool = True) -> EnvInfo:
    """Look `env_id` up; without a tensor implementation, by importing its module and creating the environment, once in a process.

    Where nobody looks at observations (not `seen`), any will do, and obs_shape is (0,) without a tensor implementation.

    Raises:
        ConfigError: unknown id (with the nearest one), a module that does not import, an environment that cannot be
            created, actions that are not discrete, an observation that is not a box, or `max_env_steps` not positive.
    """
    env = lane_env(env_id, max_env_steps)
    if env is not None:
        return EnvInfo(env_id, env.obs_shape, env.num_actions, env.max_episode_steps, True, env.obs_dtype)

    # Imported here because importing Gymnasium costs 0.3 s, which runs on tensor environments need not pay.
    from rlbench.envs.gymnasium_lanes import check_actions, check_spaces, effective_max_episode_steps, open_environment

    gymnasium_env = open_environment(env_id, max_env_steps)
    try:
        obs_size, actions = check_spaces(env_id, gymnasium_env) if seen else (0, check_actions(env_id, gymnasium_env))
        return EnvInfo(env_id, (obs_size,), int(actions.n), effective_max_episode_steps(gymnasium_env), fast=False)
    finally:
        gymnasium_env.close()
