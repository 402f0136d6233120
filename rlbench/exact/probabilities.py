"""Softmax of rows and the logarithm of its sum; how they are computed in float32 stands in `softmax.cpp`."""

from typing import Any

import torch
from torch import Tensor

from rlbench.exact import building
from rlbench.exact.functions import exp, log
from rlbench.exact.products import applied, check_dtype, sums


@torch.library.register_fake("rlbench::softmax")
def _(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(x.shape[0]), x.new_empty(x.shape[0])


def _of_rows(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax [..., n] along the last axis, the sum of exp(x - largest) and the largest, [...]."""
    if x.dtype == torch.float64:
        largest = x.amax(-1)
        raised = exp(x - largest[..., None])
        total = sums(raised)
        return raised / total[..., None], total, largest
    share, total, largest = torch.ops.rlbench.softmax(x.reshape(-1, x.shape[-1]))
    return share.view(x.shape), total.view(x.shape[:-1]), largest.view(x.shape[:-1])


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, _, _ = _of_rows(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return y * (gradient - sums(gradient * y)[..., None])


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        share, total, largest = _of_rows(x)
        ctx.save_for_backward(share)
        return log(total) + largest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (share,) = ctx.saved_tensors
        return gradient[..., None] * share


def softmax(x: Tensor) -> Tensor:
    """exp(x) over its sum along the last axis, [..., n] finite, float32 or float64.

    Of float32, numbers below e**-87 of the largest are 0, and the difference to it is rounded: a relative error of up to 4e-6 far from it.
    """
    check_dtype("softmax", x)
    building.load()
    return applied(_Softmax, x)


def log_sum_exp(x: Tensor) -> Tensor:
    """The logarithm of the sum of exp(x) along the last axis, [..., n] finite, float32 or float64 -> [...]."""
    check_dtype("log_sum_exp", x)
    building.load()
    return applied(_LogSumExp, x)
