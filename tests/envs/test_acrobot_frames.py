"""Acrobot drawn by tensor operations against Gymnasium's own window, through the same crop and resize."""

import functools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlbench.envs.acrobot import Acrobot
from rlbench.envs.acrobot_frames import AcrobotFrames
from rlbench.envs.frames import frame_renderer
from rlbench.envs.resampling import SpanPainter, lines_together
from rlbench.envs.window import Window

from window_frames import FramePairs, WindowFrames  # isort: skip

WHOLE = Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=40, columns=90)
WINDOWS = {
    "whole frame": WHOLE,
    "cropped": Window(top=0.2, bottom=0.9, width=0.8, follow=False, rows=35, columns=64),
    "odd": Window(top=0.0, bottom=1.0, width=401 / 500, follow=False, rows=40, columns=71),
    "small and grey": Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=20, columns=22, grey=True),
    "as in Atari": Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=84, columns=84, grey=True),
}
KINDS = {"start": (0.1, 0.1, 0.1), "episode": (1.2, 2.0, 3.0), "any angle": (math.pi, 4 * math.pi, 9 * math.pi)}


def states(kind: str, count: int) -> NDArray[np.float64]:
    """Two successive states each, [2, count, 4]: as an episode begins, as it goes on, or at any angle and any velocity."""
    random = np.random.default_rng(7)
    angle, first_speed, second_speed = KINDS[kind]
    most = np.array([angle, angle, first_speed, second_speed])
    first = random.uniform(-most, most, (count, 4)).astype(np.float32).astype(np.float64)
    if kind == "any angle":
        # Folded arms, and arms that lie on each other as upright, level and hanging ones do.
        first[::4, 1] = math.pi
        first[1::8, :2] = random.integers(-2, 3, (len(first[1::8]), 2)) * (math.pi / 2)
    after, _, _ = Acrobot().step(torch.from_numpy(first), torch.from_numpy(random.integers(0, 3, count)))
    return np.stack([first, after.float().double().numpy()])


@functools.cache
def window_frames() -> WindowFrames:
    return WindowFrames("Acrobot-v1")


def background() -> NDArray[np.uint8]:
    """The frame without arms."""
    frame = np.full((500, 500, 3), 255, np.uint8)
    frame[499 - 363] = 0
    return frame


@functools.cache
def pairs(kind: str, count: int) -> FramePairs:
    return FramePairs(window_frames(), states(kind, count), background())


@pytest.mark.parametrize("kind", KINDS)
def test_patches_are_those_of_the_window(kind: str) -> None:
    frames, steps = pairs(kind, 120).errors(frame_renderer("Acrobot-v1", WHOLE), WHOLE)
    assert frames < 0.04
    assert steps < (0.1 if kind == "start" else 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_patches_are_those_of_the_window(kind: str) -> None:
    frames, steps = pairs(kind, 1500).errors(frame_renderer("Acrobot-v1", WHOLE), WHOLE)
    assert frames < 0.04
    assert steps < (0.1 if kind == "start" else 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("kind", ["episode", "any angle"])
def test_any_size_and_crop(name: str, kind: str) -> None:
    frames, steps = pairs(kind, 120).errors(frame_renderer("Acrobot-v1", WINDOWS[name]), WINDOWS[name])
    assert frames < 0.05
    assert steps < 0.15


class LinksInLine(AcrobotFrames):
    """A renderer that does not see the second angle."""

    def __call__(self, drawn: torch.Tensor) -> torch.Tensor:
        return super().__call__(drawn * torch.tensor([1.0, 0.0]))


def test_the_bounds_see_missing_links_and_a_second_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, steps = pairs("episode", 120).errors(LinksInLine(WHOLE, torch.device("cpu")), WHOLE)
    assert frames > 0.2
    assert steps > 0.5
    renderer = AcrobotFrames(WHOLE, torch.device("cpu"))

    def nothing(self: SpanPainter, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, self.columns)

    monkeypatch.setattr(SpanPainter, "paint_rows", nothing)
    frames, steps = pairs("episode", 120).errors(renderer, WHOLE)
    assert frames > 0.5
    assert steps > 0.5


@pytest.mark.parametrize(("height", "rows"), [(30, 10), (100, 7), (37, 12)])
def test_painting_the_rows_that_see_something_is_painting(height: int, rows: int) -> None:
    step = lines_together(height, rows, 4)
    painter = SpanPainter(height=height, width=48, rows=rows, columns=16, step=step)
    left = torch.randint(-5, 50, (6, painter.num_lines)).float()
    right = left + torch.randint(-9, 30, left.shape).float()
    right[1], right[2, 3:] = -5.0, -5.0
    place, found = painter.paint_rows(left, right)
    assert len(place) < 6 * rows
    patches = torch.zeros(6 * rows, 16)
    patches[place] = found
    torch.testing.assert_close(patches.view(6, rows, 16), painter.paint(left, right), atol=1e-6, rtol=0)
