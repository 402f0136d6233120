"""One run as a value between trainers, and what happened to it."""

import dataclasses

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.variant import Run


@dataclasses.dataclass(frozen=True)
class Lane:
    """One run as a value: its specification, its state ([1, ...] tensors), and what its environment needs to be restored (or None)."""

    run: Run
    state: Tensors
    env_note: LaneSnapshot | None = None


@dataclasses.dataclass
class Events:
    """What happened to one lane: rows in the order of their time, without the run's name."""

    episodes: list[tuple[int, int, int, float, bool]] = dataclasses.field(default_factory=list)
    """(episode, env_steps at its end, length, episode return, terminated)"""
    evaluations: list[tuple[int, int, float, int]] = dataclasses.field(default_factory=list)
    """(env_steps, episode, episode return, length)"""
    diagnostics: list[tuple[int, int, float, float, float, float, float, float]] = dataclasses.field(
        default_factory=list
    )
    """(env_steps, updates, loss, q_mean, q_max, grad_norm, epsilon, target_distance)"""
    status: str | None = None
    """done or diverged once the lane has ended"""
