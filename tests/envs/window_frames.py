"""Gymnasium's own frames through the window toolkit, cropped and resized by Pillow: what the tensor renderers are held against."""

import os
import zlib

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rlbench.envs.pixels import FrameRenderer
from rlbench.envs.window import Window


class WindowFrames:
    """Patches of one environment's states, one at a time, [C, rows, columns] uint8."""

    def __init__(self, env_id: str) -> None:
        spec = gymnasium.spec(env_id)
        self.env = gymnasium.make(spec, render_mode="rgb_array", disable_env_checker=True).unwrapped
        self.env.reset(seed=0)

    def frame(self, state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The whole window, [height, width, 3]."""
        self.env.state = state  # type: ignore[attr-defined]
        return np.asarray(self.env.render())

    def patch(self, state: NDArray[np.float64], window: Window, column: int | None = None) -> NDArray[np.uint8]:
        """Cropped as the published scripts do: rows, then a window about the column that never leaves the frame."""
        frame = self.frame(state)
        return self.resized(frame, window, column)

    @staticmethod
    def resized(frame: NDArray[np.uint8], window: Window, column: int | None = None) -> NDArray[np.uint8]:
        height, width, _ = frame.shape
        view = round(window.width * width)
        if column is None:
            columns = slice((width - view) // 2, (width - view) // 2 + view)
        elif column < view // 2:
            columns = slice(view)
        elif column > width - view // 2:
            columns = slice(-view, None)
        else:
            columns = slice(column - view // 2, column + view // 2)
        crop = np.ascontiguousarray(frame[round(window.top * height) : round(window.bottom * height), columns])
        image = Image.fromarray(crop)
        if window.grey:
            image = image.convert("L")
        small = np.asarray(image.resize((window.columns, window.rows), Image.Resampling.BICUBIC))
        return small[None] if window.grey else small.transpose(2, 0, 1)


def relative_errors(
    own: NDArray[np.float32], real: NDArray[np.float32], background: NDArray[np.float32]
) -> tuple[float, float]:
    """Mean error of patches over the mean of |frame - background|, and of differences over the mean of |difference|.

    own, real: [2, N, C, rows, columns], of states and of the states a step later.
    """
    frames = np.abs(own - real).mean() / np.abs(real - background).mean()
    steps = np.abs((own[1] - own[0]) - (real[1] - real[0])).mean() / np.abs(real[1] - real[0]).mean()
    return float(frames), float(steps)


class FramePairs:
    """Pairs of successive states, both [2, N, S] float64, with the window's whole frames, compressed since thousands are several GB."""

    def __init__(self, frames: WindowFrames, both: NDArray[np.float64], background: NDArray[np.uint8]) -> None:
        self.both, self.background = both, background
        self.packed = [zlib.compress(frames.frame(state).tobytes(), 1) for state in both.reshape(-1, both.shape[2])]

    def errors(self, renderer: FrameRenderer, window: Window) -> tuple[float, float]:
        """The relative errors of a renderer's frames and of their differences."""
        states = torch.from_numpy(self.both.reshape(-1, self.both.shape[2]))
        own = renderer(renderer.drawn(states)).numpy()
        real = np.empty_like(own)
        for i, packed in enumerate(self.packed):
            frame = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self.background.shape)
            real[i] = WindowFrames.resized(frame, window)
        background = WindowFrames.resized(self.background, window).astype(np.float32)
        shape = (*self.both.shape[:2], *own.shape[1:])
        return relative_errors(own.reshape(shape), real.reshape(shape), background)
