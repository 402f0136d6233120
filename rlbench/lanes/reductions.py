"""Sums to one number per lane whose bits do not depend on how many lanes are summed side by side.

The compiler lays out such a reduction differently for one lane than for several; a product of matrices it leaves to the library, whose
products have the same bits for any number of matrices (see `prepare_process`).
"""

import torch
from torch import Tensor


def lane_sums(x: Tensor) -> Tensor:
    """Sums over the last axis, [L, R, n] -> [L, R]."""
    # Two columns, because the compiler rewrites a product with a single column as the very reduction that is to be avoided.
    return torch.bmm(x, torch.ones(x.shape[0], x.shape[2], 2))[..., 0]
