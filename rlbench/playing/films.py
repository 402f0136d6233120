"""Pictures to files: MP4, GIF and PNG, each whole or not at all.

In: Pillow images and a path. Out: the file. The encoder comes with the wheel of imageio-ffmpeg; nothing of the system is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from rlbench.errors import WriteError

GIF_WIDTH = 480
GIF_FPS = 25  # browsers show faster ones slower
GIF_COLOURS = 64
GIF_FRAMES = 1500


def write_mp4(pictures: Iterable[Image.Image], path: Path, fps: int) -> None:
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


class Gif:
    """An endless animation, smaller and of at most `GIF_FPS` frames a second; of a long film, its beginning."""

    def __init__(self, fps: int) -> None:
        """`fps`: of the pictures that are going to be added."""
        self._every = math.ceil(fps / GIF_FPS)
        self._duration = round(1000 * self._every / fps)
        self._added = 0
        self._small: list[Image.Image] = []

    def add(self, picture: Image.Image) -> None:
        """The next picture of the film."""
        if self._added % self._every == 0 and len(self._small) < GIF_FRAMES:
            size = (GIF_WIDTH, round(picture.height * GIF_WIDTH / picture.width))
            self._small.append(picture.resize(size, Image.Resampling.BILINEAR))
        self._added += 1

    def write(self, path: Path) -> None:
        """Write what was added. Raises WriteError where that fails."""
        palette = self._small[len(self._small) // 2].quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
        frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self._small]

        def encode(fresh: Path) -> None:
            rest = frames[1:]
            frames[0].save(fresh, format="GIF", save_all=True, append_images=rest, duration=self._duration, loop=0)

        _whole(path, encode)


def write_png(picture: Image.Image, path: Path) -> None:
    """One picture."""
    _whole(path, lambda fresh: picture.save(fresh, format="PNG"))


def _whole(path: Path, encode: Callable[[Path], None]) -> None:
    """Write beside the path and rename, so that no half of a file ever stands there. Raises WriteError where that fails."""
    fresh = path.with_name(f".{path.stem}.new{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(fresh)
        fresh.replace(path)
    except BaseException as error:
        fresh.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from None
