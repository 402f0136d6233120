"""Frames that lanes store, each once, as whole numbers of 8 bits: what replay needs where a frame is no function of a few numbers.

A lane's memory is a ring, `frames` [L, R, C, rows, columns] uint8, with the number of frames that it ever stored, `frames_stored` [L]
int64. An observation is then the places of its last K frames in the ring, [K] float32, exact up to `observations.MOST_PLACES`.
Must never forget a frame that a stored transition shows.
"""

import torch
from torch import Tensor

from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.tensors import Tensors


def empty_memory(pixel: Pixel, capacity: int) -> Tensors:
    """The part of a lane's state that stores frames, before the first one."""
    shape = (1, pixel.ring_size(capacity), pixel.colours, pixel.rows, pixel.columns)
    return {"frames": torch.zeros(shape, dtype=torch.uint8), "frames_stored": torch.zeros(1, dtype=torch.int64)}


def store_frame(state: Tensors, slot: int, patch: Tensor) -> int:
    """Store a patch [C * rows * columns] of 0 to 255 as the newest of a slot; returns its place."""
    ring, count = state["frames"][slot], state["frames_stored"][slot]
    place = int(count) % len(ring)
    ring[place] = patch.view_as(ring[place])
    count += 1
    return place


def look_up(frames: Tensor, places: Tensor, slots: Tensor | None = None) -> Tensor:
    """The patches of places [n, ..., F] float32 in the rings [L, R, C, rows, columns] of slots [n] int64 (None: all of them, in order):
    [n, ..., F, C, rows, columns] float32."""
    slots = torch.arange(len(frames)) if slots is None else slots
    return frames[slots.view(-1, *[1] * (places.dim() - 1)), places.long()].float()
