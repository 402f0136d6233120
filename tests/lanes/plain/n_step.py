"""Returns of n steps with a deque, as everybody writes them (Sutton, 1988)."""

import collections
from typing import Any

import numpy as np


class Plain:
    """The steps of an episode that are not the first of a transition yet."""

    def __init__(self, variant: Any) -> None:
        self.steps: collections.deque[Any] = collections.deque(maxlen=variant.returns.steps)

    def completed(self, step: Any, is_last: bool) -> list[Any]:
        """The transition that begins n steps ago; at an episode's end those of fewer steps too."""
        self.steps.append(step)
        found = []
        while len(self.steps) == self.steps.maxlen or (is_last and self.steps):
            found.append(self._joined())
            self.steps.popleft()
        return found

    def _joined(self) -> Any:
        r_t, discount_t = np.float32(0), np.float32(1)
        for _, _, reward, discount, _ in self.steps:
            r_t += discount_t * reward
            discount_t *= discount
        obs_tm1, action, *_ = self.steps[0]
        return obs_tm1, action, r_t, discount_t, self.steps[-1][4]
