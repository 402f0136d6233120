"""A picture of a moment: the frame with the Q-values beside it.

In: `Moment`s. Out: Pillow images. Never: reads a file, or plays a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rlbench.playing.episodes import FRAME_HEIGHT, Moment

PAPER, INK, MUTED, GRID = (255, 255, 255), (29, 36, 48), (93, 102, 115), (221, 225, 231)
CHOSEN, OTHER = (0, 114, 178), (166, 178, 192)
PANEL_WIDTH = 190
MOST_BARS = 10
_MARGIN = 14
_TRACE = 60  # steps of Q-values behind the current one


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def limits(q_values: NDArray[np.float64]) -> tuple[float, float]:
    """The lowest and the highest Q-value of a film."""
    low, high = float(q_values.min()), float(q_values.max())
    return low, max(high, low + 1e-6)


def draw_moment(moment: Moment, recent: Sequence[Moment], axis: tuple[float, float], title: str) -> Image.Image:
    """The frame, and beside it a bar for each action's Q-value and their last steps as lines; sizes are even, as encoders want them.

    recent: the moments of the same episode up to this one. axis: lowest and highest Q-value of the film.
    """
    frame = Image.fromarray(moment.frame)
    width = frame.width + PANEL_WIDTH
    picture = Image.new("RGB", (width + width % 2, FRAME_HEIGHT), PAPER)
    picture.paste(frame, (0, 0))
    pen, left = ImageDraw.Draw(picture), frame.width + _MARGIN
    right = frame.width + PANEL_WIDTH - _MARGIN
    pen.line([(frame.width, 0), (frame.width, FRAME_HEIGHT)], fill=GRID)
    pen.text((left, 8), shortened(title, 26), font=font(12), fill=INK)
    pen.text((left, 25), f"episode {moment.episode}, step {moment.step}", font=font(11), fill=MUTED)
    pen.text((left, 39), f"return {moment.episode_return:g}", font=font(11), fill=MUTED)
    top, from_zero = 62, (min(0.0, axis[0]), max(0.0, axis[1]))
    pen.text((left, top), "Q-values", font=font(11), fill=INK)
    # Of many actions the most valuable ones: a bar needs its room.
    shown = sorted(np.argsort(-moment.q_values, kind="stable")[:MOST_BARS].tolist())
    room = min(24, (FRAME_HEIGHT - top - 110) // len(shown))
    for place, action in enumerate(shown):
        value = float(moment.q_values[action])
        y = top + 18 + place * room
        is_chosen = action == moment.action
        zero, end = (_along(x, from_zero, left + 14, right - 46) for x in (0.0, value))
        pen.rectangle([min(zero, end), y + 2, max(zero, end), y + room - 7], fill=CHOSEN if is_chosen else OTHER)
        pen.text((left, y), str(action), font=font(11), fill=INK if is_chosen else MUTED)
        pen.text((right, y), f"{value:.2f}", font=font(11), fill=INK if is_chosen else MUTED, anchor="ra")
    _draw_lines(pen, recent, axis, (left, FRAME_HEIGHT - 88, right, FRAME_HEIGHT - 14))
    return picture


def _draw_lines(
    pen: ImageDraw.ImageDraw, recent: Sequence[Moment], axis: tuple[float, float], box: tuple[int, int, int, int]
) -> None:
    """The Q-values of the last steps, the highest one dark."""
    left, top, right, bottom = box
    pen.line([(left, bottom), (right, bottom)], fill=GRID)
    shown = np.stack([one.q_values for one in recent[-_TRACE:]])
    x = right - (right - left) * (len(shown) - 1 - np.arange(len(shown))) / (_TRACE - 1)
    best = int(shown[-1].argmax())
    for action in sorted(range(shown.shape[1]), key=lambda one: one == best):
        y = [bottom - (bottom - top) * (value - axis[0]) / (axis[1] - axis[0]) for value in shown[:, action]]
        points = list(zip(x.tolist(), y, strict=True))
        if len(points) > 1:
            pen.line(points, fill=CHOSEN if action == best else OTHER, width=2)


def _along(value: float, axis: tuple[float, float], left: float, right: float) -> float:
    return left + (right - left) * (value - axis[0]) / (axis[1] - axis[0])


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
