"""What a study maximises: one number from the evaluation curves of a trial's seeds.

In: curves, one a seed, each the mean returns of its evaluation points so far. Out: a number a seed, and one over seeds. Pure functions.
"""

import dataclasses
import math
from collections.abc import Sequence

from rlbench.errors import ConfigError
from rlbench.metrics import FINAL_WINDOW, METRICS, of_curve
from rlbench.stats import iqm, student_interval

STATISTICS = ("iqm", "mean", "lower_bound")


@dataclasses.dataclass(frozen=True)
class Objective:
    """`metric` of a seed: the mean of its last `window` evaluation points, or of all; `statistic` over seeds.

    `lower_bound` is the lower end of Student's t interval of the mean at `level`: it prefers what is good for every seed.
    """

    metric: str = "final_return"
    statistic: str = "iqm"
    window: int = FINAL_WINDOW
    level: float = 0.8

    def check(self, num_seeds: int) -> None:
        """Raise ConfigError for impossible values."""
        for name, value, allowed in (
            ("metric", self.metric, tuple(METRICS)),
            ("statistic", self.statistic, STATISTICS),
        ):
            if value not in allowed:
                raise ConfigError(f"objective.{name} is one of {', '.join(allowed)}; got {value!r}")
        if self.window < 1:
            raise ConfigError(f"objective.window must be >= 1; got {self.window}")
        if not 0 < self.level < 1:
            raise ConfigError(f"objective.level must be between 0 and 1; got {self.level}")
        if self.statistic == "lower_bound" and num_seeds < 2:
            raise ConfigError("objective.statistic lower_bound needs at least 2 seeds per trial")

    def of_seed(self, curve: Sequence[float]) -> float:
        """One seed's number."""
        return of_curve(self.metric, curve, self.window)

    def of_trial(self, curves: Sequence[Sequence[float]]) -> float:
        """The trial's number: `statistic` over its seeds."""
        values = [self.of_seed(curve) for curve in curves]
        if self.statistic == "iqm":
            return iqm(values)
        if self.statistic == "mean":
            return math.fsum(values) / len(values)
        return student_interval(values, self.level).low

    def __str__(self) -> str:
        of = (
            f"mean of the last {self.window} evaluation points"
            if self.metric == "final_return"
            else "mean of all evaluation points"
        )
        over = f"lower end of the {self.level:.0%} t interval" if self.statistic == "lower_bound" else self.statistic
        return f"{over} over seeds of the {of}"
