"""Arithmetic with the same bits on every CPU, eager and compiled, for any number of lanes: what the engine and everybody's own choices use.

Beside these functions, an operation may be used that IEEE 754 rounds exactly or that does not round: `operations` lists them.
Knows nothing of reinforcement learning.
"""

from rlbench.exact.functions import (
    cosine,
    exp,
    kept,
    lerp,
    log,
    log_sum_exp,
    pick,
    power,
    sine,
    sine_cosine,
    softmax,
    sqrt,
    tanh,
)
from rlbench.exact.products import affine, layers, square_sums, sums

__all__ = [
    "affine",
    "cosine",
    "exp",
    "kept",
    "layers",
    "lerp",
    "log",
    "log_sum_exp",
    "pick",
    "power",
    "sine",
    "sine_cosine",
    "softmax",
    "sqrt",
    "square_sums",
    "sums",
    "tanh",
]
