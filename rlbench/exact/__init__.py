"""Arithmetic with the same bits on every CPU, eager and compiled, for any number of lanes: what the engine and everybody's own choices use.

Beside these functions, an operation may be used that IEEE 754 rounds exactly or that does not round: `operations` lists them.
Knows nothing of reinforcement learning.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlbench.exact.functions import (
        cosine,
        exp,
        kept,
        lerp,
        log,
        pick,
        power,
        sine,
        sine_cosine,
        spread,
        sqrt,
        tanh,
    )
    from rlbench.exact.gaussian import normals
    from rlbench.exact.probabilities import log_sum_exp, softmax
    from rlbench.exact.products import affine, layers, square_sums, sums
    from rlbench.exact.projection import shared

__all__ = [
    "affine",
    "cosine",
    "exp",
    "kept",
    "layers",
    "lerp",
    "log",
    "log_sum_exp",
    "normals",
    "pick",
    "power",
    "shared",
    "sine",
    "sine_cosine",
    "softmax",
    "spread",
    "sqrt",
    "square_sums",
    "sums",
    "tanh",
]

_HOMES = {
    "normals": "gaussian",
    "shared": "projection",
    "softmax": "probabilities",
    "log_sum_exp": "probabilities",
} | dict.fromkeys(("affine", "layers", "square_sums", "sums"), "products")


def __getattr__(name: str) -> Any:
    """Imported when first asked for: the functions are made of torch, and a choice that uses them is a setting too."""
    if name not in __all__:
        raise AttributeError(f"module 'rlbench.exact' has no attribute {name!r}")
    home = importlib.import_module(f"rlbench.exact.{_HOMES.get(name, 'functions')}")
    globals()[name] = found = getattr(home, name)
    return found
