"""Greedy episodes of a policy in its Gymnasium environment, with a frame and the Q-values of every step.

In: a run and its network. Out: `Moment`s. The episodes begin from evaluation seeds, which training never used. Opens no window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rlbench.envs.gymnasium_frames import open_rendered, rendered_patch
from rlbench.envs.gymnasium_lanes import check_actions
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.steps.observing import observed, window_of
from rlbench.lanes.streams import EVALUATION, reset_seed
from rlbench.lanes.training.lane_state import namespace_number

ORDINAL = 1 << 20  # of the evaluation whose episodes are played: none that a run makes
DEFAULT_FPS = 30
FRAME_HEIGHT = 300  # of what is kept of a frame, in pixels


@dataclass(frozen=True)
class Moment:
    """One step: what is seen, what the network thinks of it, and what it does."""

    episode: int
    step: int
    frame: NDArray[np.uint8]  # [FRAME_HEIGHT, width, 3]
    obs: NDArray[np.float32]  # [D], or [C, rows, columns] of pixels
    q_values: NDArray[np.float64]  # [A]
    action: int
    episode_return: float  # until now


def scaled(frame: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A frame at this height, its shape kept."""
    image = Image.fromarray(np.ascontiguousarray(frame[..., :3]))
    size = (max(2, round(image.width * height / image.height)), height)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


class Eyes:
    """What a run's network sees of its environment: the observation as numbers [D], or pixels [C, rows, columns], float32."""

    def __init__(self, run: Run, env: gymnasium.Env[Any, Any]) -> None:
        self.seen, self.env = observed(run), env
        self._last: list[Tensor] = []

    def look(self, obs: Any, *, is_first: bool) -> Tensor:
        """What is seen now that the environment gave this observation, the first one of an episode or not."""
        pixel, renderer = self.seen.pixel, self.seen.renderer
        if pixel is None:
            return torch.from_numpy(np.array(obs, np.float32).reshape(self.seen.info.obs_shape))
        if renderer is None:
            patch = torch.from_numpy(rendered_patch(self.env, window_of(pixel)).astype(np.float32))
        else:
            cartpole: Any = self.env.unwrapped
            state = torch.tensor(np.asarray(cartpole.state, np.float64))
            patch = renderer(renderer.drawn(state)[None])[0]
        self._last = [patch] * pixel.frames if is_first else [*self._last[1:], patch]
        return pixel.observation(torch.stack(self._last))


class Stage:
    """The environment of a run, rendering to arrays."""

    def __init__(self, run: Run) -> None:
        """Raises ConfigError for an environment that cannot be created or cannot render."""
        self.env, self.run = open_rendered(run.env.id, run.env.max_env_steps), run
        self.first_action = int(check_actions(run.env.id, self.env).start)
        self.eyes, self._values = Eyes(run, self.env), run.variant.estimator.values

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
            while True:
                seen = self.eyes.look(obs, is_first=step == 0)
                with torch.no_grad():
                    q_values = self._values(policy(seen[None]))[0].double().numpy()
                action, frame = int(q_values.argmax()), scaled(np.asarray(self.env.render(), np.uint8), FRAME_HEIGHT)
                yield Moment(episode, step, frame, seen.numpy(), q_values, action, total)
                if is_over or step == max_steps:
                    break
                obs, reward, terminated, truncated, _ = self.env.step(self.first_action + action)
                total, step, is_over = total + float(reward), step + 1, terminated or truncated

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
