"""Exploration schedules: `epsilon(n)`, the probability of a uniform random action after n earlier actions.

`n` is a float64 tensor [lanes, steps]; the numbers are tensors [lanes, 1]. Computed ahead for a block of steps, lane by lane in rows.
"""

import dataclasses
from typing import ClassVar, Self

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Exploration
from rlbench.lanes.choices.choice import number, with_length_in_steps


@dataclasses.dataclass(frozen=True)
class Constant(Exploration):
    """The same epsilon throughout."""

    kind: ClassVar[str] = "constant"
    precise: ClassVar[bool] = True
    value: float = number(0.1, "probability of a random action", "0 <= x <= 1")

    @property
    def lasting(self) -> float:
        """`value`."""
        return self.value

    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] -> epsilon [L, K]."""
        return torch.zeros_like(n) + self.value


@dataclasses.dataclass(frozen=True)
class Linear(Exploration):
    """From `start` to `end` in a straight line over `decay_steps` actions, then `end`."""

    kind: ClassVar[str] = "linear"
    small_fields: ClassVar = {"decay_fraction": None, "decay_steps": 60}
    precise: ClassVar[bool] = True
    start: float = number(1.0, "epsilon of the first action", "0 <= x <= 1")
    end: float = number(0.05, "epsilon after the decay", "0 <= x <= 1")
    decay_fraction: float | None = number(0.2, "length of the decay as a fraction of the budget in steps", "0 < x <= 1")
    decay_steps: int | None = number(None, "length of the decay in steps; replaces decay_fraction", ">= 1")

    @property
    def lasting(self) -> float:
        """`end`."""
        return self.end

    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] -> epsilon [L, K]."""
        assert self.decay_steps is not None
        share = (n / self.decay_steps).clamp(max=1.0)
        return self.start + (self.end - self.start) * share

    def resolved(self, budget_steps: int | None) -> Self:
        """With `decay_steps` written out; ConfigError when the budget is in episodes and only a fraction is given."""
        return with_length_in_steps(self, "exploration", "decay", budget_steps)


@dataclasses.dataclass(frozen=True)
class Exponential(Exploration):
    """end + (start - end) * exp(-n / decay_steps)."""

    kind: ClassVar[str] = "exponential"
    small_fields: ClassVar = {"decay_steps": 40.0}
    precise: ClassVar[bool] = True
    start: float = number(0.9, "epsilon of the first action", "0 <= x <= 1")
    end: float = number(0.05, "epsilon in the limit", "0 <= x <= 1")
    decay_steps: float = number(1000.0, "actions in which the distance to the end falls to 1/e", "> 0")

    @property
    def lasting(self) -> float:
        """`end`."""
        return self.end

    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] -> epsilon [L, K]."""
        return self.end + (self.start - self.end) * exact.exp(-n / self.decay_steps)


@dataclasses.dataclass(frozen=True)
class Multiplicative(Exploration):
    """Multiplied by `factor` with every action, never below `floor`: max(floor, start * factor**n)."""

    kind: ClassVar[str] = "multiplicative"
    small_fields: ClassVar = {"factor": 0.98}
    precise: ClassVar[bool] = True
    start: float = number(1.0, "epsilon of the first action", "0 <= x <= 1")
    factor: float = number(0.995, "factor per action", "0 < x <= 1")
    floor: float = number(0.01, "smallest epsilon", "0 <= x <= 1")
    before_draw: bool = number(
        False, "whether the factor is applied before a draw already, not only after it", later=True
    )

    @property
    def lasting(self) -> float:
        """`floor`."""
        return self.floor

    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] -> epsilon [L, K]."""
        decayed = self.start * exact.power(torch.as_tensor(self.factor, dtype=torch.float64), n + self.before_draw)
        return torch.maximum(decayed, torch.zeros_like(decayed) + self.floor)
