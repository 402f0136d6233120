"""Losses on the temporal-difference error of the taken action: `loss(td_error)` elementwise, averaged over the minibatch by the update.

One is of probabilities instead, for the estimator whose outputs are such.
"""

import dataclasses
from typing import Any, ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Loss
from rlbench.lanes.choices.choice import number


@dataclasses.dataclass(frozen=True)
class Squared(Loss):
    """Mean squared error: td_error**2, as torch.nn.MSELoss."""

    kind: ClassVar[str] = "mse"

    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, B] -> loss [L, B]."""
        return td_error * td_error


@dataclasses.dataclass(frozen=True)
class Huber(Loss):
    """Huber loss, as torch.nn.HuberLoss: quadratic up to `delta`, linear beyond (Huber, 1964)."""

    kind: ClassVar[str] = "huber"
    delta: float = number(1.0, "error from which the loss is linear", "> 0")

    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, B] -> loss [L, B]."""
        size = td_error.abs()
        return torch.where(size <= self.delta, 0.5 * td_error * td_error, self.delta * (size - 0.5 * self.delta))


@dataclasses.dataclass(frozen=True)
class CrossEntropy(Loss):
    """Minus the logarithm of a predicted probability, which the estimator weighs by the wanted one."""

    kind: ClassVar[str] = "cross_entropy"
    takes: ClassVar[str] = "log_probabilities"
    floor: float = number(0.0, "probabilities count as at least this far from 0 and from 1", "0 <= x < 0.5")

    def __call__(self, log_probability: Tensor) -> Tensor:
        """log_probability [L, K] -> loss [L, K]; flat beyond the floor."""
        floor = torch.as_tensor(self.floor)
        return -log_probability.clamp(exact.log(floor), exact.log(1 - floor))

    def refused_beside(self, variant: Any) -> str | None:
        """It needs an estimator whose outputs are probabilities."""
        if variant.estimator.gives == self.takes:
            return None
        return (
            f"loss=cross_entropy is a loss of probabilities: give estimator=c51; got estimator={variant.estimator.kind}"
        )
