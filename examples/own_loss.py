"""A loss of one's own: log cosh, quadratic near zero and linear far from it, like Huber's but smooth.

python -m rlbench.run variant=hard_mse loss=own_loss:LogCosh loss.scale=2 seeds=10        (in this folder)
"""

import dataclasses

from torch import Tensor

import rlbench
from rlbench import exact

LN2 = 0.6931471805599453  # a literal: what math.log or torch gives may differ from machine to machine


@dataclasses.dataclass(frozen=True)
class LogCosh(rlbench.Loss):
    """scale**2 * log(cosh(error / scale))."""

    scale: float = rlbench.number(1.0, "error at which the loss goes over from quadratic to linear", "> 0")

    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, B] -> loss [L, B]."""
        size = (td_error / self.scale).abs()
        # log(cosh(x)) without overflow: cosh(x) = exp(|x|) * (1 + exp(-2|x|)) / 2.
        return self.scale * self.scale * (size + exact.log(1 + exact.exp(-2 * size)) - LN2)
