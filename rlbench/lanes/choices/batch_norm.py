"""Batch norm and ReLU of one lane, written for few passes over memory: torch.nn.BatchNorm2d, then torch.relu.

Activations lie in the order [B, rows, columns, channels], so that every pass runs through memory once and channels fill vectors.
Sums go over the places of an image first and over images then: an image stays in the cache between its channels' sums.
What is computed for each channel is stacked, so that the compiler stores it and does not compute it again for each place.
"""

from typing import Any

import torch
from torch import Tensor

from rlbench import exact

NORM_EPS = 1e-5
NORM_MOMENTUM = 0.1


def folded(
    weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Weight [out, in, k, k] and bias [1, out] of a convolution that norms by running statistics too; the rest is [1, out]."""
    scale = norm_weight / exact.sqrt(variance + NORM_EPS)
    return weight * scale.view(-1, 1, 1, 1), (bias - mean) * scale + norm_bias


def running(statistics: tuple[Tensor, Tensor], mean: Tensor, variance: Tensor, count: int) -> list[Tensor]:
    """The running mean and variance [1, C] after a minibatch with this mean and biased variance [1, C] of `count` numbers."""
    found = mean, variance * (count / (count - 1))
    return [
        exact.lerp(old, new.detach(), old.new_tensor(NORM_MOMENTUM)) for old, new in zip(statistics, found, strict=True)
    ]


class NormAndReLU(torch.autograd.Function):
    """(x [B, C, rows, columns], weight [1, C], bias [1, C]) -> the same shape, with the mean and biased variance [1, C] of x.

    Differentiable once, in x, weight and bias; mean and variance are for the running statistics only. A constant added to a channel of x
    changes nothing, so that the convolution ahead has no use for its bias here, and its gradient is zero.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = x.permute(0, 2, 3, 1)
        count = x.numel() // x.shape[3]
        mean = _channel_sums(x) / count
        centred = x - mean
        variance = _channel_sums(centred * centred) / count
        scale, shift = torch.stack([weight / exact.sqrt(variance + NORM_EPS), bias])
        y = torch.relu(centred * scale + shift)
        return y.permute(0, 3, 1, 2), mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x, weight, _ = inputs
        y, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(x, weight, y, mean, variance)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight, y, mean, variance = ctx.saved_tensors
        gradient = torch.where(y > 0, gradient, 0.0).permute(0, 2, 3, 1)
        centred = x.permute(0, 2, 3, 1) - mean
        count = x.numel() // x.shape[1]
        inverse = 1 / exact.sqrt(variance + NORM_EPS)
        of_bias, of_weight = _channel_sums(gradient), _channel_sums(gradient * centred) * inverse
        scale, slope, shift = torch.stack(
            [weight * inverse, of_weight * weight * inverse * inverse / count, of_bias * weight * inverse / count]
        )
        of_x = gradient * scale - centred * slope - shift
        return of_x.permute(0, 3, 1, 2), of_weight, of_bias


def _channel_sums(x: Tensor) -> Tensor:
    """x [B, rows, columns, C] -> [1, C]."""
    return x.sum((1, 2)).sum(0, keepdim=True)
