"""MountainCar's window as patches: positions in, resized crops out, from a table, without a window toolkit.

Follows gymnasium/envs/classic_control/mountain_car.py (1.4.0), `render`: 600x400 white, a hill of 99 smoothed lines, a black car of 40x20
that is turned by cos(3 position) and whose corners are cut to whole pixels, two grey wheels of radius 8, and a flag before all that.
Since every coordinate is cut to whole pixels, there are some thousand different frames; what the car changes of each is drawn once, when
the first patch is asked for (0.8 s, 1 to 5 MB for usual patches).
"""

import dataclasses
import functools
import math

import torch
from torch import Tensor

from rlbench import exact
from rlbench.envs.mountain_car import GOAL_POSITION, MAX_POSITION, MIN_POSITION
from rlbench.envs.resampling import bicubic_weights
from rlbench.envs.shapes import disc_coverage, polygon_coverage
from rlbench.envs.window import Window, in_grey
from rlbench.exact import cosine, sine, sine_cosine

WIDTH, HEIGHT = 600, 400
PIXELS_PER_UNIT = WIDTH / (MAX_POSITION - MIN_POSITION)
HILL_POINTS = 100
CLEARANCE = 10
CAR_CORNERS = ((-20.0, 0.0), (-20.0, 20.0), (20.0, 20.0), (20.0, 0.0))
AXLES = ((10.0, 0.0), (-10.0, 0.0))
WHEEL_RADIUS = 8
FLAG_HEIGHT = 50
FLAG = ((0, -10), (0, 0), (25, -5))  # corners about the top of its pole
WHEEL_GREY, FLAG_COLOUR, WHITE = 128.0, (204.0, 204.0, 0.0), 255.0
LEFT, RIGHT, BELOW, ABOVE = (
    30,
    31,
    20,
    32,
)  # pixels about the car's place, itself the first on the right and above, that it may cover
BORDER = 80  # pixels beyond the window in which a part of the car is still inside
POSITIONS = 2**17  # among which the different frames are looked for
FRAMES_AT_ONCE = 64  # while the table is made: intermediate results stay below 1 MB each


def height(position: Tensor) -> Tensor:
    """The hill's height at positions [...] float64."""
    return sine(3 * position) * 0.45 + 0.55


def car_pixels(position: Tensor) -> Tensor:
    """Whole pixels of the car's corners, of its wheels and of its place, [N, 7, 2] float64: column, and row from below; position: [N]."""
    place = torch.stack(
        [(position - MIN_POSITION) * PIXELS_PER_UNIT, CLEARANCE + height(position) * PIXELS_PER_UNIT], 1
    )
    turned_sine, turned_cosine = (part[:, None] for part in sine_cosine(cosine(3 * position)))
    x, y = torch.tensor((*CAR_CORNERS, *AXLES, (0.0, 0.0)), dtype=torch.float64).unbind(1)
    turned = torch.stack([turned_cosine * x - turned_sine * y, turned_sine * x + turned_cosine * y], 2)
    return (turned + place[:, None]).trunc()


def hill() -> Tensor:
    """The hill alone, [HEIGHT, WIDTH] float32, rows from below: lines are smoothed along the axis that they cross steeply (Wu, 1991)."""
    frame = torch.full((HEIGHT, WIDTH), WHITE)
    position = torch.linspace(MIN_POSITION, MAX_POSITION, HILL_POINTS, dtype=torch.float64)
    points = torch.stack([(position - MIN_POSITION) * PIXELS_PER_UNIT, height(position) * PIXELS_PER_UNIT], 1)
    for begin, end in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
        along = 0 if abs(end[0] - begin[0]) >= abs(end[1] - begin[1]) else 1
        if begin[along] > end[along]:
            begin, end = end, begin
        across = 1 - along
        slope = (end[across] - begin[across]) / (end[along] - begin[along])
        for pixel in range(math.ceil(begin[along]), math.ceil(end[along])):
            line = begin[across] + slope * (pixel - begin[along])
            for near in (math.floor(line), math.floor(line) + 1):
                column, row = (pixel, near) if along == 0 else (near, pixel)
                if 0 <= column < WIDTH and 0 <= row < HEIGHT:
                    frame[row, column] *= abs(line - near)
    return frame


def flag() -> tuple[Tensor, Tensor]:
    """What the flag and its pole cover, [HEIGHT, WIDTH] float32 each, rows from below; the flag is before the pole."""
    column = int((GOAL_POSITION - MIN_POSITION) * PIXELS_PER_UNIT)
    foot = int(float(height(torch.tensor(GOAL_POSITION, dtype=torch.float64))) * PIXELS_PER_UNIT)
    pole = torch.zeros(HEIGHT, WIDTH)
    pole[foot : foot + FLAG_HEIGHT + 1, column] = 1
    corners = torch.tensor([FLAG]) + torch.tensor([column, foot + FLAG_HEIGHT])
    rows, columns = torch.arange(HEIGHT).float(), torch.arange(WIDTH).float()
    return polygon_coverage(corners, rows[None], columns[None])[0], pole


def bordered(picture: Tensor) -> Tensor:
    """picture [rows, columns] with BORDER pixels around it."""
    return torch.nn.functional.pad(picture, (BORDER, BORDER, BORDER, BORDER))


def pieces(weights: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The part of a resize [out, in] that sees `size` pixels from each place on: its first row [places] and it, [places, count, size]."""
    windows = weights.unfold(1, size, 1)
    seen = (windows != 0).any(2)
    first = seen.int().argmax(0)
    last = torch.where(seen.any(0), len(weights) - 1 - seen.flip(0).int().argmax(0), first)
    count = int((last - first).max()) + 1
    first = first.clamp(max=len(weights) - count)
    rows = first[:, None] + torch.arange(count)
    return first, windows.permute(1, 0, 2)[torch.arange(len(first))[:, None], rows].contiguous()


@dataclasses.dataclass(frozen=True, eq=False)
class CarTable:
    """What the car changes of a patch. A patch is one row of numbers here, and they go to its places `corner` + `inner`."""

    starts: Tensor  # the first position of each frame, [F] float32
    corner: Tensor  # [F] int64
    inner: Tensor  # [count] int64
    blocks: Tensor  # [F, count] uint8


class MountainCarFrames:
    """Patches [N, C, rows, columns] of states, C is 3 or 1 (grey), as whole numbers 0 to 255 in float32."""

    num_drawn = 1  # numbers of a state that a frame shows: the position

    def __init__(self, window: Window, device: torch.device) -> None:
        assert not window.follow
        self.window, self.device = window, device
        colour = (in_grey(FLAG_COLOUR),) if window.grey else FLAG_COLOUR
        self.channels = len(colour)
        flag_cover, pole_cover = flag()
        # What is before the car: a pixel behind is multiplied by `kept`, and `before` is added.
        self.kept = (1 - flag_cover) * (1 - pole_cover)
        self.before = torch.tensor(colour)[:, None, None] * flag_cover
        self.behind = hill()
        self.vertical, self.horizontal = self._weights()
        # Pillow resizes rows first and rounds to 8 bits in between, which cuts off what is brighter than white beside a dark line.
        picture = self.behind * self.kept + self.before
        self.across = exact.affine(picture, self.horizontal.T.expand(self.channels, -1, -1)).round_().clamp_(0, WHITE)
        self.empty = exact.affine(self.vertical.expand(self.channels, -1, -1), self.across)
        self.rounded = self.empty.clamp(0, WHITE).round().to(device)

    def drawn(self, state: Tensor) -> Tensor:
        """What a frame shows of states [..., 2] float64: [..., 1] float32."""
        return state[..., :1].float()

    def __call__(self, drawn: Tensor) -> Tensor:
        """drawn [N, 1] float32 -> patches [N, C, rows, columns] float32."""
        table = self.table
        frame = (torch.searchsorted(table.starts, drawn[:, 0].contiguous(), right=True) - 1).clamp_(min=0)
        patches = self.rounded.expand(len(drawn), -1, -1, -1).clone()
        patches.view(len(drawn), -1).scatter_(1, table.corner[frame, None] + table.inner, table.blocks[frame].float())
        return patches

    def _weights(self) -> tuple[Tensor, Tensor]:
        """The resize of rows from below [rows, HEIGHT] and of columns [columns, WIDTH], float32, without weight outside of the crop."""
        top, bottom, left, width = self.window.crop(HEIGHT, WIDTH)
        vertical, horizontal = torch.zeros(self.window.rows, HEIGHT), torch.zeros(self.window.columns, WIDTH)
        vertical[:, top:bottom] = bicubic_weights(bottom - top, self.window.rows).float()
        horizontal[:, left : left + width] = bicubic_weights(width, self.window.columns).float()
        return vertical.flip(1), horizontal

    @functools.cached_property
    def table(self) -> CarTable:
        """All frames with a car, made on the CPU."""
        position = torch.linspace(MIN_POSITION, MAX_POSITION, POSITIONS, dtype=torch.float64).float().unique()
        pixels = car_pixels(position.double())
        is_new = torch.cat([torch.tensor([True]), (pixels[1:] != pixels[:-1]).flatten(1).any(1)])
        pixels = pixels[is_new]
        places = pixels[:, -1].long() + BORDER - torch.tensor([LEFT, BELOW])
        shape = (BELOW + ABOVE, LEFT + RIGHT)
        rows, vertical = pieces(torch.nn.functional.pad(self.vertical, (BORDER, BORDER)), shape[0])
        columns, horizontal = pieces(torch.nn.functional.pad(self.horizontal, (BORDER, BORDER)), shape[1])
        behind, kept = (
            bordered(picture).unfold(0, shape[0], 1).unfold(1, shape[1], 1) for picture in (self.behind, self.kept)
        )
        across = torch.nn.functional.pad(self.across, (0, 0, BORDER, BORDER)).unfold(1, shape[0], 1)
        across = across.permute(1, 2, 0, 3)  # [places, columns, C, rows of the piece]
        corner = rows[places[:, 1]] * self.window.columns + columns[places[:, 0]]
        row, column = torch.arange(vertical.shape[1]), torch.arange(horizontal.shape[1])
        channel = torch.arange(self.channels) * self.window.rows * self.window.columns
        inner = (channel[:, None, None] + row[:, None] * self.window.columns + column).flatten()
        empty = self.empty.flatten()
        blocks = []
        for some in torch.arange(len(pixels)).split(FRAMES_AT_ONCE):
            x, y = places[some].unbind(1)
            seen = behind[y, x]
            change = (self._car(seen, pixels[some], y, x) - seen) * kept[y, x]
            change = exact.affine(change, horizontal[x].transpose(1, 2)).transpose(1, 2)
            without = across[y[:, None], columns[x, None] + column]
            change = (without + change[:, :, None]).round_().clamp_(0, WHITE) - without
            resize = vertical[y][:, None].expand(-1, self.channels, -1, -1).flatten(0, 1)
            change = exact.affine(resize, change.permute(0, 2, 3, 1).flatten(0, 1))
            patch = change.view(len(some), -1) + empty[corner[some, None] + inner]
            blocks.append(patch.clamp_(0, WHITE).round_().to(torch.uint8))
        parts = position[is_new], corner, inner, torch.cat(blocks)
        return CarTable(*(part.to(self.device) for part in parts))

    @staticmethod
    def _car(behind: Tensor, pixels: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """The car over what is behind it, [n, rows, columns]; pixels [n, 7, 2] as above, y, x [n] the first row and column + BORDER."""
        rows = (y[:, None] - BORDER + torch.arange(behind.shape[1])).float()
        columns = (x[:, None] - BORDER + torch.arange(behind.shape[2])).float()
        seen = behind * (1 - polygon_coverage(pixels[:, :4], rows, columns))
        for wheel in (4, 5):
            seen = exact.lerp(
                seen, torch.tensor(WHEEL_GREY), disc_coverage(pixels[:, wheel], WHEEL_RADIUS, rows, columns)
            )
        return seen
