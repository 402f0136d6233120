"""Proportional prioritised replay in NumPy, as algorithm 1 of Schaul et al. (2016) has it: no tree, the priorities side by side."""

from typing import Any

import numpy as np

from .agent import Uniform


class Plain(Uniform):
    """A ring of transitions with their priorities."""

    def __init__(self, variant: Any) -> None:
        """`variant.replay` has numbers that are resolved: `beta_steps` is one."""
        super().__init__(variant)
        self.replay = variant.replay
        self.priority = np.zeros(self.replay.capacity)  # p**alpha
        self.largest = 1.0

    def add(self, transition: Any) -> None:
        """Line 6: with the largest priority so far, in the place of the oldest."""
        self.priority[self.added % self.replay.capacity] = self.largest
        super().add(transition)

    @property
    def beta(self) -> float:
        """The exponent of the weights now, a step for each transition that was added."""
        share = min(1.0, self.added / self.replay.beta_steps)
        return float(self.replay.beta + (self.replay.beta_end - self.replay.beta) * share)

    def sample(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lines 9 and 10: index [B] and weights [B] from uniform numbers [B] in [0, 1), one for each of B equal shares."""
        total = np.cumsum(self.priority)
        marks = (np.arange(len(uniforms)) + uniforms) / len(uniforms) * total[-1]
        index = np.searchsorted(total, marks, side="right")
        probability = self.priority[index] / total[-1]
        weights = (min(self.added, self.replay.capacity) * probability) ** -self.beta
        return index, weights / weights.max()

    def learned(self, index: np.ndarray, errors: np.ndarray) -> None:
        """Line 12."""
        self.priority[index] = (np.abs(errors.astype(np.float64)) + self.replay.eps) ** self.replay.alpha
        self.largest = max(self.largest, float(self.priority[index].max()))
