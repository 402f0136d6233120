"""Gymnasium environments seen on their own frames: rendered to arrays, cropped and resized by Pillow, the last K of them.

The frame is a constant of the state as far as the environment keeps to it; nothing is drawn on a screen.
Must never keep more than the last K patches of a lane: whoever replays stores them.
"""

import functools
import os
import warnings
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image

from rlbench.envs.gymnasium_lanes import (
    GymnasiumLanes,
    LaneSnapshot,
    check_actions,
    effective_max_episode_steps,
    open_environment,
)
from rlbench.envs.registry import EnvInfo
from rlbench.envs.window import Window
from rlbench.errors import ConfigError, first_line

RENDER_MODE = "rgb_array"


def open_rendered(env_id: str, max_episode_steps: int | None) -> gymnasium.Env[Any, Any]:
    """Create one environment that renders to arrays, and reset it. Raises ConfigError where it does not."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame looks for a display otherwise
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the environment does not know this mode: said below, if it is so
        env = open_environment(env_id, max_episode_steps, RENDER_MODE)
    try:
        env.reset(seed=0)
        frame: Any = env.render()
    except Exception as error:  # whatever the environment's own code raises
        env.close()
        raise ConfigError(f"environment '{env_id}' does not render to an array: {first_line(error)}") from None
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] not in (3, 4) or frame.dtype != np.uint8:
        env.close()
        told = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ConfigError(f"environment '{env_id}' does not render to an array of colours: it gives {told}")
    return env


class Rendered(NamedTuple):
    """An environment seen on its own frames: `info` with an obs_shape of (0,), and the size of a frame."""

    info: EnvInfo
    height: int
    width: int


@functools.cache
def describe_rendered(env_id: str, max_episode_steps: int | None = None) -> Rendered:
    """`registry.describe` of an environment seen on its own frames; any observation space will do.

    Raises ConfigError as `describe` does, and where it does not render.
    """
    plain = open_environment(env_id, max_episode_steps)
    modes = plain.metadata.get("render_modes") or []
    plain.close()
    if RENDER_MODE not in modes:
        raise ConfigError(
            f"observation=pixel: environment '{env_id}' cannot render to an array; its render modes: {', '.join(modes) or 'none'}"
        )
    env = open_rendered(env_id, max_episode_steps)
    try:
        actions = check_actions(env_id, env)
        frame: Any = env.render()
        info = EnvInfo(env_id, (0,), int(actions.n), effective_max_episode_steps(env), fast=False)
        return Rendered(info, *frame.shape[:2])
    finally:
        env.close()


def patch_of(frame: NDArray[np.uint8], window: Window, column: int | None = None) -> NDArray[np.uint8]:
    """A frame [height, width, 3] cropped and resized by Pillow's bicubic filter: [C, rows, columns], C is 3 or 1 (grey).

    The crop is centred on `column` and pushed inside at the borders, as in PyTorch's tutorial of 2019; None is the middle of the frame.
    """
    crop = window.crop(*frame.shape[:2])
    left = crop.left
    if column is not None:
        left = min(max(column - crop.width // 2, 0), frame.shape[1] - crop.width)
    kept = frame[crop.first_row : crop.last_row, left : left + crop.width, :3]
    image = Image.fromarray(np.ascontiguousarray(kept))
    if window.grey:
        image = image.convert("L")
    small = np.asarray(image.resize((window.columns, window.rows), Image.Resampling.BICUBIC))
    return small[None] if window.grey else small.transpose(2, 0, 1)


def cart_column(env: gymnasium.Env[Any, Any], width: int) -> int:
    """The column of CartPole's cart in a frame of this width."""
    cartpole: Any = env.unwrapped
    return int(cartpole.state[0] * width / (2 * cartpole.x_threshold) + width / 2)


def rendered_patch(env: gymnasium.Env[Any, Any], window: Window) -> NDArray[np.uint8]:
    """What the window shows of an environment now, [C, rows, columns]."""
    frame: Any = env.render()
    return patch_of(frame, window, cart_column(env, frame.shape[1]) if window.follow else None)


class FramedGymnasiumLanes(GymnasiumLanes):
    """`GymnasiumLanes` whose observation is the last K patches, oldest first, each [C, rows, columns] of 0 to 255, flattened.

    Before the first step every earlier patch is the first one.
    """

    def __init__(
        self, env_id: str, num_lanes: int, max_episode_steps: int | None, window: Window, num_frames: int
    ) -> None:
        """Raises ConfigError as `GymnasiumLanes`, and where the environment does not render."""
        self.window, self.num_frames = window, num_frames
        self.patch_size = (1 if window.grey else 3) * window.rows * window.columns
        self._unseen = 0
        super().__init__(env_id, num_lanes, max_episode_steps)
        self._last: list[NDArray[np.float32]] = [np.zeros(self.obs_size, np.float32) for _ in range(num_lanes)]

    def restore(
        self, lane: int, snapshot: LaneSnapshot, expected_obs: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """As `GymnasiumLanes.restore`; only the last K frames are rendered."""
        self._unseen = max(0, len(snapshot["actions"]) + 1 - self.num_frames)
        return super().restore(lane, snapshot, expected_obs)

    def _open(self) -> gymnasium.Env[Any, Any]:
        return open_rendered(self.env_id, self._limit_override)

    def _sizes(self, env: gymnasium.Env[Any, Any]) -> "tuple[int, spaces.Discrete[Any]]":
        return self.num_frames * self.patch_size, check_actions(self.env_id, env)

    def _seen(self, lane: int, obs: Any, *, is_first: bool) -> NDArray[np.float32]:
        if self._unseen > 0:
            self._unseen -= 1
            return self._last[lane]
        patch = rendered_patch(self._env(lane), self.window).astype(np.float32).ravel()
        earlier = np.tile(patch, self.num_frames - 1) if is_first else self._last[lane][self.patch_size :]
        self._last[lane] = np.concatenate([earlier, patch])
        return self._last[lane]
