"""The frames of a minibatch, drawn by compiled code: what the network sees before and after each transition.

A minibatch has a fixed size, so that its drawing can be compiled; whoever acts draws any number of frames without.
"""

import functools
from collections.abc import Hashable

import torch
from torch import Tensor

from rlbench.envs.pixels import FrameRenderer, StagedRenderer
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.fast.compiling import Computation


def placed(renderer: StagedRenderer, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`renderer.placed`."""
    return renderer.placed(drawn)


def composed(
    renderer: StagedRenderer, pixel: Pixel, shown: int, place: Tensor, pole: Tensor, over: Tensor
) -> tuple[Tensor, Tensor]:
    """`renderer.composed` of N transitions' frames, `shown` each, as observations before and after."""
    return observations(pixel, shown, renderer.composed(place, pole, over))


def observations(pixel: Pixel, shown: int, patches: Tensor) -> tuple[Tensor, Tensor]:
    """Patches of N transitions' frames, `shown` each -> before and after [N, C, rows, columns], laid out with channels last."""
    before, after = pixel.transition(patches.unflatten(0, (-1, shown)))
    return before.contiguous(memory_format=torch.channels_last), after.contiguous(memory_format=torch.channels_last)


class MinibatchDrawing:
    """Draws minibatches of one size: in compiled stages where the renderer has stages."""

    def __init__(self, renderer: FrameRenderer, pixel: Pixel) -> None:
        self.renderer, self.pixel = renderer, pixel
        self._staged = renderer if isinstance(renderer, StagedRenderer) else None
        # Patches are not stored between being composed and being subtracted, though one in the middle is then composed twice: 6.9 us a
        # patch of 3 x 40 x 90 in place of 9.3.
        self._placed = Computation(placed, exact=False)
        self._composed = Computation(composed, exact=False, realize_reads_threshold=16)
        self._observations = Computation(observations, exact=False)

    def __call__(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """drawn [N, K, P] float32, K frames of each transition, oldest first -> before and after [N, C, rows, columns] float32."""
        renderer, shown, drawn = self._staged, drawn.shape[1], drawn.flatten(0, 1)
        if renderer is None:
            return self._observations(self.pixel, shown, self.renderer(drawn))
        return self._composed(renderer, self.pixel, shown, *renderer.painted(drawn, *self._placed(renderer, drawn)))


@functools.cache
def drawing(renderer: FrameRenderer, pixel: Pixel, size: Hashable) -> MinibatchDrawing:
    """One for each renderer, kind of observation, and size of a minibatch."""
    return MinibatchDrawing(renderer, pixel)
