"""Pillow's bicubic resize as matrices, and the resized picture of a horizontal span as a difference of two rows of a table.

A span is what a scan line fills, [left, right) in pixel edges: pixel i is [i, i + 1). Resizing is linear, so the resized span is
F(right) - F(left), where F(t) is the resized picture of [0, t). F is tabulated at SUBPIXELS places a pixel; adding up spans of several
scan lines with the weights of the vertical resize gives a whole patch, without ever drawing the frame.
Must never draw more than it is asked for: a 600x400 frame has 70 times as many numbers as a patch.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

SUBPIXELS = 8
Spans = tuple[Tensor, Tensor]  # left and right [N, lines] float32 in pixels; empty where right <= left


@functools.cache
def bicubic_weights(size_in: int, size_out: int) -> Tensor:
    """[size_out, size_in] float64: Pillow's BICUBIC (a = -0.5), whose support grows with the factor when it shrinks (Resample.c)."""
    scale = size_in / size_out
    stretch = max(scale, 1.0)
    support = 2.0 * stretch
    weights = torch.zeros(size_out, size_in, dtype=torch.float64)
    for out in range(size_out):
        centre = (out + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), size_in)
        x = ((torch.arange(first, last, dtype=torch.float64) - centre + 0.5) / stretch).abs()
        inner = (1.5 * x - 2.5) * x * x + 1
        outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
        value = torch.where(x < 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))
        weights[out, first:last] = value / value.sum()
    return weights


def span_table(size_in: int, size_out: int) -> Tensor:
    """F of the module's head: row k is the resized picture of [0, k / SUBPIXELS), [size_in * SUBPIXELS + 1, size_out] float32."""
    weights = bicubic_weights(size_in, size_out)
    fine = weights.T.repeat_interleave(SUBPIXELS, 0) / SUBPIXELS
    return torch.cat([torch.zeros(1, size_out, dtype=torch.float64), fine.cumsum(0)]).float()


def move_tables(device: torch.device, *owners: object) -> None:
    """Moves the tensors that are attributes of renderers and painters to a device."""
    for owner in owners:
        for name, value in vars(owner).items():
            if isinstance(value, Tensor):
                setattr(owner, name, value.to(device))


def by_place(lines: Tensor, count: int) -> Tensor:
    """Lines [..., L] of which `count` neighbours each form a group, as `merged` has them: the first of every group, then the second."""
    return lines.unflatten(-1, (-1, count)).transpose(-1, -2).flatten(-2)


def merged(left: Tensor, right: Tensor, count: int) -> Spans:
    """Spans of `count` neighbouring lines each (`by_place`) as one, as wide as they are on average and about their common middle."""
    if count == 1:
        return left, right
    width = (right - left).clamp(min=0)
    total, moment = (
        sum(part.unflatten(1, (count, -1)).unbind(1), start=part.new_zeros(()))
        for part in (width, (left + right) * width)
    )
    middle, half = moment / (2 * total).clamp(min=1e-6), total / (2 * count)
    return middle - half, middle + half


def lines_together(height: int, rows: int, lines_a_row: int) -> int:
    """The most scan lines that can be taken together so that a row of the patch has at least `lines_a_row` lines, if it can have them."""
    return max(d for d in range(1, height + 1) if height % d == 0 and d <= max(1.0, height / rows / lines_a_row))


class SpanPainter:
    """Resizes spans of a window [height, width] of a frame to patches [rows, columns], for any number of frames at once.

    `step` neighbouring scan lines are taken together, a divisor of the height.
    """

    def __init__(self, *, height: int, width: int, rows: int, columns: int, step: int) -> None:
        self.height, self.width, self.rows, self.columns, self.step = height, width, rows, columns, step
        self.num_lines = height // self.step
        self.table = span_table(width, columns)
        vertical = bicubic_weights(height, rows).view(rows, self.num_lines, self.step).sum(2)
        taken = vertical != 0
        first = taken.int().argmax(1)
        last = self.num_lines - 1 - taken.flip(1).int().argmax(1)
        taps = int((last - first).max()) + 1
        # Rows in the middle are a fixed number of lines apart; at the borders, rows get lines without weight, so that all are.
        apart = self.num_lines / rows
        self.apart = int(apart) if apart == int(apart) else 0
        if self.apart:
            before = int((torch.arange(rows) * self.apart - first).max())
            first = torch.arange(rows) * self.apart - before
            taps = max(taps, int((last - first).max()) + 1)
        self.first_line = first
        lines = first[:, None] + torch.arange(taps)
        inside = (lines >= 0) & (lines < self.num_lines)
        self.lines = lines.clamp(0, self.num_lines - 1)
        self.padding = (-int(lines.min()), int(lines.max()) - self.num_lines + 1) if self.apart else (0, 0)
        self.weights = torch.where(inside, vertical.gather(1, self.lines), 0.0).float()
        self.signed_weights = torch.cat([self.weights, -self.weights], 1)  # of right ends, then of left ones

    def span(self, left: Tensor, right: Tensor) -> Tensor:
        """One scan line with the span left, right [N] in pixels of the window: [N, 1, columns] float32."""
        ends = (torch.stack([left, right]) * SUBPIXELS).round().clamp(0, self.width * SUBPIXELS).long()
        return (self.table[ends[1]] - self.table[ends[0]])[:, None]

    def line_centres(self) -> Tensor:
        """The middles of the lines in scan lines from the window's upper edge, [lines] float64: 0 is the middle of the first one."""
        return torch.arange(self.num_lines, dtype=torch.float64) * self.step + (self.step - 1) / 2

    def rows_of(self, first: int, last: int) -> slice:
        """The patch rows that see any of the scan lines first ... last - 1."""
        begin, end = first // self.step, -(-last // self.step)
        last_line = self.first_line + self.weights.shape[1]
        seen = torch.nonzero((last_line > begin) & (self.first_line < end))[:, 0]
        return slice(int(seen[0]), int(seen[-1]) + 1)

    def paint(self, left: Tensor, right: Tensor, rows: slice | None = None) -> Tensor:
        """Coverage [N, rows, columns] float32 of spans left, right [N, lines] float32 in pixels; empty where right <= left."""
        rows = slice(0, self.rows) if rows is None else rows
        return self.covered(self.found(left, right, rows), rows)

    def found(self, left: Tensor, right: Tensor, rows: slice) -> Tensor:
        """Rows of the table for the ends of spans left, right [N, lines] float32 in pixels, as patch rows see them.

        [N, rows, 2 taps] int32: of the lines that a row sees the right ends, then the left ones.
        """
        taps, apart = self.weights.shape[1], self.apart
        ends = torch.stack([right, torch.minimum(left, right)], 1)
        ends = (ends * SUBPIXELS).round().clamp(0, self.width * SUBPIXELS).int()
        seen = F.pad(ends, self.padding).unfold(2, taps, apart)[:, :, rows] if apart else ends[:, :, self.lines[rows]]
        return seen.transpose(1, 2).flatten(2)

    def covered(self, index: Tensor, rows: slice) -> Tensor:
        """Coverage [N, rows, columns] float32 of the spans of which `found` tells, index [N, rows, 2 taps] int32."""
        signed = self.signed_weights[rows].expand(len(index), -1, -1).flatten(0, 1)
        cover = F.embedding_bag(index.flatten(0, 1), self.table, mode="sum", per_sample_weights=signed)
        return cover.view(*index.shape[:2], self.columns)

    def paint_rows(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """As `paint`, of few lines: only the patch rows that see a span. Their places in [N * rows], [K] int64, and [K, columns]."""
        lines = torch.arange(self.num_lines, device=left.device)
        is_drawn = right > left
        first = torch.where(is_drawn, lines, self.num_lines).amin(1, keepdim=True)
        last = torch.where(is_drawn, lines, -1).amax(1, keepdim=True)
        taps = self.weights.shape[1]
        seen = torch.nonzero((self.first_line <= last) & (self.first_line + taps > first))
        which, row = seen.unbind(1)
        ends = torch.stack([right, torch.minimum(left, right)], 2)
        place = ends.mul_(SUBPIXELS).round_().clamp_(0, self.width * SUBPIXELS).int()
        # Both ends of a line are taken as one number of 64 bits: half as many to look up.
        pairs = place.view(torch.int64).view(-1)
        index = pairs.index_select(0, (which[:, None] * self.num_lines + self.lines[row]).view(-1))
        index = index.view(-1, taps).view(torch.int32)
        signed = torch.stack([self.weights, -self.weights], 2).view(self.rows, 2 * taps).index_select(0, row)
        found = F.embedding_bag(index, self.table, mode="sum", per_sample_weights=signed)
        return which * self.rows + row, found
