"""Standard normal numbers as a pure function of counters; how they are computed stands in `normals.cpp`, and here for machines without
a C++ compiler."""

import functools

import torch
from torch import Tensor

from rlbench.exact import building
from rlbench.exact.compiler import compiler
from rlbench.exact.functions import log, sine_cosine, sqrt
from rlbench.exact.philox import LOW32, philox


@torch.library.register_fake("rlbench::normals")
def _(seed: Tensor, name_space: Tensor, step: Tensor, stream: int, begin: int, count: int) -> Tensor:
    return seed.new_empty(len(seed), count, dtype=torch.float32)


def emulated(seed: Tensor, name_space: Tensor, step: Tensor, stream: int, begin: int, count: int) -> Tensor:
    """The operator in plain PyTorch, to the bit: Box and Muller's method on the words of counters `begin`, `begin` + 1, ..."""
    key_0, key_1, step = (t[:, None] for t in (seed, name_space, step))
    index = torch.arange(begin, begin + -(-count // 4))
    words = philox(index, torch.full_like(step, stream), step & LOW32, step >> 32, key_0, key_1)
    found: list[Tensor] = []
    for of_radius, of_angle in (words[:2], words[2:]):
        radius = sqrt(-2.0 * log((of_radius.double() + 0.5) * 2.0**-32))
        sine, cosine = sine_cosine(of_angle.double() * (6.283185307179586 * 2.0**-32))
        found += [radius * cosine, radius * sine]
    return torch.stack(found, -1).flatten(1)[:, :count].float()


@functools.cache
def _load() -> None:
    building.load()
    if compiler() is None:
        building.implement("normals", emulated)


def normals(seed: Tensor, name_space: Tensor, step: Tensor, *, stream: int, begin: int = 0, count: int) -> Tensor:
    """`count` independent standard normal numbers of each lane, [L, count] float32.

    They are a function of (seed, name_space, stream, step) and of their place, as the words of `philox` are: counters `begin`, `begin` + 1,
    ... give four numbers each. seed, name_space [L] int64 in [0, 2**32), step [L] int64 from 0.
    """
    _load()
    found: Tensor = torch.ops.rlbench.normals(seed, name_space, step, stream, begin, count)
    return found
