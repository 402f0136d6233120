"""CartPole's window as patches: positions of cart and pole in, resized crops out, as tensor operations without a window toolkit.

Follows gymnasium/envs/classic_control/cartpole.py (1.4.0), `render`: 600x400 white, a black cart of 50x30, a pole of 10x125 whose corners
are cut to whole pixels, an axle of radius 5, a black line; and SDL_gfx's way to fill a polygon, scan line by scan line, with smoothed
edges. What does not turn (cart, axle, line) is a table by the cart's column; the pole is painted as spans (see `resampling`).
The axle is taken to lie on the pole, which it does but for corners of single pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from rlbench.envs.resampling import SpanPainter, bicubic_weights, move_tables
from rlbench.envs.shapes import polygon_spans
from rlbench.envs.trig import sine_cosine
from rlbench.envs.window import Window, in_grey

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
        self.painter = SpanPainter(height=height, width=self.width, rows=window.rows, columns=window.columns)
        # Rows are counted from below while drawing, and the frame is flipped at the end.
        self.y = (HEIGHT - 1 - self.first_row) - self.painter.line_centres()
        self.is_track = (self.y - TRACK_ROW).abs() <= (self.painter.step - 1) / 2
        self.base = self._base()
        top_of_cart = HEIGHT - 1 - CART_TOP - self.first_row
        first, last = max(top_of_cart, 0), min(top_of_cart + CART_TOP - CART_BOTTOM + 1, height)
        self.cart_rows = self.painter.rows_of(first, last) if first < last else None
        self.is_cart = (self.y >= CART_BOTTOM - 0.5) & (self.y <= CART_TOP + 0.5)
        move_tables(self, device)

    def drawn(self, state: Tensor) -> Tensor:
        """What a frame shows of states [..., 4] float64: [..., 2] float32."""
        return torch.stack([state[..., 0], state[..., 2]], -1).float()

    def __call__(self, drawn: Tensor) -> Tensor:
        """drawn [N, 2] float32 -> patches [N, C, rows, columns] float32."""
        place, pole, over = self.painted(*self.placed(drawn))
        patches = drawn.new_empty(len(drawn), self.channels, self.window.rows, self.window.columns)
        for begin in range(0, len(drawn), PATCHES_AT_ONCE):
            some = slice(begin, begin + PATCHES_AT_ONCE)
            self._compose(place[some], pole[some], None if over is None else over[some], patches[some])
        return patches

    def placed(self, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Where everything is: the cart's row of the base [N] int64, ends of the pole's spans and of its spans over the cart."""
        cart = drawn[:, 0].double() * PIXELS_PER_UNIT + WIDTH / 2
        column = cart.trunc()
        start = torch.full_like(column, self.left)
        if self.window.follow:
            start = (column - self.width // 2).clamp(0, WIDTH - self.width)
        middle, shift = (column - start).float()[:, None], start.float()[:, None]
        left, right = (
            edge - shift for edge in polygon_spans(pole_edges(cart, drawn[:, 1].double(), self.corners), self.y)
        )
        right = torch.where(self.is_track, left, right)
        pole, over = self.painter.ends(left, right), None
        if self.cart_rows is not None:
            left = left.maximum(middle - CART_HALF_WIDTH)
            right = torch.where(self.is_cart, right.minimum(middle + CART_HALF_WIDTH + 1), left)
            over = self.painter.ends(left, right)
        place = (middle[:, 0] + BEYOND).clamp(0, self.width + 2 * BEYOND).long()
        return place, pole, over

    def painted(self, place: Tensor, pole: Tensor, over: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """`placed` with the coverage by the pole [N, rows, columns], and by what of it is over the cart [N, cart rows, columns]."""
        covered = self.painter.covered
        on_cart = None if over is None or self.cart_rows is None else covered(over, self.cart_rows)
        return place, covered(pole, slice(0, self.window.rows)), on_cart

    def composed(self, place: Tensor, pole: Tensor, over: Tensor | None) -> Tensor:
        """`painted` -> patches [N, C, rows, columns]: the pole over what does not turn. Over the cart it covers black and not white."""
        patches = self.base[place] + pole[:, None] * self.pole_shade
        if over is not None:
            assert self.cart_rows is not None
            patches = (
                patches
                + WHITE * F.pad(over, (0, 0, self.cart_rows.start, self.window.rows - self.cart_rows.stop))[:, None]
            )
        return patches.clamp(0, WHITE).round()

    def _compose(self, place: Tensor, pole: Tensor, over: Tensor | None, patches: Tensor) -> None:
        """`composed` without a compiler, into patches [N, C, rows, columns]: in place, which is twice as fast."""
        torch.index_select(self.base, 0, place, out=patches)
        for colour, channel in zip(self.pole_colour, patches.unbind(1), strict=True):
            channel.add_(pole, alpha=colour - WHITE)
        if over is not None:
            patches[:, :, self.cart_rows].add_(over[:, None], alpha=WHITE)
        patches.clamp_(0, WHITE).round_()

    def _base(self) -> Tensor:
        """What is seen without a pole, by the cart's column in the window plus BEYOND: [width + 2 BEYOND + 1, C, rows, columns]."""
        weights = bicubic_weights(self.last_row - self.first_row, self.window.rows).float()
        y = HEIGHT - 1 - torch.arange(self.first_row, self.last_row)
        column = torch.arange(-BEYOND, self.width + BEYOND + 1)

        def part(rows: Tensor, half_width: float) -> Tensor:
            """Coverage of the rows [height] bool within half_width of the middle of the cart's column, [columns, rows, columns]."""
            return weights[:, rows].sum(1)[:, None] * self.painter.span(
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
