"""Pictures to files: MP4, GIF and PNG, each whole or not at all.

In: Pillow images and a path. Out: the file. The encoder comes with the wheel of imageio-ffmpeg; nothing of the system is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from rlbench.errors import StoreError

GIF_WIDTH = 480
GIF_FPS = 25  # browsers show faster ones slower
GIF_COLOURS = 64
GIF_FRAMES = 1500


def write_mp4(pictures: Sequence[Image.Image], path: Path, fps: int) -> None:
    """H.264 in the pixel format that every player knows."""

    def encode(fresh: Path) -> None:
        writer: Any = imageio.get_writer(
            fresh, format="FFMPEG", mode="I", fps=fps, codec="libx264", quality=7, macro_block_size=2,
            pixelformat="yuv420p", ffmpeg_log_level="error",
        )  # fmt: skip
        with writer:
            for picture in pictures:
                writer.append_data(np.asarray(picture))

    _whole(path, encode)


def write_gif(pictures: Sequence[Image.Image], path: Path, fps: int) -> None:
    """An endless animation, smaller and at most `GIF_FPS` frames a second; of a long film, its beginning."""
    every = max(1, round(fps / GIF_FPS))
    shown = list(pictures[::every])[:GIF_FRAMES]
    size = (GIF_WIDTH, round(shown[0].height * GIF_WIDTH / shown[0].width))
    small = [picture.resize(size, Image.Resampling.BILINEAR) for picture in shown]
    palette = small[len(small) // 2].quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in small]

    def encode(fresh: Path) -> None:
        frames[0].save(
            fresh, format="GIF", save_all=True, append_images=frames[1:], duration=round(1000 * every / fps), loop=0
        )

    _whole(path, encode)


def write_png(picture: Image.Image, path: Path) -> None:
    """One picture."""
    _whole(path, lambda fresh: picture.save(fresh, format="PNG"))


def _whole(path: Path, encode: Callable[[Path], None]) -> None:
    """Write beside the path and rename, so that no half of a file ever stands there. Raises StoreError where that fails."""
    fresh = path.with_name(f".{path.stem}.new{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(fresh)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from None
