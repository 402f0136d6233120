"""MountainCar drawn from its table against Gymnasium's own window, through the same crop and resize."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlbench.envs import mountain_car_frames as module
from rlbench.envs.frames import frame_renderer
from rlbench.envs.mountain_car import MountainCar
from rlbench.envs.mountain_car_frames import MountainCarFrames
from rlbench.envs.window import Window

from window_frames import FramePairs, WindowFrames  # isort: skip

WHOLE = Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=40, columns=90)
WINDOWS = {
    "whole frame": WHOLE,
    "cropped": Window(top=0.2, bottom=0.9, width=0.8, follow=False, rows=35, columns=64),
    "odd": Window(top=0.0, bottom=1.0, width=501 / 600, follow=False, rows=40, columns=71),
    "small and grey": Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=20, columns=22, grey=True),
    "as in Atari": Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=84, columns=84, grey=True),
}
KINDS = ("anywhere", "start", "borders")


def states(kind: str, count: int) -> NDArray[np.float64]:
    """Two successive states each, [2, count, 2]: anywhere, as an episode begins, or at the wall and about the flag."""
    random = np.random.default_rng(5)
    low, high = {"anywhere": (-1.2, 0.6), "start": (-0.6, -0.4), "borders": (0.35, 0.6)}[kind]
    speed = 0.003 if kind == "start" else 0.07
    first = random.uniform([low, -speed], [high, speed], (count, 2)).astype(np.float32).astype(np.float64)
    if kind == "borders":
        first[::3] = random.uniform([-1.2, -0.07], [-1.1, 0.07], (len(first[::3]), 2)).astype(np.float32)
    after, _, _ = MountainCar().step(torch.from_numpy(first), torch.from_numpy(random.integers(0, 3, count)))
    return np.stack([first, after.float().double().numpy()])


@functools.cache
def window_frames() -> WindowFrames:
    return WindowFrames("MountainCar-v0")


@functools.cache
def background() -> NDArray[np.uint8]:
    """The frame without a car: of three frames, no two have it at the same place."""
    frames = [window_frames().frame(np.array([position, 0.0])) for position in (-1.1, -0.5, 0.1)]
    return np.median(np.stack(frames), 0).astype(np.uint8)


@functools.cache
def pairs(kind: str, count: int) -> FramePairs:
    return FramePairs(window_frames(), states(kind, count), background())


@pytest.mark.parametrize("kind", KINDS)
def test_patches_are_those_of_the_window(kind: str) -> None:
    frames, steps = pairs(kind, 120).errors(frame_renderer("MountainCar-v0", WHOLE), WHOLE)
    assert frames < 0.03
    assert steps < (0.1 if kind == "start" else 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_patches_are_those_of_the_window(kind: str) -> None:
    frames, steps = pairs(kind, 1500).errors(frame_renderer("MountainCar-v0", WHOLE), WHOLE)
    assert frames < 0.03
    assert steps < (0.1 if kind == "start" else 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
def test_any_size_and_crop(name: str) -> None:
    frames, steps = pairs("anywhere", 120).errors(frame_renderer("MountainCar-v0", WINDOWS[name]), WINDOWS[name])
    assert frames < 0.05
    assert steps < 0.15


def test_the_bounds_see_a_missing_car_and_one_that_does_not_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    still = MountainCarFrames(WHOLE, torch.device("cpu"))
    table = still.table
    empty = still.rounded.flatten()[table.corner[:, None] + table.inner].to(torch.uint8)
    still.table = dataclasses.replace(table, blocks=empty)
    frames, steps = pairs("anywhere", 120).errors(still, WHOLE)
    assert frames > 0.5
    assert steps > 0.5

    def zero(angle: Tensor) -> Tensor:
        return torch.zeros_like(angle)

    monkeypatch.setattr(module, "cosine", zero)
    frames, steps = pairs("anywhere", 120).errors(MountainCarFrames(WHOLE, torch.device("cpu")), WHOLE)
    assert frames > 0.05
    assert steps > 0.15


def test_the_hill_is_that_of_the_window() -> None:
    own = module.hill().flip(0).numpy()
    without_flag = np.s_[:, :560]
    error = np.abs(own - background()[..., 0])[without_flag].sum() / (255.0 - background()[..., 0])[without_flag].sum()
    assert error < 0.01
