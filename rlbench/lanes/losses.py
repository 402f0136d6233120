"""Losses on the temporal-difference error of the taken action: `loss(td_error)` elementwise, averaged over the minibatch by the update."""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.bases import Loss
from rlbench.lanes.choice import number


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
