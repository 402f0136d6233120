"""Any Gymnasium environment with discrete actions and a box observation, one independent copy per lane.

In: reset seeds, actions and the lanes that step. Out: flat float32 observations, rewards and both flags, in NumPy.
A lane is saved as the seed of its last reset and the actions since, and restored by playing them again: environments
need not be picklable, but they must be deterministic functions of the seed, which a restore checks.
Must never reset a lane by itself, open a window, or let one lane's calls reach another lane's copy.
"""

import difflib
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from rlbench.envs.lane_env import check_step_limit
from rlbench.errors import ConfigError, RlbenchError
from rlbench.interrupts import is_from_keyboard

LARGEST = float(np.finfo(np.float32).max)  # what the engine can hold of an observation or a reward


class LaneError(RlbenchError):
    """What the environment of one lane did that no run can go on from."""

    def __init__(self, message: str, lane: int) -> None:
        super().__init__(message)
        self.lane = lane


class LaneSnapshot(TypedDict):
    """What it takes to bring one lane back: JSON-able."""

    seed: int
    actions: list[int]


class GymnasiumLanes:
    """One Gymnasium environment per lane, each created when it is first needed.

    Attributes:
        env_id: the Gymnasium id as given, with its `module:` if it has one.
        obs_size: features of a flattened observation, D.
        num_actions: actions are 0 .. num_actions - 1, whatever number the environment starts at.
        max_episode_steps: the step limit in force, None when there is none.
    """

    def __init__(self, env_id: str, num_lanes: int, max_episode_steps: int | None = None, *, seen: bool = True) -> None:
        """Create the environment of lane 0, to learn the spaces. Where nobody looks at observations (not `seen`) they have no features.

        Raises:
            ConfigError: no such environment, it cannot be created, or its spaces are not supported.
        """
        self.env_id = env_id
        self._limit_override, self._is_seen = max_episode_steps, seen
        first = self._open()
        self.num_lanes = num_lanes
        self.obs_size, actions = self._sizes(first)
        self.num_actions = int(actions.n)
        self.max_episode_steps = effective_max_episode_steps(first)
        self._first_action = actions.start
        self._envs: list[gymnasium.Env[Any, Any] | None] = [first, *[None] * (num_lanes - 1)]
        self._logs: list[LaneSnapshot | None] = [None] * num_lanes

    def reset(self, lane: int, seed: int) -> NDArray[np.float32]:
        """Start an episode in `lane` from `seed` (0 <= seed < 2**31) and return its first observation [D]."""
        obs, _ = called(self.env_id, "reset", self._env(lane).reset, seed=seed)
        self._logs[lane] = {"seed": seed, "actions": []}
        with np.errstate(over="ignore"):
            first = self._seen(lane, obs, is_first=True)
        self._check_seen(first[None], [lane])
        return first

    def step(
        self, actions: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Step the lanes where `active` [L] with `actions` [L].

        Returns:
            The observation after the step [L, D] (an ended episode's last one: nothing is reset), reward [L] float64,
            terminated [L] and truncated [L]; zeros where a lane is not active.

        Raises:
            RlbenchError: an active lane was never reset.
        """
        num_lanes = len(self._envs)
        obs = np.zeros((num_lanes, self.obs_size), np.float32)
        reward = np.zeros(num_lanes, np.float64)
        terminated = np.zeros(num_lanes, np.bool_)
        truncated = np.zeros(num_lanes, np.bool_)
        lanes = np.flatnonzero(active).tolist()
        with np.errstate(over="ignore"):  # a number too large for float32 is refused below
            for lane in lanes:
                obs[lane], reward[lane], terminated[lane], truncated[lane] = self._step_lane(lane, int(actions[lane]))
        self._check_seen(obs[lanes], lanes)
        return obs, reward, terminated, truncated

    def snapshot(self, lane: int) -> LaneSnapshot:
        """Return what `restore` needs to bring the episode of `lane` back as it is now."""
        log = self._log(lane)
        return {"seed": log["seed"], "actions": list(log["actions"])}

    def restore(
        self, lane: int, snapshot: LaneSnapshot, expected_obs: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Reset `lane` with the snapshot's seed, play its actions again, and return the observation [D] reached.

        Raises:
            RlbenchError: the episode ended on the way, or the observation is not bit for bit `expected_obs` [D].
        """
        obs = self.reset(lane, snapshot["seed"])
        is_over = False
        for action in snapshot["actions"]:
            if is_over:
                raise self._not_deterministic("the replayed episode ended too early")
            obs, _, terminated, truncated = self._step_lane(lane, action)
            is_over = terminated or truncated
        if expected_obs is not None and obs.tobytes() != np.asarray(expected_obs, np.float32).tobytes():
            raise self._not_deterministic(f"{len(snapshot['actions'])} replayed steps led to another observation")
        return obs

    def close(self) -> None:
        """Close every environment that was created; the lanes can be reset again afterwards."""
        for lane, env in enumerate(self._envs):
            if env is not None:
                env.close()
            self._envs[lane] = None
            self._logs[lane] = None

    def _step_lane(self, lane: int, action: int) -> tuple[NDArray[np.float32], float, bool, bool]:
        log = self._log(lane)
        # The sum keeps the integer type of the action space, as its own samples have.
        outcome = called(self.env_id, "step", self._env(lane).step, self._first_action + action)
        log["actions"].append(action)
        obs, reward, terminated, truncated, _ = outcome
        return self._seen(lane, obs, is_first=False), self._reward(lane, reward), bool(terminated), bool(truncated)

    def _open(self) -> gymnasium.Env[Any, Any]:
        return open_environment(self.env_id, self._limit_override)

    def _sizes(self, env: gymnasium.Env[Any, Any]) -> "tuple[int, spaces.Discrete[Any]]":
        """Features of an observation, and the action space."""
        return check_spaces(self.env_id, env) if self._is_seen else (0, check_actions(self.env_id, env))

    def _seen(self, lane: int, obs: Any, *, is_first: bool) -> NDArray[np.float32]:
        """What is seen [D] now that the environment of a lane gave this observation, the first one of an episode or not."""
        if not self._is_seen:
            if isinstance(obs, np.ndarray) and obs.dtype.kind == "f" and not (np.abs(obs) <= LARGEST).all():
                raise self._fault(lane, "an observation that is not finite", obs)
            return np.zeros(0, np.float32)
        try:
            return np.array(obs, np.float32).reshape(self.obs_size)
        except (TypeError, ValueError):
            told = f"of shape {np.shape(obs)}" if isinstance(obs, np.ndarray) else f"that is a {type(obs).__name__}"
            raise self._fault(lane, f"an observation {told}, and not one of {self.obs_size} numbers") from None

    def _check_seen(self, obs: NDArray[np.float32], lanes: Sequence[int]) -> None:
        """Raise LaneError where an observation of these lanes, obs [lanes, D], is not finite in float32."""
        finite = np.isfinite(obs)
        if not finite.all():
            row = int(np.flatnonzero(~finite.all(1))[0])
            raise self._fault(lanes[row], "an observation that is not finite", obs[row])

    def _reward(self, lane: int, reward: Any) -> float:
        """The reward as a number. Raises LaneError where it is none, or none that the engine can hold."""
        if type(reward) is not float:
            if np.ndim(reward):
                raise self._fault(lane, f"a reward of shape {np.shape(reward)}, and a reward is one number", reward)
            try:
                reward = float(reward)
            except (TypeError, ValueError):
                raise self._fault(lane, "a reward that is no number", reward) from None
        if not abs(reward) <= LARGEST:
            raise self._fault(lane, "a reward that is not finite in single precision", reward)
        return float(reward)

    def _fault(self, lane: int, what: str, value: Any = None) -> LaneError:
        """What a lane's environment gave, and where: enough to see it again."""
        log = self._log(lane)
        shown = "" if value is None else f" ({' '.join(str(value).split())[:80]})"
        when = f"step {len(log['actions'])} of an episode" if log["actions"] else "the reset"
        return LaneError(
            f"environment '{self.env_id}' gave {what}{shown} at {when} with reset seed {log['seed']}", lane
        )

    def _env(self, lane: int) -> gymnasium.Env[Any, Any]:
        env = self._envs[lane]
        if env is None:
            env = self._envs[lane] = self._open()
        return env

    def _log(self, lane: int) -> LaneSnapshot:
        log = self._logs[lane]
        if log is None:
            raise RlbenchError(f"lane {lane} of '{self.env_id}' was not reset yet; reset it first")
        return log

    def _not_deterministic(self, evidence: str) -> RlbenchError:
        return RlbenchError(
            f"environment '{self.env_id}' is not a deterministic function of its reset seed ({evidence}), "
            "so its runs cannot be resumed exactly"
        )


def open_environment(
    env_id: str, max_episode_steps: int | None, render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Create one environment, rendering in this mode (None: not at all), with `max_episode_steps` in place of the registered limit
    if given.

    Raises:
        ConfigError: no such environment, its module does not import, it cannot be created, or the limit is below 1.
    """
    check_step_limit(max_episode_steps)
    spec = find_spec(env_id)
    # The specification in place of the id keeps Gymnasium from warning about old versions such as CartPole-v0.
    rendering = {"render_mode": render_mode} if render_mode is not None or "render_mode" in spec.kwargs else {}
    try:
        return gymnasium.make(spec, max_episode_steps, disable_env_checker=True, **rendering)
    except BaseException as error:
        if is_from_keyboard(error):
            raise
        raise ConfigError(f"environment '{env_id}' cannot be created: {_first_line(error)}") from error


def called(env_id: str, name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call an environment's own code. Raises RlbenchError where that would end the process (SystemExit, say), else whatever it raises."""
    try:
        return function(*args, **options)
    except Exception:
        raise
    except BaseException as error:
        if is_from_keyboard(error):
            raise
        raise RlbenchError(f"environment '{env_id}' raised {_first_line(error)} in its {name}") from error


# The result type is quoted because Discrete is generic in recent releases of Gymnasium only.
def check_spaces(env_id: str, env: gymnasium.Env[Any, Any]) -> "tuple[int, spaces.Discrete[Any]]":
    """Return the size of a flattened observation of `env` and its action space.

    Raises:
        ConfigError: the actions are not discrete, or the observation is not a box of at least one number.
    """
    actions, observation = check_actions(env_id, env), env.observation_space
    if not isinstance(observation, spaces.Box) or math.prod(observation.shape) == 0:
        raise ConfigError(
            f"environment '{env_id}' has observations {_on_one_line(observation)}; "
            "only a Box of at least one number is supported"
        )
    return math.prod(observation.shape), actions


def check_actions(env_id: str, env: gymnasium.Env[Any, Any]) -> "spaces.Discrete[Any]":
    """Return the action space of `env`. Raises ConfigError where the actions are not discrete."""
    actions = env.action_space
    if not isinstance(actions, spaces.Discrete):
        raise ConfigError(
            f"environment '{env_id}' has actions {_on_one_line(actions)}; only Discrete actions are supported"
        )
    return actions


def effective_max_episode_steps(env: gymnasium.Env[Any, Any]) -> int | None:
    """Return the step limit that truncates episodes of `env`, None when there is none."""
    return None if env.spec is None else env.spec.max_episode_steps


def find_spec(env_id: str) -> EnvSpec:
    """The specification of an id, or of `module:Id` with its module imported. Raises ConfigError for an unknown one."""
    module, separator, name = env_id.rpartition(":")
    if separator:
        try:
            importlib.import_module(module)
        except BaseException as error:  # whatever the module's own code raises, SystemExit too
            if is_from_keyboard(error):
                raise
            raise ConfigError(
                f"environment '{env_id}': module '{module}' does not import: {_first_line(error)}; "
                "an id is 'Name-v0', or 'module:Name-v0' with a module on the Python path"
            ) from error
    spec = gymnasium.registry.get(name)
    if spec is None:
        near = difflib.get_close_matches(name.lower(), {known.lower() for known in gymnasium.registry}, n=1)
        nearest = [known for known in gymnasium.registry if known.lower() in near]
        hint = f"; did you mean '{module}{separator}{nearest[0]}'?" if nearest else ""
        raise ConfigError(
            f"unknown environment '{env_id}'{hint} (allowed: any id in gymnasium.registry, "
            "or 'module:Name-v0' to import the module that registers it)"
        )
    return spec


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _on_one_line(space: spaces.Space[Any]) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else type(space).__name__
