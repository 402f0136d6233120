"""Which part of a frame is seen, and at what size; and the grey of a colour."""

import dataclasses
from typing import NamedTuple

from rlbench.errors import ConfigError


class Crop(NamedTuple):
    """Rows first_row ... last_row - 1 and `width` columns from `left`, in pixels of a frame."""

    first_row: int
    last_row: int
    left: int
    width: int


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of the frame that is kept, in fractions of it, and the size to which it is resized."""

    top: float
    bottom: float
    width: float
    follow: bool
    rows: int
    columns: int
    grey: bool = False

    def crop(self, height: int, width: int) -> Crop:
        """What is kept of a frame of this size, from its middle columns. Raises ConfigError where nothing would be left of it."""
        first, last, kept = round(self.top * height), round(self.bottom * height), round(self.width * width)
        if last <= first or kept < 1:
            raise ConfigError(
                f"observation.top {self.top}, .bottom {self.bottom} and .width {self.width} leave {max(0, last - first)} x {kept}"
                f" pixels of a frame of {height} x {width}"
            )
        return Crop(first, last, (width - kept) // 2, kept)


def in_grey(colour: tuple[float, float, float]) -> float:
    """The luminance of a colour, as Pillow converts to L (ITU-R 601-2)."""
    return (colour[0] * 19595 + colour[1] * 38470 + colour[2] * 7471) / 65536
