"""Mass at fractional places, shared by whole ones; how it is computed stands in `projection.cpp`. It has no derivative."""

import torch
from torch import Tensor

from rlbench.exact import building


@torch.library.register_fake("rlbench::shared")
def _(mass: Tensor, place: Tensor) -> Tensor:
    return mass.new_empty(mass.shape)


def shared(mass: Tensor, place: Tensor) -> Tensor:
    """Each mass [..., N] lies at a place [..., N] in [0, N - 1], and goes to the whole places below and above it, in proportion to how near
    they are; returns the mass [..., N] of the places 0 to N - 1. Places outside count as the nearest inside. float32, no derivative."""
    building.load()
    found: Tensor = torch.ops.rlbench.shared(mass.flatten(0, -2), place.flatten(0, -2))
    return found.view(mass.shape)
