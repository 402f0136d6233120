"""What SDL_gfx draws of polygons and circles, as spans of scan lines in pixel edges: pixel i is [i, i + 1).

In: corners and middles in whole pixels, rows counted from below. Out: where each scan line's span begins and ends, for `resampling`.
"""

import torch
from torch import Tensor

FAR_LEFT = torch.tensor([-1e6, 0.0], dtype=torch.float64)[
    :, None, None
]  # a line left of everything, as offset and slope


def polygon_spans(corners: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """What SDL_gfx fills of a convex polygon, smoothed edges included: left and right [N, rows] float32 in pixel edges.

    corners: [N, corners, 2] float64 whole numbers, clockwise with rows counted from below; rows: [rows] float64. Empty spans have
    right <= left. A filled scan line reaches from the nearest pixel to the nearest pixel, and smoothing adds the rest of the next one.
    """
    following = corners.roll(-1, 1)
    rise = following[..., 1] - corners[..., 1]
    slope = (following[..., 0] - corners[..., 0]) / torch.where(rise == 0, 1.0, rise)
    offset = corners[..., 0] - slope * corners[..., 1]
    # Clockwise, an edge that goes up bounds the left and one that goes down the right.
    y = rows.float()
    left = torch.where(rise > 0, torch.stack([offset, slope]), FAR_LEFT).float()[..., None]
    right = torch.where(rise < 0, torch.stack([offset, slope]), -FAR_LEFT).float()[..., None]
    most_left = (left[0] + left[1] * y).amax(1)
    most_right = (right[0] + right[1] * y).amin(1)
    floor, ceiling = most_left.floor(), most_right.ceil()
    inside = (y >= corners[..., 1].amin(1, keepdim=True)) & (y <= corners[..., 1].amax(1, keepdim=True))
    inside &= most_left <= most_right
    begin = torch.where(most_left - floor < 0.5, floor, most_left)
    end = torch.where(ceiling - most_right <= 0.5, ceiling, most_right) + 1
    return begin, torch.where(inside, end, begin)
