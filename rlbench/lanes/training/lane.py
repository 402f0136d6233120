"""One run as a value between trainers, and what happened to it."""

import dataclasses

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.tensors import Tensors


@dataclasses.dataclass(frozen=True)
class Lane:
    """One run as a value: its specification, its state ([1, ...] tensors), and what its environment needs to be restored (or None)."""

    run: Run
    state: Tensors
    env_note: LaneSnapshot | None = None


@dataclasses.dataclass
class Events:
    """What happened to one lane: rows in the order of their time, each with the columns of its table in `rlbench.rows`."""

    episodes: list[tuple[int, int, int, float, bool]] = dataclasses.field(default_factory=list)
    evaluations: list[tuple[int, int, float, int]] = dataclasses.field(default_factory=list)
    diagnostics: list[tuple[float, ...]] = dataclasses.field(default_factory=list)
    status: str | None = None
    """done or diverged once the lane has ended"""
