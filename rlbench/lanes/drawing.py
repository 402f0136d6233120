"""The frames of a minibatch, drawn by compiled code: what the network sees before and after each transition.

A minibatch has a fixed size, so that its drawing can be compiled; whoever acts draws any number of frames without.
"""

import functools

import torch
from torch import Tensor

from rlbench.envs.pixels import FrameRenderer
from rlbench.lanes.compiling import compiled
from rlbench.lanes.observations import Pixel


def placed(renderer: FrameRenderer, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """`renderer.placed`."""
    return renderer.placed(drawn)


def observed_parts(
    renderer: FrameRenderer, pixel: Pixel, place: Tensor, pole: Tensor, over: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`renderer.composed` of N transitions' frames -> before and after [N, C, rows, columns], laid out with channels last."""
    patches = renderer.composed(place, pole, over).unflatten(0, (-1, pixel.frames + 1))
    before, after = pixel.transition(patches)
    return before.contiguous(memory_format=torch.channels_last), after.contiguous(memory_format=torch.channels_last)


class Drawing:
    """Draws minibatches of one size."""

    def __init__(self, renderer: FrameRenderer, pixel: Pixel) -> None:
        self.renderer, self.pixel = renderer, pixel
        self._placed = compiled(placed)
        self._observed = compiled(observed_parts)

    def __call__(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """drawn [N, frames + 1, P] float32, oldest first -> before and after [N, C, rows, columns] float32."""
        place, pole, over = self.renderer.painted(*self._placed(self.renderer, drawn.flatten(0, 1)))
        return self._observed(self.renderer, self.pixel, place, pole, over)


@functools.cache
def drawing(renderer: FrameRenderer, pixel: Pixel, count: int) -> Drawing:
    """One for each renderer, kind of observation, and size of a minibatch."""
    return Drawing(renderer, pixel)
