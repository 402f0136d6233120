"""Products and sums of lanes with their derivatives; how they are computed stands in `products.cpp`.

Every element is a chain of fused multiply-adds, or a sum, in an order that is part of the definition: a lane's bits do not depend on its
neighbours, on their number, on strides, or on the CPU.
"""

from typing import Any

import torch
from torch import Tensor

from rlbench.exact import building


@torch.library.register_fake("rlbench::affine")
def _(x: Tensor, weight: Tensor, bias: Tensor | None, positive: bool) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], weight.shape[2])


@torch.library.register_fake("rlbench::affine_backward")
def _(
    gradient: Tensor, x: Tensor, weight: Tensor, y: Tensor, positive: bool, wants_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    lanes, rows, depth = x.shape
    of_x = x.new_empty(lanes, rows if wants_x else 0, depth)
    return of_x, x.new_empty(weight.shape), x.new_empty(lanes, 1, weight.shape[2])


@torch.library.register_fake("rlbench::sqrt")
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.register_fake("rlbench::sums")
def _(x: Tensor) -> Tensor:
    return x.new_empty(x.shape[0])


@torch.library.register_fake("rlbench::square_sums")
def _(xs: list[Tensor]) -> Tensor:
    return xs[0].new_empty(xs[0].shape[0])


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, positive: bool) -> Tensor:
        y: Tensor = torch.ops.rlbench.affine(x, weight, bias, positive)
        ctx.save_for_backward(x, weight, y)
        ctx.positive, ctx.has_bias = positive, bias is not None
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        x, weight, y = ctx.saved_tensors
        wants_x = ctx.needs_input_grad[0]
        of_x, of_weight, of_bias = torch.ops.rlbench.affine_backward(gradient, x, weight, y, ctx.positive, wants_x)
        return of_x if wants_x else None, of_weight, of_bias if ctx.has_bias else None, None


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, positive: bool = False) -> Tensor:
    """x [L, R, K] times weight [L, K, N] plus bias [L, 1, N] -> [L, R, N] float32, each lane by itself.

    `positive` puts zeros in place of negative results (a ReLU). Differentiable once, in x, weight and bias.
    """
    building.load()
    y: Tensor = _Affine.apply(x, weight, bias, positive)
    return y


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        total: Tensor = torch.ops.rlbench.sums(x.reshape(-1, x.shape[-1]))
        return total.view(x.shape[:-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[..., None].expand(ctx.shape)


def sums(x: Tensor) -> Tensor:
    """The sums over the last axis, [..., n] -> [...], float32 or float64. Differentiable once."""
    building.load()
    total: Tensor = _Sums.apply(x)
    return total


def square_sums(xs: list[Tensor]) -> Tensor:
    """The sum of the squares of all tensors [L, ...] float32, lane by lane, [L]. Not differentiable."""
    building.load()
    total: Tensor = torch.ops.rlbench.square_sums([x.detach() for x in xs])
    return total
