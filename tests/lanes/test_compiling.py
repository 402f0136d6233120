"""Compiled code and what it checks of its arguments."""

import pytest
import torch
from torch import Tensor

from rlbench.envs.frames import frame_renderer
from rlbench.lanes.compiling import can_compile, compiled
from rlbench.lanes.drawing import Drawing
from rlbench.lanes.observations import Pixel
from rlbench.lanes.observing import window_of

pytestmark = pytest.mark.slow  # the compiler takes seconds to start


def twice(scale: Tensor, obs: Tensor) -> Tensor:
    return scale * obs * 2


def halved(scale: Tensor, obs: Tensor) -> Tensor:
    return scale / 2


@pytest.fixture(autouse=True)
def compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "1")
    if not can_compile():
        pytest.skip("no C++ compiler here: nothing is compiled")


def test_a_checked_argument_may_have_several_shapes() -> None:
    computation = compiled(twice, ("obs",))
    for size in (1, 3, 1, 5):
        assert torch.equal(computation(torch.ones(1), torch.arange(float(size))), 2 * torch.arange(float(size)))


def test_an_argument_that_the_compiler_does_not_check_is_an_error() -> None:
    with pytest.raises(Exception, match="halved: the compiler has no check of obs"):
        compiled(halved, ("obs",))(torch.ones(1), torch.ones(1))


def test_another_size_of_an_argument_that_is_not_checked_is_an_error() -> None:
    computation = compiled(twice)
    computation(torch.ones(1), torch.ones(3))
    with pytest.raises(AssertionError, match="expected size"):
        computation(torch.ones(1), torch.ones(5))


@pytest.mark.parametrize("bottom", [0.8, 0.65], ids=["with the cart", "above the cart"])
def test_minibatches_are_drawn_as_frames_are(bottom: float) -> None:
    """Upright and lying poles; compiled code may round one in a thousand pixels to the other side."""
    pixel = Pixel(bottom=bottom, rows=20, columns=45, colour="grey", combine="both")
    renderer = frame_renderer("CartPole-v1", window_of(pixel))
    drawn = torch.rand(6, 3, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    patches = renderer(drawn.flatten(0, 1)).unflatten(0, (6, 3))
    for own, expected in zip(Drawing(renderer, pixel)(drawn), pixel.transition(patches), strict=True):
        wrong = (own - expected).abs() * 255
        assert float(wrong.max()) < 1.01
        assert float((wrong > 0.01).float().mean()) < 1e-3
