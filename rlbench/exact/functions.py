"""Elementary functions from operations that IEEE 754 rounds exactly: + - * /, roundings, comparisons, and bits of numbers.

A library's exp or sine rounds differently in a vector loop and in its tail, on another CPU, and in compiled code. These have the same bits
everywhere. float32 goes through float64 and back, so that results are the nearest float32 but for rare ties; float64 is within 1 unit in
the last place. All are differentiable once, by torch.autograd, not by torch.func. Other types are a TypeError.

Methods and coefficients: fdlibm (Sun Microsystems, 1993), e_exp.c, e_log.c, e_rem_pio2.c, k_sin.c and k_cos.c.
"""

from typing import Any

import torch
from torch import Tensor

from rlbench.exact import building
from rlbench.exact.products import applied, check_dtype, sums

# ln 2 in two parts. The high one has trailing zeros, so that its product with a small whole number is exact.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOG2_E = 1.44269504088896338700e00
EXP = (1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05, -1.65339022054652515390e-06,
       4.13813679705723846039e-08)  # fmt: skip
LOG = (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
       1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01)  # fmt: skip
ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
TWO_OVER_PI = 6.36619772367581382433e-01
# pi/2 in two parts. The high one has 33 significant bits, so that its product with a whole number below 2**20 is exact.
PI_OVER_2_HIGH = 1.57079632673412561417e00
PI_OVER_2_LOW = 6.07710050650619224932e-11
SINE = (-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
        -2.50507602534068634195e-08, 1.58969099521155010221e-10)  # fmt: skip
COSINE = (4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05, -2.75573143513906633035e-07,
          2.08757232129817482790e-09, -1.13596475577881948265e-11)  # fmt: skip


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """c0 + x (c1 + x (c2 + ...)), from the inside."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = coefficient + x * value
    return value


# Added to a whole number below 2**51, it leaves that number in the lowest bits: vectors of AVX2 have no conversion between the two types.
WHOLE = 6755399441055744.0  # 1.5 * 2**52
WHOLE_BITS = 0x4338000000000000


def _power_of_two(k: Tensor) -> Tensor:
    """2**k of whole numbers k [...] float64 from -1022 to 1023."""
    return ((k + (WHOLE + 1023)).view(torch.int64) << 52).view(torch.float64)


def _exp(x: Tensor) -> Tensor:
    x = x.clamp(-746.0, 710.0)  # beyond, the result is 0 or infinite
    k = torch.round(x * LOG2_E)
    high, low = x - k * LN2_HIGH, k * LN2_LOW
    r = high - low
    t = r * r
    c = r - t * _polynomial(t, EXP)
    value = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    half = torch.floor(0.5 * k)
    return value * _power_of_two(half) * _power_of_two(k - half)


def _log(x: Tensor) -> Tensor:
    bits = x.view(torch.int64)
    k = (bits - ROOT_HALF_BITS) >> 52
    f = (bits - (k << 52)).view(torch.float64) - 1.0  # x = 2**k (1 + f), 1 + f between the roots of 1/2 and 2
    power = (k + WHOLE_BITS).view(torch.float64) - WHOLE
    s = f / (2.0 + f)
    z = s * s
    rest = z * _polynomial(z, LOG)
    square = 0.5 * f * f
    value = power * LN2_HIGH - ((square - (s * (square + rest) + power * LN2_LOW)) - f)
    value = torch.where(x == torch.inf, torch.inf, value)
    value = torch.where(x < torch.finfo(torch.float64).tiny, -torch.inf, value)
    return torch.where((x < 0) | x.isnan(), torch.nan, value)


def _in_double(function: Any, x: Tensor) -> Tensor:
    value: Tensor = function(x.double()).to(x.dtype)
    return value


class _Sqrt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.rlbench.sqrt(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient / (2 * y)


class _Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _in_double(_exp, x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * y


class _Log(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _in_double(_log, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient / x


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clamp(-7.90531110763549805, 7.90531110763549805)
        square = x * x
        # Odd rational minimax approximation of degree 13/6 (the one of Eigen and XLA).
        top = x * _polynomial(square, (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
                                       -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16))  # fmt: skip
        bottom = (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)
        y = top / _polynomial(square, bottom)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * (1 - y * y)


def sqrt(x: Tensor) -> Tensor:
    """The square root elementwise, float32 or float64, rounded exactly; one in five float32 of torch.sqrt is not."""
    check_dtype("sqrt", x)
    building.load()
    return applied(_Sqrt, x)


def exp(x: Tensor) -> Tensor:
    """e**x elementwise, float32 or float64."""
    check_dtype("exp", x)
    return applied(_Exp, x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm elementwise, float32 or float64: -inf at 0, not a number below."""
    check_dtype("log", x)
    return applied(_Log, x)


def power(base: Tensor, exponent: Tensor) -> Tensor:
    """base**exponent elementwise, float64: exp(exponent log(base)); 1 where the exponent is 0, not a number for other bases below 0."""
    return torch.where(exponent == 0, 1.0, exp(exponent * log(base)))


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent elementwise, float32, within a few units in the last place."""
    check_dtype("tanh", x, (torch.float32,))
    return applied(_Tanh, x)


def kept(x: Tensor) -> Tensor:
    """The same numbers. A compiler keeps them in memory, rather than compute them again for each element of what they are used for."""
    return x.as_strided(x.shape, x.stride())


def sine_cosine(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of x [...] float64 in radians: within 2e-16 for `abs(x)` up to 1.6e6 (2**20 quarter turns), worse above.

    They share the reduction of the angle. Not differentiable; `sine` and `cosine` are. float32 is computed in float32, within 1e-7 for
    |x| up to 1, worse above: 3.0 is off by 8e-8, in a sine of 0.14.
    """
    check_dtype("sine and cosine", x)
    # The angle is quarter_turns * pi/2 + y with |y| <= pi/4.
    quarter_turns = torch.round(x * TWO_OVER_PI)
    y = (x - quarter_turns * PI_OVER_2_HIGH) - quarter_turns * PI_OVER_2_LOW
    y = kept(y)  # compiling Acrobot's step takes 15 s with it, 28 s without
    z = y * y
    sine_y = y + y * (z * _polynomial(z, SINE))
    cosine_y = 1.0 - z * (0.5 - z * _polynomial(z, COSINE))

    half_turns = 0.5 * quarter_turns
    is_odd = torch.floor(half_turns) != half_turns
    quadrant = quarter_turns - 4.0 * torch.floor(0.25 * quarter_turns)
    sine_sign = 1.0 - 2.0 * torch.floor(0.5 * quadrant)  # 1, 1, -1, -1 in quadrants 0 to 3
    cosine_sign = 2.0 * torch.abs(quadrant - 1.5) - 2.0  # 1, -1, -1, 1
    return sine_sign * torch.where(is_odd, cosine_y, sine_y), cosine_sign * torch.where(is_odd, sine_y, cosine_y)


class _Sine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        found, ctx.slope = sine_cosine(x)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.slope


class _Cosine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.slope, found = sine_cosine(x)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient * ctx.slope


def sine(x: Tensor) -> Tensor:
    """The sine of x [...] float64 in radians; see `sine_cosine`."""
    return applied(_Sine, x)


def cosine(x: Tensor) -> Tensor:
    """The cosine of x [...] float64 in radians; see `sine_cosine`."""
    return applied(_Cosine, x)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.size = x.shape[-1]
        return kept(x.gather(-1, index[..., None])[..., 0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return torch.where(torch.arange(ctx.size) == index[..., None], gradient[..., None], 0.0), None


def pick(x: Tensor, index: Tensor) -> Tensor:
    """The element of the last axis at index [...] int64, x [..., n] -> [...]; its derivative adds nothing up."""
    return applied(_Pick, x, index)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int) -> Tensor:
        return x[..., None].expand(*x.shape, size).clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return sums(gradient), None


def spread(x: Tensor, size: int) -> Tensor:
    """Every number `size` times along a new last axis, [...] -> [..., size]. Its derivative is `sums`; that of an operation which stretches
    an axis by itself adds up in an order that may differ elsewhere."""
    check_dtype("spread", x)
    return applied(_Spread, x, size)


def lerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """start + weight (end - start), which is `start` at 0 and `end` at 1, to the bit."""
    return torch.where(weight == 0, start, torch.where(weight == 1, end, start + weight * (end - start)))
