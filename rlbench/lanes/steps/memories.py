"""What a replay that remembers is told and asked, for many lanes: when steps are stored, when an update draws, and what it learned.

In go the trainer's tensors, in which the replay's own are named `remembered.*`; they are changed in place.
"""

import torch
from torch import Tensor

from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.tensors import Tensors, named


def stored(lanes: Tensors, variant: Variant, place: Tensor) -> None:
    """Steps were stored at these places [L] int64 of the memory flattened over lanes."""
    capacity = variant.replay.capacity
    newest = place - torch.arange(len(place)) * capacity
    begun = newest - (variant.returns.num_steps - 1)
    is_there = lanes["env_steps"] >= variant.returns.num_steps
    complete = torch.where(begun < 0, begun + capacity, begun)
    variant.replay.stored(named(lanes, "remembered"), newest, complete, is_there & lanes["active"])


def draw(lanes: Tensors, variant: Variant, start: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Places [L, B] int64 of minibatches in the memory flattened over lanes, the first of which is `start` [] int64, and what each loss
    counts [L, B] float32, from random words [L, B]."""
    size = lanes["env_steps"].clamp(max=variant.replay.capacity) - (variant.returns.num_steps - 1)
    index, weights = variant.replay.draw(named(lanes, "remembered"), words, size.clamp(min=1), lanes)
    return index + ((start + torch.arange(len(index))) * variant.replay.capacity)[:, None], weights


def learned(lanes: Tensors, variant: Variant, start: Tensor, places: Tensor, error: Tensor, updates: Tensor) -> None:
    """These transitions had these errors [L, B], in an update before which there were so many `updates` [L]."""
    index = places - ((start + torch.arange(len(places))) * variant.replay.capacity)[:, None]
    variant.replay.learned(named(lanes, "remembered"), index, error, lanes["updates"] > updates)
