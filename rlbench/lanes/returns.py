"""Returns: how many stored steps a transition is made of when a minibatch is read."""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor
from rlbench.lanes.bases import Returns


@dataclasses.dataclass(frozen=True)
class OneStep(Returns):
    """A transition is one stored step."""

    kind: ClassVar[str] = "one_step"

    def transition(self, steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The step."""
        return steps[0]
