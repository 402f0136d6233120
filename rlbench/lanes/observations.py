"""What an agent sees: the environment's own observation, or pixels of its window.

A pixel observation is made of the last frames: each is cropped and resized to a patch of whole numbers 0 to 255, divided by 255, and the
patches of an observation are subtracted (`difference`: now minus before, zero at an episode's first step) or stacked, oldest first.
"""

import dataclasses
from typing import ClassVar

from torch import Tensor

from rlbench.lanes.choice import Choice, structural


@dataclasses.dataclass(frozen=True)
class State(Choice):
    """The environment's own observation."""

    kind: ClassVar[str] = "state"


@dataclasses.dataclass(frozen=True)
class Pixel(Choice):
    """Patches of the environment's window. The defaults are those of PyTorch's DQN tutorial of 2019, on CartPole."""

    kind: ClassVar[str] = "pixel"
    renderer: str = structural(
        "tensor",
        "who draws: tensor operations from the state, or the environment's own rgb_array",
        allowed=("tensor", "gymnasium"),
    )
    top: float = structural(0.4, "upper edge of the crop as a fraction of the frame's height", "0 <= x < 1")
    bottom: float = structural(0.8, "lower edge of the crop as a fraction of the frame's height", "0 < x <= 1")
    width: float = structural(0.6, "width of the crop as a fraction of the frame's width", "0 < x <= 1")
    follow: bool = structural(
        True, "whether the crop is centred on CartPole's cart, inside the frame; else in the middle"
    )
    rows: int = structural(40, "height of a patch in pixels", ">= 1")
    columns: int = structural(90, "width of a patch in pixels", ">= 1")
    colour: str = structural("rgb", "colours of a patch", allowed=("rgb", "grey"))
    combine: str = structural(
        "difference", "how the patches of an observation become one", allowed=("difference", "stack")
    )
    frames: int = structural(2, "patches of an observation; a difference takes two", ">= 1")

    @property
    def channels(self) -> int:
        """Channels of an observation."""
        colours = 3 if self.colour == "rgb" else 1
        return colours if self.combine == "difference" else colours * self.frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an observation."""
        return self.channels, self.rows, self.columns

    def observation(self, patches: Tensor) -> Tensor:
        """Patches [..., frames, colours, rows, columns] of 0 to 255, oldest first -> observations [..., *shape] float32."""
        if self.combine == "difference":
            return (patches[..., 1, :, :, :] - patches[..., 0, :, :, :]) / 255
        return patches.flatten(-4, -3) / 255

    def transition(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Patches [..., frames + 1, colours, rows, columns] of a transition -> the observations before and after it."""
        if self.combine == "difference":
            steps = (patches[..., 1:, :, :, :] - patches[..., :-1, :, :, :]) / 255
            return steps[..., 0, :, :, :], steps[..., 1, :, :, :]
        scaled = patches / 255
        return scaled[..., :-1, :, :, :].flatten(-4, -3), scaled[..., 1:, :, :, :].flatten(-4, -3)


Observation = State | Pixel
OBSERVATIONS: tuple[type[Choice], ...] = (State, Pixel)
