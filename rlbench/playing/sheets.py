"""Contact sheets: what the network sees at some moments of an episode, a column each.

In: `Moment`s. Out: a Pillow image. Never: reads a file, or plays a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rlbench.lanes.choices.observations import Pixel
from rlbench.playing.drawing import CHOSEN, GRID, INK, MUTED, PAPER, font, shortened
from rlbench.playing.episodes import Moment, scaled

_THUMB_HEIGHT = 120
_BAR_HEIGHT = 15
_MOST_BARS = 24
_PATCH_WIDTH = 180  # at least so wide, whole pixels kept whole


def draw_sheet(moments: Sequence[Moment], title: str, pixel: Pixel | None = None) -> Image.Image:
    """The frame for the reader, and below it what the network sees: patches with `pixel`, else every feature as a bar.

    A feature's bar is as long as its value in units of the largest absolute value among these moments. Of differences, middle grey is 0.
    """
    below = [_patches(moment, pixel) for moment in moments] if pixel is not None else _bars(moments)
    thumbs = [Image.fromarray(scaled(moment.frame, _THUMB_HEIGHT)) for moment in moments]
    wide = max(190, *(picture.width for picture in [*thumbs, *below])) + 16
    per_row = min(4, len(moments))
    rows = -(-len(moments) // per_row)
    tall = _THUMB_HEIGHT + 62 + below[0].height
    sheet = Image.new("RGB", (per_row * wide + 16, rows * tall + 40), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((16, 10), title, font=font(14), fill=INK)
    for place, (moment, thumb, seen) in enumerate(zip(moments, thumbs, below, strict=True)):
        left, top = 16 + (place % per_row) * wide, 40 + (place // per_row) * tall
        sheet.paste(thumb, (left, top))
        values = ", ".join(f"{value:.2f}" for value in moment.q_values)
        pen.text((left, top + 124), f"step {moment.step}: action {moment.action}", font=font(11), fill=INK)
        pen.text((left, top + 138), shortened(f"Q {values}", 34), font=font(11), fill=MUTED)
        sheet.paste(seen, (left, top + 158))
    return sheet


def _bars(moments: Sequence[Moment]) -> list[Image.Image]:
    """The features of each moment as bars."""
    features = min(len(moments[0].obs), _MOST_BARS)
    largest = np.maximum(np.abs(np.stack([moment.obs for moment in moments])).max(0), 1e-12)
    middle, reach, wide = 86, 42, 182
    pictures = []
    for moment in moments:
        picture = Image.new("RGB", (wide, features * _BAR_HEIGHT), PAPER)
        pen = ImageDraw.Draw(picture)
        for feature in range(features):
            y, value = feature * _BAR_HEIGHT, float(moment.obs[feature])
            end = middle + reach * value / float(largest[feature])
            pen.text((0, y), f"obs {feature}", font=font(10), fill=MUTED)
            pen.line([(middle, y), (middle, y + _BAR_HEIGHT - 3)], fill=GRID)
            pen.rectangle([min(middle, end), y + 2, max(middle, end), y + _BAR_HEIGHT - 5], fill=CHOSEN)
            pen.text((wide, y), f"{value:+.3f}", font=font(10), fill=INK, anchor="ra")
        pictures.append(picture)
    return pictures


def named_patches(obs: NDArray[np.float32], pixel: Pixel) -> list[tuple[str, NDArray[np.uint8]]]:
    """The patches of an observation [C, rows, columns] with what they are, each [rows, columns, 3]; of differences, 128 is 0."""
    names = {
        "difference": ["now - before"],
        "both": ["now", "now - before"],
        "stack": [f"{-age} steps" if age else "now" for age in range(pixel.frames - 1, -1, -1)],
    }[pixel.combine]
    found = []
    for name, patch in zip(names, obs.reshape(-1, pixel.colours, pixel.rows, pixel.columns), strict=True):
        shown = patch * 127 + 128 if "before" in name else patch * 255
        image = shown.round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        found.append((name, np.repeat(image, 3, 2) if pixel.colours == 1 else image))
    return found


def _patches(moment: Moment, pixel: Pixel) -> Image.Image:
    """The patches of a moment, one below the other."""
    patches = named_patches(moment.obs, pixel)
    larger = max(1, -(-_PATCH_WIDTH // pixel.columns))
    size = (pixel.columns * larger, pixel.rows * larger)
    picture = Image.new("RGB", (size[0], len(patches) * (size[1] + 20)), PAPER)
    pen = ImageDraw.Draw(picture)
    for place, (name, patch) in enumerate(patches):
        y = place * (size[1] + 20)
        pen.text((0, y), f"{name}, {pixel.rows} x {pixel.columns}", font=font(10), fill=MUTED)
        picture.paste(Image.fromarray(patch).resize(size, Image.Resampling.NEAREST), (0, y + 14))
    return picture
