"""CartPole drawn by tensor operations against Gymnasium's own window, through the same crop and resize."""

import functools
import math
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rlbench.envs.cartpole import CartPole
from rlbench.envs.frames import frame_renderer
from rlbench.envs.resampling import SUBPIXELS, SpanPainter, bicubic_weights
from rlbench.envs.window import Window

from window_frames import WindowFrames, relative_errors  # isort: skip

TUTORIAL = Window(top=0.4, bottom=0.8, width=0.6, follow=True, rows=40, columns=90)
WINDOWS = {
    "tutorial": TUTORIAL,
    "second source": Window(top=0.4, bottom=0.8, width=320 / 600, follow=True, rows=40, columns=80),
    "small and grey": Window(top=0.4, bottom=0.8, width=0.3, follow=True, rows=20, columns=22, grey=True),
    "odd and still": Window(top=0.405, bottom=0.8, width=597 / 600, follow=False, rows=31, columns=97),
    "through the cart": Window(top=0.5, bottom=0.73, width=0.4, follow=True, rows=30, columns=60),
    "above the cart": Window(top=0.4, bottom=0.65, width=0.6, follow=True, rows=25, columns=90),
    "whole frame": Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=84, columns=84, grey=True),
}
FEW, MANY = 200, 1000


def states(kind: str, count: int) -> NDArray[np.float64]:
    """Two successive states each, [2, count, 4]: as in an episode, balanced (slow), at the borders, falling, or at any angle, spinning."""
    random = np.random.default_rng(3)
    angle = {"any angle": math.pi, "falling": 0.7}.get(kind, 0.21)
    speed = 0.5 if kind == "slow" else 2
    most = np.array([2.4, speed, angle, speed])
    first = random.uniform(-most, most, (count, 4)).astype(np.float32).astype(np.float64)
    if kind == "borders":
        first[:, 0] = np.sign(first[:, 0]) * random.uniform(2.1, 2.5, count).astype(np.float32)
    after, _, _ = CartPole().step(torch.from_numpy(first), torch.from_numpy(random.integers(0, 2, count)))
    return np.stack([first, after.float().double().numpy()])


@functools.cache
def window_frames() -> WindowFrames:
    return WindowFrames("CartPole-v1")


@functools.cache
def packed_frames(kind: str, count: int) -> list[tuple[bytes, int]]:
    """Whole frames of both states of each pair, compressed since thousands are several GB, with the cart's column."""
    both = states(kind, count).reshape(-1, 4)
    return [(zlib.compress(window_frames().frame(state).tobytes(), 1), int(state[0] * 125 + 300)) for state in both]


def real_frames(kind: str, count: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The same, one at a time, as [400, 600, 3]."""
    for packed, column in packed_frames(kind, count):
        yield np.frombuffer(zlib.decompress(packed), np.uint8).reshape(400, 600, 3), column


def compared(kind: str, window: Window, count: int) -> tuple[float, float]:
    drawn = frame_renderer("CartPole-v1", window).drawn(torch.from_numpy(states(kind, count).reshape(-1, 4)))
    own = frame_renderer("CartPole-v1", window)(drawn).numpy()
    real = np.stack(
        [
            WindowFrames.resized(frame, window, column if window.follow else None)
            for frame, column in real_frames(kind, count)
        ]
    ).astype(np.float32)
    empty = np.full((400, 600, 3), 255, np.uint8)
    empty[299] = 0  # the track
    background = WindowFrames.resized(empty, window).astype(np.float32)
    shape = (2, count, *own.shape[1:])
    return relative_errors(own.reshape(shape), real.reshape(shape), background)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["episode", "slow", "borders", "falling", "any angle"])
def test_patches_are_those_of_the_window(kind: str, count: int) -> None:
    """Thousands of states. A renderer without a pole is wrong by 30 % and more, and by 60 % on differences (see below)."""
    frames, steps = compared(kind, TUTORIAL, count)
    assert frames < (0.01 if kind != "any angle" else 0.05)
    assert steps < {"any angle": 0.15, "slow": 0.1}.get(kind, 0.07)


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("kind", ["slow", "borders", "any angle"])
def test_any_size_and_crop(name: str, kind: str) -> None:
    frames, steps = compared(kind, WINDOWS[name], 100)
    assert frames < 0.05
    assert steps < 0.15


def test_the_bounds_see_a_missing_pole_and_a_moved_cart(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: SpanPainter, index: torch.Tensor, rows: slice) -> torch.Tensor:
        return torch.zeros(len(index), rows.stop - rows.start, self.columns)

    monkeypatch.setattr(SpanPainter, "covered", nothing)
    frames, steps = compared("episode", TUTORIAL, 120)
    assert frames > 0.2
    assert steps > 0.5


@pytest.mark.parametrize(("size_in", "size_out"), [(160, 40), (360, 90), (400, 84), (37, 12), (20, 33)])
def test_weights_resize_as_pillow(size_in: int, size_out: int) -> None:
    row = np.random.default_rng(0).integers(0, 256, size_in).astype(np.float32)
    image = Image.fromarray(np.tile(row, (3, 1)), mode="F").resize((size_out, 3), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(bicubic_weights(size_in, size_out).numpy() @ row, np.asarray(image)[1], atol=1e-3)


def test_a_span_is_painted_as_its_drawn_rows_are_resized() -> None:
    """Whole pixels in whole rows, so that nothing but the method differs."""
    painter = SpanPainter(height=30, width=48, rows=10, columns=16, step=1)
    left, right = torch.randint(-5, 50, (4, 30)).float(), torch.randint(-5, 60, (4, 30)).float()
    x = torch.arange(48) + 0.5
    drawn = ((x > left[..., None]) & (x < right[..., None])).double()
    expected = bicubic_weights(30, 10) @ drawn @ bicubic_weights(48, 16).T
    torch.testing.assert_close(painter.paint(left, right).double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(painter.paint(left, right, slice(2, 7)).double(), expected[:, 2:7], atol=1e-5, rtol=0)
    assert SUBPIXELS == 8
