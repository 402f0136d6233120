"""The operators in C++ beside this file in plain PyTorch, to the bit, for machines without a C++ compiler: many times slower.

A fused multiply-add of float32 rounds once. The product of two float32 is exact in float64; its sum with a third is rounded to odd there
(Boldo and Melquiond, 2008), so that the second rounding, to float32, gives what a single one would have given.
"""

import numpy as np
import torch
from torch import Tensor

OPERATORS = (
    "affine",
    "affine_backward",
    "layers",
    "layers_backward",
    "sqrt",
    "sums",
    "square_sums",
    "softmax",
    "shared",
)
PARTS = 32  # partial sums, as in parts.h


def fused(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a * b + c of float32 tensors that broadcast, rounded once."""
    product, addend = a.double() * b.double(), c.double()
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)  # of the addition, exactly (Knuth's two-sum)
    bits = total.view(torch.int64)
    is_even = (bits & 1) == 0
    away = (error > 0) == (total > 0)
    odd = torch.where(away, bits + 1, bits - 1).view(torch.float64)
    return torch.where((error != 0) & is_even & total.isfinite(), odd, total).float()


def _check(t: Tensor, *sizes: int) -> None:
    if t.dtype != torch.float32 or tuple(t.shape) != sizes:
        raise RuntimeError(f"expected {list(sizes)} of float32, got {list(t.shape)} of {t.dtype}")


def _check_layer(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Nothing broadcasts, as in products.cpp."""
    if x.dim() != 3 or weight.dim() != 3:
        raise RuntimeError(f"expected 3 axes, got {list(x.shape)} and {list(weight.shape)}")
    _check(x, *x.shape)
    _check(weight, x.shape[0], x.shape[2], weight.shape[2])
    if bias is not None:
        _check(bias, x.shape[0], 1, weight.shape[2])


def affine(x: Tensor, weight: Tensor, bias: Tensor | None, positive: bool) -> Tensor:
    """x [L, R, K] times weight [L, K, N], from bias [L, 1, N] or 0; with zeros in place of negative results if `positive`."""
    _check_layer(x, weight, bias)
    start = torch.zeros(1) if bias is None else bias
    total = start.expand(x.shape[0], x.shape[1], weight.shape[2])
    for k in range(x.shape[2]):
        total = fused(x[:, :, k : k + 1], weight[:, k : k + 1], total)
    return torch.where(total < 0, 0.0, total) if positive else total.contiguous()


def affine_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, y: Tensor, positive: bool, wants_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The derivatives of `affine` in x (or no rows), weight and bias."""
    _check_layer(x, weight, None)
    _check(gradient, x.shape[0], x.shape[1], weight.shape[2])
    _check(y, *gradient.shape)
    if positive:
        gradient = torch.where(y > 0, gradient, 0.0)
    of_bias = torch.zeros(gradient.shape[0], gradient.shape[2])
    for row in gradient.unbind(1):
        of_bias = of_bias + row
    of_x = affine(gradient, weight.transpose(1, 2), None, False) if wants_x else x.new_empty(len(x), 0, x.shape[2])
    return of_x, affine(x.transpose(1, 2), gradient, None, False), of_bias[:, None]


def layers(x: Tensor, weights: list[Tensor], biases: list[Tensor], keeps: bool) -> Tensor:
    """Affine layers with zeros in place of negative results between them; the outputs of all, or of the last, [L, R * widths]."""
    if not weights or len(weights) != len(biases):
        raise RuntimeError(f"{len(weights)} weights and {len(biases)} biases")
    outputs: list[Tensor] = []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = affine(x, weight, bias, i < len(weights) - 1)
        outputs.append(x.flatten(1))
    return torch.cat(outputs, 1) if keeps else outputs[-1]


def layers_backward(
    gradient: Tensor, x: Tensor, weights: list[Tensor], kept: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    """The derivatives of `layers` in x (or no rows), and in the weights and biases, [L, all of them]."""
    rows = x.shape[1]
    _check(kept, len(x), rows * sum(weight.shape[2] for weight in weights))
    found: list[Tensor] = []
    outputs = [t.unflatten(1, (rows, -1)) for t in kept.split([rows * weight.shape[2] for weight in weights], 1)]
    for i in reversed(range(len(weights))):
        own = outputs[i - 1] if i > 0 else x
        wanted = i > 0 or wants_x
        gradient, *of = affine_backward(gradient, own, weights[i], outputs[i], i < len(weights) - 1, wanted)
        found = [t.flatten(1) for t in of] + found
    return gradient, torch.cat(found, 1)


def sqrt(x: Tensor) -> Tensor:
    """Square roots as NumPy has them: the CPU's, rounded exactly."""
    return torch.from_numpy(np.sqrt(x.numpy()))


def _in_halves(part: Tensor) -> Tensor:
    """part [..., 32] -> [...]."""
    while part.shape[-1] > 1:
        part = part[..., : part.shape[-1] // 2] + part[..., part.shape[-1] // 2 :]
    return part[..., 0]


def _by_parts(x: Tensor) -> Tensor:
    """x [R, n] -> [R, rows, 32], filled up with zeros, which change no sum."""
    return torch.nn.functional.pad(x, (0, -x.shape[1] % PARTS)).unflatten(1, (-1, PARTS))


def sums(x: Tensor) -> Tensor:
    """The sums of rows, x [R, n] -> [R]."""
    part = x.new_zeros(len(x), PARTS)
    for row in _by_parts(x).unbind(1):
        part = part + row
    return _in_halves(part)


def square_sums(xs: list[Tensor]) -> Tensor:
    """The sum of the squares of each lane over all tensors [L, ...] -> [L]."""
    part = xs[0].new_zeros(len(xs[0]), PARTS)
    for x in xs:
        _check(x, len(part), *x.shape[1:])
        for row in _by_parts(x.flatten(1)).unbind(1):
            part = fused(row, row, part)
    return _in_halves(part)


RAISED = (  # coefficients of the exponential in softmax.cpp, from the inside
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
WHOLE = 12582912.0  # 1.5 * 2**23: added to a whole number, it leaves that number in the lowest bits


def softmax(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of rows x [R, N]: their softmax, and the sum of exp(x - largest) and the largest of each row, as in softmax.cpp."""
    if x.dim() != 2 or x.shape[1] == 0 or x.dtype != torch.float32:
        raise RuntimeError(f"softmax of {list(x.shape)} of {x.dtype}")
    largest = torch.where(x.isnan(), -torch.inf, x).amax(1)
    x = x - largest[:, None]
    shifted = x * 1.44269504088896341 + WHOLE
    k = shifted - WHOLE
    r = (x - k * 0.693359375) - k * -2.12194440e-4
    p = torch.full_like(r, RAISED[0])
    for coefficient in RAISED[1:]:
        p = p * r + coefficient
    power = ((shifted.view(torch.int32) + 127) << 23).view(torch.float32)
    raised = torch.where(x < -87.0, 0.0, ((p * (r * r) + r) + 1.0) * power)
    total = sums(raised)
    return raised / total[:, None], total, largest


def shared(mass: Tensor, place: Tensor) -> Tensor:
    """Mass [R, N] at places [R, N], as in projection.cpp."""
    if mass.dim() != 2 or mass.shape != place.shape or mass.shape[1] == 0:
        raise RuntimeError(f"mass of {list(mass.shape)} at {list(place.shape)}")
    if mass.dtype != torch.float32 or place.dtype != torch.float32:
        raise RuntimeError(f"mass of {mass.dtype} at {place.dtype}")
    inside = place.clamp(0, mass.shape[1] - 1).nan_to_num()
    below, rows = inside.floor(), torch.arange(len(mass))
    share, index = inside - below, below.long()
    out = torch.zeros_like(mass)
    for i in range(mass.shape[1]):  # one of each row at a time: masses are added in their order
        out[rows, index[:, i]] += mass[:, i] * (1 - share[:, i])
        above = (index[:, i] + 1).clamp(max=mass.shape[1] - 1)
        out[rows, above] += torch.where(share[:, i] > 0, mass[:, i] * share[:, i], 0.0)
    out[place.isnan().any(1), 0] = torch.nan
    return out
