"""Sums whose order is fixed by construction, so that their bits do not depend on how many lanes are summed side by side.

The compiler lays out a reduction to one number per lane differently for one lane than for several; additions of halves leave it no choice.
"""

import torch
from torch import Tensor


def tree_sum(x: Tensor) -> Tensor:
    """The sum over the last axis, [..., n] -> [...], by adding the upper to the lower half until one element is left."""
    length = x.shape[-1]
    power = 1 << (length - 1).bit_length()
    if power != length:
        x = torch.nn.functional.pad(x, (0, power - length))
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        x = x[..., :half] + x[..., half:]
    return x[..., 0]


def tree_mean(x: Tensor) -> Tensor:
    """The mean over the last axis, [..., n] -> [...]."""
    return tree_sum(x) / x.shape[-1]
