"""Target rules: when and how far the target network moves towards the online network.

Hard and soft are one rule: every `every` steps, updates or episodes, target = lerp(target, online, tau). Hard is tau 1, soft is every 1.
"""

import dataclasses
from typing import ClassVar

from rlbench.lanes.bases import Target
from rlbench.lanes.choice import number, structural


@dataclasses.dataclass(frozen=True)
class Periodic(Target):
    """Move the target by the fraction `tau` once every `every` of `unit`."""

    kind: ClassVar[str] = "periodic"
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


@dataclasses.dataclass(frozen=True)
class NoTarget(Target):
    """No target network: the online network, cut from the gradient graph, is its own target."""

    kind: ClassVar[str] = "none"
