"""Returns: how many stored steps a transition is made of when a minibatch is read."""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Returns
from rlbench.lanes.choices.choice import structural


@dataclasses.dataclass(frozen=True)
class OneStep(Returns):
    """A transition is one stored step."""

    kind: ClassVar[str] = "one_step"

    def transition(self, steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The step."""
        return steps[0]


@dataclasses.dataclass(frozen=True)
class NStep(Returns):
    """A transition is up to `steps` stored ones, fewer where an episode ends: from where they begin to where the last of them leads, with
    the sum of their discounted rewards (Sutton and Barto, 2018, section 7.1; without correction for the policy, as in Rainbow).

    After a termination nothing is bootstrapped; after a truncation the last observation of the episode is.
    """

    kind: ClassVar[str] = "n_step"
    columns: ClassVar[tuple[str, ...]] = ("is_last",)
    steps: int = structural(3, "stored steps of a transition, fewer at an episode's end", ">= 1")

    @property
    def num_steps(self) -> int:
        """Stored steps of a transition."""
        return self.steps

    def transition(self, steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """One step after the other, as long as the episode of the first goes on."""
        found = dict(steps[0])
        for step in steps[1:]:
            goes_on = found["is_last"] == 0
            reward = found["reward"] + found["discount_t"] * step["reward"]
            found["reward"] = torch.where(goes_on, reward, found["reward"])
            found["discount_t"] = torch.where(goes_on, found["discount_t"] * step["discount_t"], found["discount_t"])
            wide = goes_on.view(*goes_on.shape, *[1] * (found["obs_t"].dim() - 2))
            found["obs_t"] = torch.where(wide, step["obs_t"], found["obs_t"])
            found["is_last"] = torch.where(goes_on, step["is_last"], found["is_last"])
        return found
