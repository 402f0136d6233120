"""The roof: how fast a core could be if it did nothing but the products of an update."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence

import torch

from rlbench import exact

LANES = 8
SIZES = (64, 128)
SECONDS = 1.0  # for each size


def update_flops(sizes: Sequence[int], batch: int) -> int:
    """Floating-point operations of the products of one lane's update, for layers of `sizes` (inputs, hidden units, actions).

    A layer of n inputs and m outputs takes 2 * batch * n * m of them (a multiplication and an addition each) in the forward pass of the
    online network, in that of the target network, for the gradient of its weights, and for the gradient of its inputs, which the first
    layer does not need:  2 * batch * (4 * sum of n * m over the layers - n * m of the first).
    """
    products = [n * m for n, m in itertools.pairwise(sizes)]
    return 2 * batch * (4 * sum(products) - products[0])


def best_gflops() -> float:
    """GFLOP/s of `exact.affine` on this core at the better of 64^3 and 128^3 with 8 lanes: the fastest of all calls."""
    rates = []
    with torch.no_grad():
        for size in SIZES:
            x, weight = torch.randn(2, LANES, size, size)
            exact.affine(x, weight)  # builds it, if need be
            taken, until = [], time.perf_counter() + SECONDS
            while time.perf_counter() < until:
                begin = time.perf_counter()
                exact.affine(x, weight)
                taken.append(time.perf_counter() - begin)
            rates.append(2 * LANES * size**3 / min(taken) / 1e9)
    return max(rates)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """This process and those that it starts stay on one core, where the system can be told so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
