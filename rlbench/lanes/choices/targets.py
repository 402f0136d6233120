"""Target rules: when and how far the target network moves towards the online network.

Hard and soft are one rule: every `every` steps, updates or episodes, target = lerp(target, online, tau). Hard is tau 1, soft is every 1.
"""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Target
from rlbench.lanes.choices.choice import number, structural


@dataclasses.dataclass(frozen=True)
class Periodic(Target):
    """Move the target by the fraction `tau` once every `every` of `unit`."""

    kind: ClassVar[str] = "periodic"
    small_fields: ClassVar = {"every": 9}
    precise: ClassVar[bool] = True
    every: int = number(250, "how many of `unit` between two moves of the target", ">= 1")
    tau: float = number(1.0, "how far the target moves: 1 copies (hard), less averages (soft)", "0 < x <= 1")
    unit: str = structural(
        "updates",
        "what `every` counts; losses are loss evaluations, those of validation steps included",
        allowed=("steps", "updates", "episodes", "losses"),
    )
    offset: int = structural(0, "how many of `unit` pass before the first of these periods begins", ">= 0", later=True)

    @property
    def moves_after_updates(self) -> bool:
        """Whether the rule counts what only an update (or a validation) changes."""
        return self.unit in ("updates", "losses")

    def count(self, counters: dict[str, Tensor]) -> Tensor:
        """Steps, updates, episodes, or losses: updates and, where there are validations, their steps."""
        if self.unit != "losses":
            return counters["env_steps" if self.unit == "steps" else self.unit]
        updates = counters["updates"]
        return updates + counters["validation_steps"] if "validation_steps" in counters else updates

    def is_due(self, count: Tensor) -> Tensor:
        """At multiples of `every` from `offset` on."""
        if self.offset == 0:
            return is_multiple(count, self.every)
        return is_multiple(count - self.offset, self.every) & (count >= self.offset)

    def crossed(self, before: Tensor, after: Tensor) -> Tensor:
        """Multiples of `every` above `before` and up to `after`."""
        every = torch.as_tensor(self.every)[:, 0]
        first, last = ((count - self.offset) / every for count in (before, after))
        return torch.floor(last).clamp(min=-1) - torch.floor(first).clamp(min=-1)


@dataclasses.dataclass(frozen=True)
class NoTarget(Target):
    """No target network: the online network, cut from the gradient graph, is its own target."""

    kind: ClassVar[str] = "none"
    keeps_network: ClassVar[bool] = False


def is_multiple(count: Tensor, every: float | Tensor) -> Tensor:
    """Whether count [L] int64 is a multiple of every [L, 1] float64.

    In float64, exact for counts below 2**53: the compiler's vectorised integer remainder divides by zero in its masked tail.
    """
    period = torch.as_tensor(every)[:, 0]
    return torch.floor(count / period) * period == count
