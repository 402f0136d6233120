"""What SDL_gfx draws of polygons and circles, as spans of scan lines in pixel edges: pixel i is [i, i + 1).

In: corners and middles in whole pixels, rows counted from below. Out: where each scan line's span begins and ends, for `resampling`.
"""

import torch
from torch import Tensor

FAR = 1e6  # pixels: beyond everything


def polygon_spans(corners: Tensor, rows: Tensor, *, fading: bool = False) -> tuple[Tensor, Tensor]:
    """What SDL_gfx fills of a convex polygon, smoothed edges included: left and right [N, rows] float32 in pixel edges.

    corners: [N, corners, 2] float64 whole numbers, clockwise with rows counted from below; rows: [rows] float64. Empty spans have
    right <= left. A filled scan line reaches from the nearest pixel to the nearest pixel, and smoothing adds the rest of the next one.
    An edge that a row crosses flatly fades over several pixels of it, which `fading` takes into account.
    """
    following = corners.roll(-1, 1)
    rise = following[..., 1] - corners[..., 1]
    slope = (following[..., 0] - corners[..., 0]) / torch.where(rise == 0, 1.0, rise)
    offset = corners[..., 0] - slope * corners[..., 1]
    if fading:
        flat = slope.abs().clamp(min=1)
        offset = offset - rise.sign() * ((flat - 1) / 2 - (1 - 1 / flat) / 8)
    # Clockwise, an edge that goes up bounds the left and one that goes down the right.
    y = rows.float()
    left = [torch.where(rise > 0, line, far).float()[..., None] for line, far in ((offset, -FAR), (slope, 0.0))]
    right = [torch.where(rise < 0, line, far).float()[..., None] for line, far in ((offset, FAR), (slope, 0.0))]
    most_left = (left[0] + left[1] * y).amax(1)
    most_right = (right[0] + right[1] * y).amin(1)
    floor, ceiling = most_left.floor(), most_right.ceil()
    inside = (y >= corners[..., 1].amin(1, keepdim=True)) & (y <= corners[..., 1].amax(1, keepdim=True))
    inside &= most_left <= most_right
    begin = torch.where(most_left - floor < 0.5, floor, most_left)
    end = torch.where(ceiling - most_right <= 0.5, ceiling, most_right) + 1
    if fading:
        begin = begin.maximum(corners[..., 0].amin(1, keepdim=True).float())
        end = end.minimum(corners[..., 0].amax(1, keepdim=True).float() + 1)
    return begin, torch.where(inside, end, begin)


DISC_WIDTHS = {
    8: (5.22, 9.35, 11.6, 13.0, 15.0, 15.85, 17.0, 17.0, 17.0),
    11: (6.2, 11.02, 13.99, 16.12, 17.99, 19.43, 21.0, 21.49, 23.0, 23.0, 23.0, 23.0),
}  # by radius: pixels that a filled disc with a smoothed edge covers, of its outermost scan line to the one of its middle


def disc_half_widths(radius: int) -> Tensor:
    """Half the widths of a disc's scan lines, [2 radius + 1] float32; it lies about the middle of the pixel that is its middle."""
    widths = torch.tensor(DISC_WIDTHS[radius])
    return torch.cat([widths, widths[:-1].flip(0)]) / 2


def disc_coverage(middle: Tensor, radius: int, y: Tensor, x: Tensor) -> Tensor:
    """What a disc covers of pixels, [N, rows, columns] float32.

    middle: [N, 2] float64 whole numbers, column and row; y: [N, rows] and x: [N, columns] float32, the pixels' rows and columns.
    """
    half = torch.cat([disc_half_widths(radius), torch.full((1,), -1.0)])
    row = (y - middle[:, 1:]).long() + radius
    row = torch.where((row < 0) | (row > 2 * radius), -1, row)
    return (half[row][..., None] + 0.5 - (x - middle[:, :1]).abs().float()[:, None]).clamp_(0, 1)


def polygon_coverage(corners: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """What is covered of pixels by a convex polygon, smoothed and filled, [N, rows, columns] float32.

    corners: [N, corners, 2] whole numbers, clockwise with rows counted from below; y: [N, rows], x: [N, columns] float32. A smoothed
    edge fades within a pixel along the axis that it crosses steeply (Wu, 1991), and filling takes the pixels next to it in its row.
    """
    run, rise = (corners.roll(-1, 1) - corners).float().unbind(2)
    longer = torch.maximum(run.abs(), rise.abs()).clamp(min=1)
    run, rise = run / longer, rise / longer
    # How far outside of each edge: linear in column and row, one of the two factors is 1.
    shift = -(run * corners[..., 1] - rise * corners[..., 0]).float()
    smoothed, filled = None, None
    for i in range(corners.shape[1]):
        outside = (run[:, i, None] * y + shift[:, i, None])[:, :, None] - (rise[:, i, None] * x)[:, None]
        beyond = outside - (rise[:, i].abs() / 2)[:, None, None]
        smoothed = outside if smoothed is None else torch.maximum(smoothed, outside, out=smoothed)
        filled = beyond if filled is None else torch.maximum(filled, beyond, out=filled)
    assert smoothed is not None
    assert filled is not None
    coverage = torch.where(filled <= 1e-4, 1.0, (1 - smoothed).clamp_(0, 1))
    low, high = (part.float() for part in (corners.amin(1), corners.amax(1)))
    coverage *= ((y >= low[:, 1:]) & (y <= high[:, 1:]))[:, :, None]
    return coverage.mul_(((x >= low[:, :1]) & (x <= high[:, :1]))[:, None])
