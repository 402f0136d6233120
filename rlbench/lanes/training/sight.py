"""What a network sees of the engine's observations: themselves, or pixels of the frames that they stand for.

With pixels, an observation arrives as the numbers that determine its frames, [..., K P] float32 (see `rlbench.envs.pixels`), or as the
places of stored frames (see `rlbench.lanes.steps.frame_memory`); pixels live only from here to the network.
"""

from typing import Protocol

import torch
from torch import Tensor

from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.fast.drawing import drawing
from rlbench.lanes.steps.frame_memory import look_up
from rlbench.lanes.steps.observing import Observed
from rlbench.lanes.tensors import Tensors


class Sight(Protocol):
    """How observations become what a network sees, always float32. `draws`: whether that takes more than a look at them."""

    draws: bool

    def of_lanes(self, state: Tensors, slots: Tensor, obs: Tensor) -> Tensor:
        """Of the training lanes in slots [n] int64, obs [n, ...]: [n, *shape]."""

    def of_episodes(self, obs: Tensor) -> Tensor:
        """Of episodes beside training, obs [n, E, ...]: [n, E, *shape]."""

    def of_transitions(self, found: Tensors, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """Before and after transitions with the columns `obs_tm1` and `obs_t` [L, B, ...]: [L, B, *shape] each.

        frames: the memories of these lanes where they store frames, [L, R, C, rows, columns] uint8.
        """


class PlainSight:
    """Observations as they are."""

    draws = False

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def of_lanes(self, state: Tensors, slots: Tensor, obs: Tensor) -> Tensor:
        """See `Sight`."""
        return obs.float().view(len(obs), *self._shape)

    def of_episodes(self, obs: Tensor) -> Tensor:
        """See `Sight`."""
        return obs.float().view(*obs.shape[:2], *self._shape)

    def of_transitions(self, found: Tensors, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `Sight`."""
        return found["obs_tm1"], found["obs_t"]


class PixelSight:
    """Pixels: drawn by `renderer`, or, where it is None, of frames that lanes store and episodes hand over as patches."""

    draws = True

    def __init__(self, seen: Observed, pixel: Pixel, num_steps: int) -> None:
        self.pixel, self.renderer = pixel, seen.renderer
        self._new = (
            1 if num_steps == 1 else pixel.frames
        )  # frames of an observation after a transition that the one before may lack

    def of_lanes(self, state: Tensors, slots: Tensor, obs: Tensor) -> Tensor:
        """See `Sight`."""
        if self.renderer is None:
            return self.pixel.observation(look_up(state["frames"], obs, slots))
        return self.observations(obs)

    def of_episodes(self, obs: Tensor) -> Tensor:
        """See `Sight`."""
        return self.observations(obs.flatten(0, 1)).unflatten(0, obs.shape[:2])

    def observations(self, obs: Tensor) -> Tensor:
        """What the network sees of obs [N, K P]: [N, C, rows, columns] float32."""
        return self.pixel.observation(self._patches(obs))

    def of_transitions(self, found: Tensors, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `Sight`."""
        size = 1 if self.renderer is None else self.renderer.num_drawn
        shown = torch.cat([found["obs_tm1"], found["obs_t"][..., -self._new * size :]], 2)
        if self.renderer is None:
            assert frames is not None
            return self.pixel.transition(look_up(frames, shown))
        drawn = shown.flatten(0, 1).unflatten(1, (-1, size))
        before, after = drawing(self.renderer, self.pixel, drawn.shape[:2])(drawn)
        return before.unflatten(0, shown.shape[:2]), after.unflatten(0, shown.shape[:2])

    def _patches(self, drawn: Tensor) -> Tensor:
        """Patches [N, frames, colours, rows, columns] of drawn [N, frames * P], or of themselves, flattened, where nothing is drawn."""
        if self.renderer is None:
            return drawn.view(len(drawn), -1, self.pixel.colours, self.pixel.rows, self.pixel.columns)
        return self.renderer(drawn.reshape(-1, self.renderer.num_drawn)).unflatten(0, (len(drawn), -1))


def sight_of(seen: Observed, num_steps: int = 1) -> Sight:
    """How this is seen, by an agent whose transitions have so many steps."""
    return PlainSight(seen.shape) if seen.pixel is None else PixelSight(seen, seen.pixel, num_steps)
