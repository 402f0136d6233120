"""Products and sums of lanes with their derivatives; how they are computed stands in `products.cpp`.

Every element is a chain of fused multiply-adds, or a sum, in an order that is part of the definition: a lane's bits do not depend on its
neighbours, on their number, on strides, or on the CPU.
"""

import math
from typing import Any

import torch
from torch import Tensor

from rlbench.exact import building

FLOATS = (torch.float32, torch.float64)


def applied(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """The result of a differentiable function. RuntimeError under torch.func, through which it has no derivative."""
    if torch._C._are_functorch_transforms_active():
        raise RuntimeError("rlbench.exact has no derivatives under torch.func (grad, vmap): use torch.autograd.grad")
    y: Tensor = function.apply(*arguments)
    return y


def check_dtype(name: str, x: Tensor, allowed: tuple[torch.dtype, ...] = FLOATS) -> None:
    """Raise TypeError for numbers that a function has no bits for."""
    if x.dtype not in allowed:
        wanted = " or ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
        raise TypeError(f"exact.{name} takes {wanted}, got {str(x.dtype).removeprefix('torch.')}")


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
    return applied(_Affine, x, weight, bias, positive)


@torch.library.register_fake("rlbench::layers")
def _(x: Tensor, weights: list[Tensor], biases: list[Tensor], keeps: bool) -> Tensor:
    widths = [weight.shape[2] for weight in weights]
    return x.new_empty(x.shape[0], x.shape[1] * (sum(widths) if keeps else widths[-1]))


@torch.library.register_fake("rlbench::layers_backward")
def _(gradient: Tensor, x: Tensor, weights: list[Tensor], kept: Tensor, wants_x: bool) -> tuple[Tensor, Tensor]:
    size = sum((weight.shape[1] + 1) * weight.shape[2] for weight in weights)
    return x.new_empty(len(x), x.shape[1] if wants_x else 0, x.shape[2]), x.new_empty(len(x), size)


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *params: Tensor) -> Tensor:
        weights, biases = list(params[::2]), list(params[1::2])
        kept: Tensor = torch.ops.rlbench.layers(x, weights, biases, True)
        ctx.save_for_backward(x, kept, *weights)
        rows, width = x.shape[1], weights[-1].shape[2]
        return kept[:, kept.shape[1] - rows * width :].unflatten(1, (rows, width))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, kept, *weights = ctx.saved_tensors
        wants_x = ctx.needs_input_grad[0]
        of_x, found = torch.ops.rlbench.layers_backward(gradient, x, weights, kept, wants_x)
        sizes = [size for weight in weights for size in (weight.shape[1] * weight.shape[2], weight.shape[2])]
        of_params = [part.unflatten(1, (-1, weights[i // 2].shape[2])) for i, part in enumerate(found.split(sizes, 1))]
        return of_x if wants_x else None, *of_params


def layers(x: Tensor, params: list[Tensor]) -> Tensor:
    """Affine layers on x [L, R, K] with zeros in place of negative results between them: [L, R, N].

    params: each layer's weight [L, in, out] and bias [L, 1, out]. The same bits as `affine` layer by layer, and faster: a lane goes
    through all layers before the next one begins, in the cache. Differentiable once, in x and params.
    """
    building.load()
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *params)):
        return applied(_Layers, x, *params)
    last: Tensor = torch.ops.rlbench.layers(x, params[::2], params[1::2], False)
    return last.unflatten(1, (x.shape[1], -1))


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        total: Tensor = torch.ops.rlbench.sums(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]))
        return total.view(x.shape[:-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[..., None].expand(ctx.shape)


def sums(x: Tensor) -> Tensor:
    """The sums over the last axis, [..., n] -> [...], float32 or float64. Differentiable once."""
    check_dtype("sums", x)
    if x.dim() == 0:
        raise TypeError("exact.sums takes tensors with an axis, got one number")
    building.load()
    return applied(_Sums, x)


def square_sums(xs: list[Tensor]) -> Tensor:
    """The sum of the squares of all tensors [L, ...] float32, lane by lane, [L]. Not differentiable."""
    building.load()
    total: Tensor = torch.ops.rlbench.square_sums([x.detach() for x in xs])
    return total
