"""Greedy episodes of a policy in its Gymnasium environment, with a frame and the Q-values of every step.

In: a run and its network. Out: `Moment`s. The episodes begin from evaluation seeds, which training never used. Opens no window.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from rlbench.envs.gymnasium_lanes import check_spaces, find_spec
from rlbench.errors import ConfigError
from rlbench.lanes.lane_state import namespace_number
from rlbench.lanes.streams import EVALUATION, reset_seed
from rlbench.lanes.variant import Run

ORDINAL = 1 << 20  # of the evaluation whose episodes are played: none that a run makes
DEFAULT_FPS = 30


@dataclass(frozen=True)
class Moment:
    """One step: what is seen, what the network thinks of it, and what it does."""

    episode: int
    step: int
    frame: NDArray[np.uint8]  # [height, width, 3]
    obs: NDArray[np.float32]  # [D]
    q_values: NDArray[np.float64]  # [A]
    action: int
    episode_return: float  # until now


class Stage:
    """The environment of a run, rendering to arrays."""

    def __init__(self, run: Run) -> None:
        """Raises ConfigError for an environment that cannot be created or cannot render."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame looks for a display otherwise
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        spec = find_spec(run.env.id)
        try:
            env = gymnasium.make(spec, run.env.max_env_steps, disable_env_checker=True, render_mode="rgb_array")
            env.reset(seed=0)
            frame = env.render()
        except Exception as error:  # whatever the environment's own code raises
            told = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"environment '{run.env.id}' does not render to an array: {told}") from None
        if not isinstance(frame, np.ndarray) or frame.ndim != 3:
            raise ConfigError(
                f"environment '{run.env.id}' does not render to an array: it gives {type(frame).__name__}"
            )
        self.env, self.run = env, run
        self.obs_size, actions = check_spaces(run.env.id, env)
        self.first_action = int(actions.start)
        assert isinstance(env.action_space, spaces.Discrete)

    @property
    def fps(self) -> int:
        """Frames a second at which the environment is meant to be seen."""
        return int(self.env.metadata.get("render_fps") or DEFAULT_FPS)

    def play(self, policy: torch.nn.Module, num_episodes: int, max_steps: int) -> Iterator[Moment]:
        """The steps of greedy episodes, each of at most `max_steps`."""
        namespace = namespace_number(self.run) + EVALUATION
        for episode in range(num_episodes):
            obs, _ = self.env.reset(seed=reset_seed(self.run.seed, namespace, ORDINAL, episode))
            total, step, is_over = 0.0, 0, False
            while not is_over and step < max_steps:
                flat = np.asarray(obs, np.float32).reshape(self.obs_size)
                with torch.no_grad():
                    q_values = policy(torch.from_numpy(flat.copy())).double().numpy()
                action, frame = int(q_values.argmax()), np.asarray(self.env.render(), np.uint8)
                yield Moment(episode, step, frame, flat, q_values, action, total)
                obs, reward, terminated, truncated, _ = self.env.step(self.first_action + action)
                total, step, is_over = total + float(reward), step + 1, terminated or truncated
            last = np.asarray(obs, np.float32).reshape(self.obs_size)
            with torch.no_grad():
                q_values = policy(torch.from_numpy(last.copy())).double().numpy()
            yield Moment(
                episode, step, np.asarray(self.env.render(), np.uint8), last, q_values, int(q_values.argmax()), total
            )

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
