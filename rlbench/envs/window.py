"""Which part of a frame is seen, and at what size; and the grey of a colour."""

import dataclasses


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


def in_grey(colour: tuple[float, float, float]) -> float:
    """The luminance of a colour, as Pillow converts to L (ITU-R 601-2)."""
    return (colour[0] * 19595 + colour[1] * 38470 + colour[2] * 7471) / 65536
