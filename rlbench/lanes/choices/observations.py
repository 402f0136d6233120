"""What an agent sees: the environment's own observation, or pixels of its window.

A pixel observation is made of the last frames: each is cropped and resized to a patch of whole numbers 0 to 255, divided by 255. An
observation is the difference of two patches (now minus before, zero at an episode's first step), several patches, oldest first, or the
newest patch and the difference: a network that sees two patches side by side finds it hard to tell how fast a pole turns, because from
one frame to the next it moves by less than a pixel of a patch.
"""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Observation
from rlbench.lanes.choices.choice import structural

MOST_PLACES = 1 << 24  # whole numbers that float32 has all of: stored frames are found by theirs


@dataclasses.dataclass(frozen=True)
class State(Observation):
    """The environment's own observation."""

    kind: ClassVar[str] = "state"


@dataclasses.dataclass(frozen=True)
class Pixel(Observation):
    """Patches of the environment's window. The defaults are those of PyTorch's DQN tutorial of 2019, on CartPole."""

    kind: ClassVar[str] = "pixel"
    small_fields: ClassVar = {"rows": 17, "columns": 31, "colour": "grey"}
    top: float = structural(0.4, "upper edge of the crop as a fraction of the frame's height", "0 <= x < 1")
    bottom: float = structural(0.8, "lower edge of the crop as a fraction of the frame's height", "0 < x <= 1")
    width: float = structural(0.6, "width of the crop as a fraction of the frame's width", "0 < x <= 1")
    follow: bool = structural(
        True, "whether the crop is centred on CartPole's cart, inside the frame; else in the middle"
    )
    rows: int = structural(40, "height of a patch in pixels", "1 <= x <= 1000")
    columns: int = structural(90, "width of a patch in pixels", "1 <= x <= 1000")
    colour: str = structural("rgb", "colours of a patch", allowed=("rgb", "grey"))
    combine: str = structural(
        "difference",
        "what an observation is made of: the newest patch minus the one before, all patches, or the newest patch and that difference",
        allowed=("difference", "stack", "both"),
    )
    invert: bool = structural(False, "whether patches are negatives, in which white is 0")
    frames: int = structural(2, "patches of an observation; differences take two", "1 <= x <= 64")
    renderer: str = structural(
        "tensors",
        "who draws the frames: tensor operations, where there are any for the environment, or the environment itself",
        allowed=("tensors", "gymnasium"),
        later=True,
    )

    def refused(self) -> str | None:
        """A crop of nothing, or a difference of other than two patches."""
        if self.top >= self.bottom:
            return f"observation.top {self.top} must be above observation.bottom {self.bottom}: nothing would be left of the frame"
        if self.combine != "stack" and self.frames != 2:
            return f"observation.combine={self.combine} takes observation.frames=2; got {self.frames}"
        return None

    @property
    def pixels(self) -> "Pixel":
        """This way to see."""
        return self

    @property
    def colours(self) -> int:
        """Channels of a patch."""
        return 3 if self.colour == "rgb" else 1

    @property
    def channels(self) -> int:
        """Channels of an observation."""
        return self.colours * {"difference": 1, "both": 2, "stack": self.frames}[self.combine]

    def ring_size(self, capacity: int) -> int:
        """Frames that a lane stores for so many transitions: a step has one, and one more where an episode begins."""
        return 2 * capacity + self.frames + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an observation."""
        return self.channels, self.rows, self.columns

    def observation(self, patches: Tensor) -> Tensor:
        """Patches [..., frames, colours, rows, columns] of 0 to 255, oldest first -> observations [..., *shape] float32."""
        patches = 255 - patches if self.invert else patches
        if self.combine == "stack":
            return patches.flatten(-4, -3) / 255
        before, now = patches[..., 0, :, :, :], patches[..., 1, :, :, :]
        if self.combine == "difference":
            return (now - before) / 255
        return torch.cat([now, now - before], -3) / 255

    def transition(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Patches [..., K, colours, rows, columns] of a transition -> the observations before and after it, of the first and of the last
        `frames` patches."""
        before, after = patches[..., : self.frames, :, :, :], patches[..., -self.frames :, :, :, :]
        return self.observation(before), self.observation(after)
