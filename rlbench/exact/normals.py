"""Standard normal numbers as a pure function of counters; how they are computed stands in `normals.cpp`."""

import torch
from torch import Tensor

from rlbench.exact import building


@torch.library.register_fake("rlbench::normals")
def _(seed: Tensor, name_space: Tensor, step: Tensor, stream: int, begin: int, count: int) -> Tensor:
    return seed.new_empty(len(seed), count, dtype=torch.float32)


def normals(seed: Tensor, name_space: Tensor, step: Tensor, *, stream: int, begin: int = 0, count: int) -> Tensor:
    """`count` independent standard normal numbers of each lane, [L, count] float32.

    They are a function of (seed, name_space, stream, step) and of their place, as the words of `philox` are: counters `begin`, `begin` + 1,
    ... give four numbers each. seed, name_space [L] int64 in [0, 2**32), step [L] int64 from 0.
    """
    building.load()
    found: Tensor = torch.ops.rlbench.normals(seed, name_space, step, stream, begin, count)
    return found
