"""An environment of one's own: walk along a corridor to its right end, or fall out of it on the left.

python -m rlbench.run env=own_env:Corridor-v0 variant=soft_huber seeds=10                  (in this folder)
"""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray


class Corridor(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Seven places; every step costs 1, reaching the right end pays 10. A deterministic function of the seed, as it has to be."""

    LENGTH = 7

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)  # left, right
        self.place = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin at one of the three places in the middle."""
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(2, 5))
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go one place to the left or to the right."""
        self.place += 1 if action == 1 else -1
        has_arrived, has_fallen = self.place == self.LENGTH - 1, self.place < 0
        return self._seen(), 9.0 if has_arrived else -1.0, has_arrived or has_fallen, False, {}

    def _seen(self) -> NDArray[np.float32]:
        return np.array([max(self.place, 0) / (self.LENGTH - 1)], np.float32)


gymnasium.register("Corridor-v0", Corridor, max_episode_steps=50)
