"""Sine and cosine of float64 tensors whose bits do not depend on how a loop over the elements is vectorised.

In: angles in radians. Out: values within 2e-16 of the true ones for |x| up to 1.6e6 (2**20 quarter turns), worse above.
Only operations that IEEE 754 rounds exactly are used (+ - *, round, floor, comparisons, where): a library's sine may
round differently in a vector loop and in its scalar tail, and then a lane's bits would depend on how many there are.
Must never call torch.sin, torch.cos or any other transcendental function.

Method and coefficients: fdlibm (Sun Microsystems, 1993), e_rem_pio2.c, k_sin.c and k_cos.c.
"""

import torch
from torch import Tensor

TWO_OVER_PI = 6.36619772367581382433e-01
# pi/2 in two parts. The high one has 33 significant bits, so that its product with a whole number below 2**20 is exact.
PI_OVER_2_HIGH = 1.57079632673412561417e00
PI_OVER_2_LOW = 6.07710050650619224932e-11

S1 = -1.66666666666666324348e-01
S2 = 8.33333333332248946124e-03
S3 = -1.98412698298579493134e-04
S4 = 2.75573137070700676789e-06
S5 = -2.50507602534068634195e-08
S6 = 1.58969099521155010221e-10

C1 = 4.16666666666666019037e-02
C2 = -1.38888888888741095749e-03
C3 = 2.48015872894767294178e-05
C4 = -2.75573143513906633035e-07
C5 = 2.08757232129817482790e-09
C6 = -1.13596475577881948265e-11


def sine_cosine(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return sine and cosine of `x` [...] float64 in radians, sharing the reduction of the angle."""
    # The angle is quarter_turns * pi/2 + y with |y| <= pi/4.
    quarter_turns = torch.round(x * TWO_OVER_PI)
    y = (x - quarter_turns * PI_OVER_2_HIGH) - quarter_turns * PI_OVER_2_LOW
    # Changes no value: it makes the compiler keep `y` in memory rather than write its expression out at each use.
    # Compiling Acrobot's step takes 15 s with it, 28 s without.
    y = y.as_strided(y.shape, y.stride())
    z = y * y
    sine_y = y + y * (z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * (S5 + z * S6))))))
    cosine_y = 1.0 - z * (0.5 - z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6))))))

    half_turns = 0.5 * quarter_turns
    is_odd = torch.floor(half_turns) != half_turns
    quadrant = quarter_turns - 4.0 * torch.floor(0.25 * quarter_turns)
    sine_sign = 1.0 - 2.0 * torch.floor(0.5 * quadrant)  # 1, 1, -1, -1 in quadrants 0 to 3
    cosine_sign = 2.0 * torch.abs(quadrant - 1.5) - 2.0  # 1, -1, -1, 1
    return sine_sign * torch.where(is_odd, cosine_y, sine_y), cosine_sign * torch.where(is_odd, sine_y, cosine_y)


def sine(x: Tensor) -> Tensor:
    """Return the sine of `x` [...] float64 in radians."""
    return sine_cosine(x)[0]


def cosine(x: Tensor) -> Tensor:
    """Return the cosine of `x` [...] float64 in radians."""
    return sine_cosine(x)[1]
