"""Parts of networks beside products: dueling heads, noise in weights, layer normalisation; each in tensors of lanes and as a plain module.

In go tensors [lanes, ...]; lanes do not mix. Sums are exact, forwards and in derivatives.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlbench import exact
from rlbench.exact.products import applied

NORM_EPS = 1e-5  # that of nn.LayerNorm


class _Dueling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, advantage: Tensor, value: Tensor) -> Tensor:
        return advantage + (value - _total(advantage) / advantage.shape[-2])[..., None, :]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        total = _total(gradient)
        return gradient - (total / gradient.shape[-2])[..., None, :], total


def _total(x: Tensor) -> Tensor:
    """The sum over actions, x [..., A, W] -> [..., W], one by one: few, and in an order of their own."""
    first, *others = x.unbind(-2)
    return sum(others, first)


def dueling(advantage: Tensor, value: Tensor) -> Tensor:
    """advantage [..., A * W] and value [..., W] -> outputs [..., A * W]: value + advantage - its mean over actions (Wang et al., 2016,
    equation 9)."""
    width = value.shape[-1]
    return applied(_Dueling, advantage.unflatten(-1, (-1, width)), value).flatten(-2)


def factor(normals: Tensor) -> Tensor:
    """f(x) = sign(x) sqrt(abs(x)) of the factors of a layer's noise (Fortunato et al., 2018, equation 11)."""
    return normals.sign() * exact.sqrt(normals.abs())


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        centred = x - (exact.sums(x) / x.shape[-1])[..., None]
        variance = exact.sums(centred * centred) / x.shape[-1]
        scale = (1.0 / exact.sqrt(variance + NORM_EPS))[..., None]
        normed = centred * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normed, scale, weight = ctx.saved_tensors
        inner = gradient * weight
        mean, along = (exact.sums(t)[..., None] / normed.shape[-1] for t in (inner, inner * normed))
        of_weight, of_bias = (exact.sums(t.transpose(1, 2))[:, None] for t in (gradient * normed, gradient))
        return scale * (inner - mean - normed * along), of_weight, of_bias


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [L, B, U] normalised over its units, times weight [L, 1, U], plus bias [L, 1, U] (Ba et al., 2016)."""
    return applied(_LayerNorm, x, weight, bias)


class Dueling(nn.Module):
    """The plain module of a dueling head: features [N, K] -> outputs [N, A * W]."""

    def __init__(self, advantage: nn.Module, value: nn.Module, width: int) -> None:
        super().__init__()
        self.advantage, self.value, self.width = advantage, value, width

    def forward(self, x: Tensor) -> Tensor:
        """Value + advantage - its mean over actions."""
        advantage = self.advantage(x).unflatten(-1, (-1, self.width))
        return (self.value(x)[..., None, :] + advantage - advantage.mean(-2, keepdim=True)).flatten(-2)


class NoisyLinear(nn.Linear):
    """The plain module of a layer with noise in its weights. It has none, the means alone, until `noise` is given: the factors of inputs
    [in] and of outputs [out]."""

    noise: tuple[Tensor, Tensor] | None = None

    def __init__(self, fan_in: int, fan_out: int, sigma0: float) -> None:
        super().__init__(fan_in, fan_out)
        sigma = sigma0 / math.sqrt(fan_in)
        self.weight_sigma, self.bias_sigma = (nn.Parameter(torch.full_like(p, sigma)) for p in (self.weight, self.bias))

    def forward(self, x: Tensor) -> Tensor:
        """An affine layer with the weights of now."""
        if self.noise is None:
            return F.linear(x, self.weight, self.bias)
        of_in, of_out = self.noise
        weight = self.weight + self.weight_sigma * of_out[:, None] * of_in[None]
        return F.linear(x, weight, self.bias + self.bias_sigma * of_out)


class Scaled(nn.Module):
    """The plain module of observations scaled to [-1, 1] by bounds."""

    def __init__(self, low: tuple[float, ...], high: tuple[float, ...]) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, obs: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return scaled(obs, self.low, self.high)


def scaled(obs: Tensor, low: tuple[float, ...], high: tuple[float, ...]) -> Tensor:
    """Observations [..., D], of which `low` becomes -1 and `high` 1; what lies outside stays outside."""
    begin, end = torch.tensor(low), torch.tensor(high)
    return 2.0 * ((obs - begin) / (end - begin)) - 1.0
