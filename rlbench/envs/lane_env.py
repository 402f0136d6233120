"""The port that every pure tensor environment fills: state in, state out, for any number of lanes at once.

In: a float64 state [..., state_size] and actions, or uniform random numbers for a reset. Out: new tensors.
An implementation is a frozen dataclass; its functions must be compilable as one graph (no branch on data) and use only
elementwise operations that IEEE 754 rounds exactly (see `trig`), so that a lane's bits depend neither on its neighbours
nor on vector width. Must never end an episode by length: the caller owns the clock, and
truncated = (length >= max_episode_steps), as Gymnasium's TimeLimit has it.
"""

import abc
from typing import ClassVar

from rlbench.deferred import Tensor
from rlbench.errors import ConfigError


class LaneEnv(abc.ABC):
    """An environment as pure functions on tensors with any leading axes.

    Attributes:
        env_id: the Gymnasium id whose behaviour is reproduced.
        max_episode_steps: the length at which the caller truncates an episode.
        obs_shape: of an observation, (D,) or (channels, rows, columns).
        obs_dtype: float32, or bool, of which a stored observation costs a bit a number, or uint8.
        num_actions: actions are 0 .. num_actions - 1, A.
        state_size: numbers in a state, S.
        num_reset_uniforms: uniform numbers that a reset consumes, R, at most 4.
        num_step_uniforms: uniform numbers that a step consumes, U; 0 where it is deterministic.
    """

    env_id: str
    max_episode_steps: int
    obs_shape: ClassVar[tuple[int, ...]]
    obs_dtype: ClassVar[str] = "float32"
    num_actions: ClassVar[int]
    state_size: ClassVar[int]
    num_reset_uniforms: ClassVar[int]
    num_step_uniforms: ClassVar[int] = 0

    @abc.abstractmethod
    def reset(self, uniforms: Tensor) -> Tensor:
        """Map `uniforms` [..., R] float64 in [0, 1) to first states [..., S] float64, distributed as in Gymnasium."""

    @abc.abstractmethod
    def observe(self, state: Tensor) -> Tensor:
        """Return the observations [..., *obs_shape] of `state` [..., S] float64."""

    @abc.abstractmethod
    def step(self, state: Tensor, action: Tensor, *uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advance one step.

        Args:
            state: [..., S] float64, not terminated.
            action: [...] int64 in 0 .. num_actions - 1.
            uniforms: [..., U] float64 in [0, 1), one tensor where U is above 0, else none.

        Returns:
            The next state [..., S] float64, the reward [...] float64, and terminated [...] bool.
        """


def check_step_limit(max_episode_steps: int | None) -> None:
    """Raise ConfigError unless the limit is None (the environment's own) or positive."""
    if max_episode_steps is not None and max_episode_steps < 1:
        raise ConfigError(f"the step limit of an episode must be at least 1, not {max_episode_steps}")
