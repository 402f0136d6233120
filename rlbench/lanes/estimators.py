"""Estimators: what the outputs of a network mean. The rest of the engine acts on `values` and learns by `goal` and `losses`."""

import dataclasses
from typing import ClassVar

from rlbench import exact
from rlbench.deferred import Tensor
from rlbench.lanes.bases import Estimator, Loss, Minibatch


@dataclasses.dataclass(frozen=True)
class Scalar(Estimator):
    """One number for each action, its expected discounted return."""

    kind: ClassVar[str] = "scalar"

    def values(self, outputs: Tensor) -> Tensor:
        """The outputs [..., A] are the values."""
        return outputs

    def goal(self, batch: Minibatch, outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """Reward and discounted value of the next action, [L, B]."""
        return batch.r_t + batch.discount_t * exact.pick(outputs_t, a_t)

    def losses(self, loss: Loss, outputs_tm1: Tensor, a_tm1: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the temporal-difference error, and the error."""
        td_error = exact.pick(outputs_tm1, a_tm1) - goal
        return loss(td_error), td_error
