"""CartPole's window as patches: positions of cart and pole in, resized crops out, as tensor operations without a window toolkit.

Follows gymnasium/envs/classic_control/cartpole.py (1.4.0), `render`: 600x400 white, a black cart of 50x30, a pole of 10x125 whose corners
are cut to whole pixels, an axle of radius 5, a black line; and SDL_gfx's way to fill a polygon, scan line by scan line, with smoothed
edges. What does not turn (cart, axle, line) is a table by the cart's column; the pole is painted as spans (see `resampling`): an upright
one on pairs of scan lines where each row of the patch sees two of them. That takes half the time; against the window, differences of a
slow pole are then wrong by 6.5 % in place of 5.3 %, frames by 0.5 % either way (patches of 3 x 40 x 90). The axle is taken to lie on the
pole, which it does but for corners of single pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from rlbench.envs.resampling import SpanPainter, Spans, bicubic_weights, by_place, lines_together, merged, move_tables
from rlbench.envs.shapes import polygon_spans
from rlbench.envs.window import Window, in_grey
from rlbench.exact import sine_cosine

WIDTH, HEIGHT = 600, 400
PIXELS_PER_UNIT = WIDTH / 4.8
CART_HALF_WIDTH, CART_BOTTOM, CART_TOP = 25, 85, 115
TRACK_ROW = 100
AXLE_Y = 107.5
POLE_CORNERS = ((-5.0, -5.0), (-5.0, 120.0), (5.0, 120.0), (5.0, -5.0))
POLE_COLOUR, AXLE_COLOUR, WHITE = (202.0, 152.0, 101.0), (129.0, 132.0, 203.0), 255.0
AXLE_HALF_WIDTHS = (
    2.0,
    3.5,
    4.5,
    5.5,
    5.5,
    5.5,
    5.5,
    5.5,
    4.5,
    3.5,
    2.0,
)  # of the rows 102 to 112, in pixels about the middle of one
BEYOND = 32  # pixels beyond the window in which a part of the cart is still seen
UPRIGHT = 0.6  # radians; episodes end at 0.21
PATCHES_AT_ONCE = 32  # their intermediate results fill half of a 1 MB cache


def pole_edges(cart: Tensor, theta: Tensor, corners: Tensor) -> Tensor:
    """The pole's corners as SDL has them, [N, 4, 2] float64 whole numbers: column, and row from below.

    cart, theta: [N] float64, its column and the pole's angle; corners: [4, 2] float64, those of an upright pole about its axle.
    """
    sine, cosine = (part[:, None] for part in sine_cosine(-theta))
    x, y = corners.unbind(1)
    return torch.stack([cosine * x - sine * y + cart[:, None], sine * x + cosine * y + AXLE_Y], 2).trunc_()


class CartPoleFrames:
    """Patches [N, C, rows, columns] of states, C is 3 or 1 (grey), as whole numbers 0 to 255 in float32."""

    num_drawn = 2  # numbers of a state that a frame shows: the cart's position and the pole's angle

    def __init__(self, window: Window, device: torch.device) -> None:
        self.window = window
        self.pole_colour, self.axle_colour = (
            ((in_grey(colour),) if window.grey else colour) for colour in (POLE_COLOUR, AXLE_COLOUR)
        )
        self.channels = len(self.pole_colour)
        self.corners = torch.tensor(POLE_CORNERS, dtype=torch.float64)
        self.pole_shade = (torch.tensor(self.pole_colour) - WHITE)[:, None, None]
        self.first_row, self.last_row, self.left, self.width = window.crop(HEIGHT, WIDTH)
        height = self.last_row - self.first_row
        sizes = {"height": height, "width": self.width, "rows": window.rows, "columns": window.columns}
        step = lines_together(height, window.rows, 4)
        self.together = 2 if step == 1 and height % 2 == 0 and height >= 4 * window.rows else 1
        self.lying, self.upright = (SpanPainter(**sizes, step=each) for each in (step, step * self.together))
        # Rows are counted from below while drawing, and the frame is flipped at the end.
        self.y = by_place((HEIGHT - 1 - self.first_row) - self.lying.line_centres(), self.together)
        self.is_track = (self.y - TRACK_ROW).abs() <= (self.lying.step - 1) / 2
        self.is_cart = (self.y >= CART_BOTTOM - 0.5) & (self.y <= CART_TOP + 0.5)
        self.cart_rows = self._cart_rows(height)
        self.base = self._base()
        move_tables(device, self, self.upright, self.lying)

    def drawn(self, state: Tensor) -> Tensor:
        """What a frame shows of states [..., 4] float64: [..., 2] float32."""
        return torch.stack([state[..., 0], state[..., 2]], -1).float()

    def __call__(self, drawn: Tensor) -> Tensor:
        """drawn [N, 2] float32 -> patches [N, C, rows, columns] float32."""
        place, pole, over = self.painted(drawn, *self.placed(drawn))
        patches = drawn.new_empty(len(drawn), self.channels, self.window.rows, self.window.columns)
        for begin in range(0, len(drawn), PATCHES_AT_ONCE):
            some = slice(begin, begin + PATCHES_AT_ONCE)
            self._compose(place[some], pole[some], over[some], patches[some])
        return patches

    def placed(self, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The cart's row of the base [N] int64, and what an upright pole's painter finds of it and of what of it is over the cart."""
        place, pole, over = self._spans(drawn)
        left, right = merged(*pole, self.together)
        first, last = merged(*over, self.together)
        rows = slice(0, self.window.rows)
        return place, self.upright.found(left, right, rows), self.upright.found(first, last, self.cart_rows)

    def painted(self, drawn: Tensor, place: Tensor, pole: Tensor, over: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`placed` with the coverage by the pole [N, rows, columns], and by what of it is over the cart [N, cart rows, columns]."""
        rows = slice(0, self.window.rows)
        on_all, on_cart = self.upright.covered(pole, rows), self.upright.covered(over, self.cart_rows)
        if self.together == 1:  # both painters are the same
            return place, on_all, on_cart
        lying = torch.nonzero(drawn[:, 1].abs() > UPRIGHT)[:, 0]
        if len(lying) > 0:
            _, pole_spans, cart_spans = self._spans(drawn[lying])
            for cover, spans, seen in ((on_all, pole_spans, rows), (on_cart, cart_spans, self.cart_rows)):
                left, right = (by_place(side, side.shape[1] // self.together) for side in spans)
                cover[lying] = self.lying.paint(left, right, seen)
        return place, on_all, on_cart

    def _spans(self, drawn: Tensor) -> tuple[Tensor, Spans, Spans]:
        """The cart's row of the base [N] int64, and spans of the pole and of the pole over the cart, on a lying one's lines `by_place`."""
        cart = drawn[:, 0].double() * PIXELS_PER_UNIT + WIDTH / 2
        column = cart.trunc()
        start = torch.full_like(column, self.left)
        if self.window.follow:
            start = (column - self.width // 2).clamp(0, WIDTH - self.width)
        middle, shift = (column - start).float()[:, None], start.float()[:, None]
        corners = pole_edges(cart, drawn[:, 1].double(), self.corners)
        left, right = (edge - shift for edge in polygon_spans(corners, self.y))
        right = torch.where(self.is_track, left, right)
        first = left.maximum(middle - CART_HALF_WIDTH)
        last = torch.where(self.is_cart, right.minimum(middle + CART_HALF_WIDTH + 1), first)
        place = (middle[:, 0] + BEYOND).clamp(0, self.width + 2 * BEYOND).long()
        return place, (left, right), (first, last)

    def composed(self, place: Tensor, pole: Tensor, over: Tensor) -> Tensor:
        """`painted` -> patches [N, C, rows, columns]: the pole over what does not turn. Over the cart it covers black and not white."""
        patches = self.base[place] + pole[:, None] * self.pole_shade
        over = F.pad(over, (0, 0, self.cart_rows.start, self.window.rows - self.cart_rows.stop))
        return (patches + WHITE * over[:, None]).clamp(0, WHITE).round()

    def _compose(self, place: Tensor, pole: Tensor, over: Tensor, patches: Tensor) -> None:
        """`composed` without a compiler, into patches [N, C, rows, columns]: in place, which is twice as fast."""
        torch.index_select(self.base, 0, place, out=patches)
        for colour, channel in zip(self.pole_colour, patches.unbind(1), strict=True):
            channel.add_(pole, alpha=colour - WHITE)
        patches[:, :, self.cart_rows].add_(over[:, None], alpha=WHITE)
        patches.clamp_(0, WHITE).round_()

    def _cart_rows(self, height: int) -> slice:
        """The patch rows that see the cart through either painter."""
        top = HEIGHT - 1 - CART_TOP - self.first_row
        first, last = max(top, 0), min(top + CART_TOP - CART_BOTTOM + 1, height)
        if first >= last:
            return slice(0, 0)
        rows = [painter.rows_of(first, last) for painter in (self.upright, self.lying)]
        return slice(min(each.start for each in rows), max(each.stop for each in rows))

    def _base(self) -> Tensor:
        """What is seen without a pole, by the cart's column in the window plus BEYOND: [width + 2 BEYOND + 1, C, rows, columns]."""
        weights = bicubic_weights(self.last_row - self.first_row, self.window.rows).float()
        y = HEIGHT - 1 - torch.arange(self.first_row, self.last_row)
        column = torch.arange(-BEYOND, self.width + BEYOND + 1)

        def part(rows: Tensor, half_width: float) -> Tensor:
            """Coverage of the rows [height] bool within half_width of the middle of the cart's column, [columns, rows, columns]."""
            return weights[:, rows].sum(1)[:, None] * self.lying.span(
                column + 0.5 - half_width, column + 0.5 + half_width
            )

        is_track = y == TRACK_ROW
        cart = part((y >= CART_BOTTOM) & (y <= CART_TOP) & ~is_track, CART_HALF_WIDTH + 0.5)
        black = (cart + weights[:, is_track].sum(1)[:, None])[:, None]
        channels = len(self.pole_colour)
        base = WHITE - WHITE * black.expand(-1, channels, -1, -1)
        for row, half in enumerate(AXLE_HALF_WIDTHS, 102):
            axle = part(y == row, half)
            for channel, (colour, pole) in enumerate(zip(self.axle_colour, self.pole_colour, strict=True)):
                base[:, channel] += (colour - pole) * axle
        return base.contiguous()
