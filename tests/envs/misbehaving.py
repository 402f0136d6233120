"""A module that registers environments which each do one thing that no run can go on from, at the seventh step."""

import os
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

AT = 7


def leave() -> None:
    sys.exit(0)


def vanish() -> None:
    os._exit(0)


def interrupt() -> None:
    raise KeyboardInterrupt


def close_down() -> None:
    raise GeneratorExit


def colour_the_terminal() -> None:
    raise ValueError("\x1b[31mred\x07 bell")


RAISES = {
    "Leaves": leave,
    "Vanishes": vanish,
    "Interrupts": interrupt,
    "ClosesDown": close_down,
    "Colours": colour_the_terminal,
}
REWARDS: dict[str, Any] = {
    "RewardNaN": float("nan"),
    "RewardInf": float("inf"),
    "RewardHuge": 1e300,
    "RewardShape": np.ones(1),
    "RewardNone": None,
}
OBSERVATIONS: dict[str, Any] = {
    "ObservationNaN": np.array([0.0, np.nan]),
    "ObservationHuge": np.array([0.0, 1e300]),
    "ObservationShape": np.zeros(3),
    "ObservationNone": None,
}


class Misbehaving(gymnasium.Env[Any, Any]):
    """Twenty steps an episode; its seventh is as its name says."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Discrete(2)

    def __init__(self, name: str) -> None:
        self.name, self.num_steps = name, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.num_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.num_steps += 1
        name = self.name if self.num_steps == AT else ""
        if name in RAISES:
            RAISES[name]()
        return OBSERVATIONS.get(name, np.zeros(2)), REWARDS.get(name, 1.0), self.num_steps >= 20, False, {}


def _register(name: str) -> None:
    gymnasium.register(f"{name}-v0", lambda: Misbehaving(name), max_episode_steps=30)


for _name in (*RAISES, *REWARDS, *OBSERVATIONS):
    if f"{_name}-v0" not in gymnasium.registry:
        _register(_name)
