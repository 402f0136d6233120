"""A small deterministic Gymnasium environment without a tensor implementation, whose action values are known exactly.

Five places in a row; action 0 goes left, action 1 right, from the right end one falls off, which ends the episode with reward 1. At the
left end one stays. Every step costs 0.1. The observation is one-hot, the first place is drawn from the reset seed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

NUM_PLACES = 5
STEP_REWARD, GOAL_REWARD = -0.1, 1.0
CHAIN_ID, SEEN_CHAIN_ID = "RlbenchChain-v0", "RlbenchSeenChain-v0"
HEIGHT, WIDTH = 12, 20
TIME_LIMIT = 12


class Chain(gymnasium.Env[NDArray[np.float32], np.int64]):
    """See the module."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (NUM_PLACES,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(NUM_PLACES))
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        place = max(0, self.place - 1) if action == 0 else self.place + 1
        is_over = place == NUM_PLACES
        self.place = min(place, NUM_PLACES - 1)
        return self._observe(), GOAL_REWARD if is_over else STEP_REWARD, is_over, False, {}

    def _observe(self) -> NDArray[np.float32]:
        return np.eye(NUM_PLACES, dtype=np.float32)[self.place]


class SeenChain(Chain):
    """The chain with a picture: a white column for the place, in red where the step counter is odd."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        self.render_mode, self.count = render_mode, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self.count = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.count += 1
        return super().step(action)

    def render(self) -> NDArray[np.uint8]:  # type: ignore[override]
        return picture(self.place, self.count)


def picture(place: int, count: int) -> NDArray[np.uint8]:
    """The frame [HEIGHT, WIDTH, 3] at this place after `count` steps of an episode."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    columns = slice(place * WIDTH // NUM_PLACES, (place + 1) * WIDTH // NUM_PLACES)
    frame[:, columns] = (255, 10 * (count % 25), 0) if count % 2 else (255, 255, 10 * (count % 25))
    return frame


def best_values(discount: float) -> NDArray[np.float64]:
    """Optimal action values [places, 2], by value iteration to convergence."""
    values = np.zeros((NUM_PLACES, 2))
    for _ in range(1000):
        best = np.append(values.max(1), 0.0)
        right = np.arange(NUM_PLACES) + 1
        rewards = np.where(right == NUM_PLACES, GOAL_REWARD, STEP_REWARD)
        left = np.maximum(np.arange(NUM_PLACES) - 1, 0)
        values = np.stack([STEP_REWARD + discount * best[left], rewards + discount * best[right]], 1)
    return values


@contextmanager
def registered_chain(*, seen: bool = False) -> Iterator[str]:
    """The id of the environment, with or without a picture, which Gymnasium knows meanwhile."""
    register: Any = gymnasium.register
    name, entry_point = (SEEN_CHAIN_ID, SeenChain) if seen else (CHAIN_ID, Chain)
    register(name, entry_point=entry_point, max_episode_steps=TIME_LIMIT)
    try:
        yield name
    finally:
        del gymnasium.registry[name]
