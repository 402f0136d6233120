"""Acrobot's window as patches: both joint angles in, resized crops out, as tensor operations without a window toolkit.

Follows gymnasium/envs/classic_control/acrobot.py (1.4.0), `render`: 500x500 white, a black line at the height to reach, then for each
link a bar whose corners are cut to whole pixels and a disc on its joint, each over what was drawn before. A scan line sees an arm, which is
a bar and its disc, as one span; spans of both arms that overlap are joined, so that painted spans add up without ever covering twice.
"""

import torch
from torch import Tensor

from rlbench.envs.resampling import SpanPainter, Spans, bicubic_weights, lines_together, move_tables
from rlbench.envs.shapes import FAR, disc_half_widths, polygon_spans
from rlbench.envs.window import Window, in_grey
from rlbench.exact import sine_cosine

SIDE = 500
PIXELS_PER_UNIT = SIDE / 4.4
MIDDLE = SIDE // 2
LINE_ROW = int(PIXELS_PER_UNIT + MIDDLE)  # from below
HALF_THICKNESS = 0.1 * PIXELS_PER_UNIT
RADIUS = int(HALF_THICKNESS)
BAR = (
    (0.0, -HALF_THICKNESS),
    (0.0, HALF_THICKNESS),
    (PIXELS_PER_UNIT, HALF_THICKNESS),
    (PIXELS_PER_UNIT, -HALF_THICKNESS),
)  # corners along and across a link
BAR_COLOUR, DISC_COLOUR, WHITE = (0.0, 204.0, 204.0), (204.0, 204.0, 0.0), 255.0
LINES_A_ROW = 3  # at least; with four, errors are 1 % in place of 2 %, and a frame takes 1.3 times as long
PATCHES_AT_ONCE = 64  # with 32, starting operations costs a third more, and more than 64 gain little


def joined(first: Spans, second: Spans) -> Spans:
    """The smallest spans that hold both; empty ones are at FAR."""
    return first[0].minimum(second[0]), first[1].maximum(second[1])


def emptied(spans: Spans, is_empty: Tensor) -> Spans:
    """Spans that reach from FAR to -FAR where is_empty."""
    return spans[0].masked_fill(is_empty, FAR), spans[1].masked_fill(is_empty, -FAR)


class AcrobotFrames:
    """Patches [N, C, rows, columns] of states, C is 3 or 1 (grey), as whole numbers 0 to 255 in float32."""

    num_drawn = 2  # numbers of a state that a frame shows: both angles

    def __init__(self, window: Window, device: torch.device) -> None:
        assert not window.follow
        self.window = window
        self.bar_colour, self.disc_colour = (
            ((in_grey(colour),) if window.grey else colour) for colour in (BAR_COLOUR, DISC_COLOUR)
        )
        self.channels = len(self.bar_colour)
        first_row, last_row, self.start, width = window.crop(SIDE, SIDE)
        height = last_row - first_row
        step = lines_together(height, window.rows, LINES_A_ROW)
        self.painter = SpanPainter(height=height, width=width, rows=window.rows, columns=window.columns, step=step)
        # Rows are counted from below while drawing; after the painter's lines comes the line to reach, by itself.
        lines = (SIDE - 1 - first_row) - self.painter.line_centres()
        self.y = torch.cat([lines, torch.tensor([float(LINE_ROW)], dtype=torch.float64)])
        self.line_weight = torch.zeros(window.rows)
        if first_row <= SIDE - 1 - LINE_ROW < last_row:
            weights = bicubic_weights(last_row - first_row, window.rows).float()
            self.line_weight = weights[:, SIDE - 1 - LINE_ROW - first_row].contiguous()
        seen = torch.nonzero(self.line_weight)[:, 0].tolist() or [0]
        self.line_rows = slice(seen[0], seen[-1] + 1)
        # Half a disc's width on the middle scan line of `step` ones, by how far its lowest is above the disc's: its mean over them.
        half = torch.nn.functional.pad(disc_half_widths(RADIUS), (step, step))
        self.half_widths = half.unfold(0, step, 1).mean(1)
        self.lowest = lines - (step - 1) / 2 + RADIUS + step
        self.bar = torch.tensor(BAR, dtype=torch.float64)
        self.half_on_line = torch.nn.functional.pad(disc_half_widths(RADIUS), (1, 1))
        self.shoulder = torch.stack(self._disc(torch.full((1, 2), float(MIDDLE), dtype=torch.float64)))
        self.base = self._base()
        move_tables(device, self, self.painter)

    def drawn(self, state: Tensor) -> Tensor:
        """What a frame shows of states [..., 4] float64: [..., 2] float32."""
        return state[..., :2].float()

    def __call__(self, drawn: Tensor) -> Tensor:
        """drawn [N, 2] float32 -> patches [N, C, rows, columns] float32."""
        patches = drawn.new_empty(len(drawn), self.channels, self.window.rows, self.window.columns)
        for some in range(0, len(drawn), PATCHES_AT_ONCE):
            self._draw(drawn[some : some + PATCHES_AT_ONCE].double(), patches[some : some + PATCHES_AT_ONCE])
        return patches

    def _draw(self, angles: Tensor, patches: Tensor) -> None:
        """angles [N, 2] float64 -> patches [N, C, rows, columns] in place."""
        count, device = len(angles), angles.device
        bars, elbow = self._bars(angles)
        shoulder_disc, elbow_disc = (self.shoulder[0], self.shoulder[1]), self._disc(elbow)
        inner, outer = joined((bars[0][0], bars[1][0]), shoulder_disc), joined((bars[0][1], bars[1][1]), elbow_disc)
        hidden = shoulder_disc[0].maximum(outer[0]), shoulder_disc[1].minimum(outer[1])
        overlap = (inner[0] < outer[1]) & (outer[0] < inner[1])
        union = joined(inner, emptied(outer, ~overlap))
        apart = emptied(outer, overlap)
        parts = [union, apart, elbow_disc, hidden]
        left, right = (torch.stack([part[side] for part in parts]) - self.start for side in (0, 1))
        place, cover = self.painter.paint_rows(left[..., :-1].flatten(0, 1), right[..., :-1].flatten(0, 1))
        size = count * self.window.rows
        either, discs = torch.zeros(2, size, self.window.columns, device=device).unbind()
        ends = torch.searchsorted(place, torch.arange(len(parts) + 1, device=device) * size).tolist()
        for target, plus, sign in ((either, 0, 1.0), (discs, 2, -1.0)):
            begin, middle, end = ends[plus : plus + 3]
            target[place[begin:middle] - plus * size] = cover[begin:middle]
            second = place[middle:end] - (plus + 1) * size
            target[second] = target[second].add_(cover[middle:end], alpha=sign)
        shape = (count, self.window.rows, self.window.columns)
        either, discs = either.view(shape), discs.view(shape)
        patches.copy_(self.base.expand_as(patches))
        line_ends = left[:2, :, -1].flatten(), left.maximum(right)[:2, :, -1].flatten()
        on_line = self.painter.span(*line_ends).unflatten(0, (2, count))
        patches[:, :, self.line_rows] += (WHITE * self.line_weight[self.line_rows, None] * on_line.sum(0))[:, None]
        for channel, bar, disc in zip(patches.unbind(1), self.bar_colour, self.disc_colour, strict=True):
            channel.add_(either, alpha=bar - WHITE)
            if disc != bar:
                channel.add_(discs, alpha=disc - bar)
        patches.clamp_(0, WHITE).round_()

    def _bars(self, angles: Tensor) -> tuple[Spans, Tensor]:
        """Spans of both bars [2, N, lines + 1], and the pixel of the joint between them [N, 2] float64: column, and row from below."""
        sine, cosine = sine_cosine(torch.stack([angles[:, 0], angles.sum(1)]))
        joint = torch.stack([sine[0], -cosine[0]], 1) * PIXELS_PER_UNIT + MIDDLE
        foot = torch.stack([torch.full_like(joint, MIDDLE), joint])
        along, across = self.bar.unbind(1)
        sine, cosine = sine[..., None], cosine[..., None]
        x, y = sine * along + cosine * across, sine * across - cosine * along
        corners = (torch.stack([x, y], 3) + foot[:, :, None]).trunc_()
        left, right = polygon_spans(corners.flatten(0, 1), self.y, fading=True)
        left, right = emptied((left, right), right <= left)
        return (left.unflatten(0, (2, -1)), right.unflatten(0, (2, -1))), joint.trunc()

    def _disc(self, middle: Tensor) -> Spans:
        """Spans of a disc, [N, lines + 1]; middle: [N, 2] float64 whole numbers."""
        place = (self.lowest - middle[:, 1:]).clamp_(0, len(self.half_widths) - 1).long()
        on_line = (LINE_ROW - middle[:, 1:] + RADIUS + 1).clamp_(0, len(self.half_on_line) - 1).long()
        half = torch.cat([self.half_widths[place], self.half_on_line[on_line]], 1)
        column = middle[:, :1].float() + 0.5
        return emptied((column - half, column + half), half <= 0)

    def _base(self) -> Tensor:
        """What does not move, [C, rows, columns] float32: the line to reach, and that the disc of the shoulder is not a bar."""
        left, right = (side[:, :-1] - self.start for side in self.shoulder)
        disc = self.painter.paint(left, right)[0]
        bar, colour = (torch.tensor(each)[:, None, None] for each in (self.bar_colour, self.disc_colour))
        return WHITE - WHITE * self.line_weight[:, None] + (colour - bar) * disc
