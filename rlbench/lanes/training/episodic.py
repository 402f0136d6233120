"""What hangs on episodes and so cannot be scheduled ahead: updates by an episode's clock, validation, and runs that end early.

In go the trainer's tensors and the record of a step; counters, budgets and best weights are changed in place. A run ends early by its
budget in episodes falling to what it has done. Everything here is lane by lane, elementwise.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlbench.lanes.choices.variant import Budget, Run, Variant
from rlbench.lanes.steps.noise import drawn_ahead
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.validations import validation_state

AHEAD = 64  # minibatches a lane whose places are drawn at once, when every memory is full


def learns_by_episode(variant: Variant) -> bool:
    """Whether episodes decide when a lane learns."""
    return variant.replay.warmup_ends == "next_episode" or variant.update_clock == "episode"


def watches_episodes(variant: Variant, budget: Budget) -> bool:
    """Whether the end of an episode does more than to be counted."""
    ends_early = not budget.count_warmup_episodes or budget.stop_at_return is not None
    return ends_early or variant.validation.episodes is not None


def episodic_state(run: Run, params: list[Tensor], statistics: list[Tensor]) -> Tensors:
    """What such a run has in its state beside what every run has; [1, ...] each, empty for most."""
    state: Tensors = {}
    if learns_by_episode(run.variant):
        state["due"] = torch.zeros(1, dtype=torch.bool)
    if run.budget.stop_at_return is not None:
        state["stop_at_return"] = torch.tensor([run.budget.stop_at_return], dtype=torch.float64)
    return state | validation_state(run.variant.validation.episodes, params, statistics)


def is_past_warmup(lanes: Tensors, variant: Variant, length: Tensor) -> Tensor:
    """Whether the current episode, of `length` [L] steps until now, began when the warm-up was over [L] bool."""
    return lanes["env_steps"] - length >= variant.replay.warmup


def mark_due(lanes: Tensors, variant: Variant, record: Tensor) -> Tensor:
    """Write which lanes learn after this step into `due`; returns it without those that stand still, [L] bool.

    record: [L, 4] float64 of finished, length, episode return, terminated.
    """
    length = record[:, 1].long()
    ready = lanes["env_steps"] >= variant.replay.warmup
    if variant.replay.warmup_ends == "next_episode":
        ready = is_past_warmup(lanes, variant, length)
    clock = length if variant.update_clock == "episode" else lanes["env_steps"]
    lanes["due"].copy_(ready & (clock % variant.update_period == 0))
    return lanes["due"] & lanes["active"] & lanes["alive"]


class MinibatchesAhead:
    """Places of minibatches for lanes that learn at steps of their own, drawn ahead as far as that is possible.

    Which rows a minibatch takes hangs on how many are stored, so only full memories allow more than the one that is due.
    """

    def __init__(self, lanes: Tensors, variant: Variant) -> None:
        self._lanes, self._variant = lanes, variant
        self._drawn: Tensor | None = None

    def forget(self) -> None:
        """Draw anew: other runs may be in the slots."""
        self._drawn = None

    def drawn(self, due: Tensor) -> Tensor:
        """`noise.drawn_ahead` [updates per period, L, B] int64 for lanes that are due [L] bool; anything for others."""
        variant, lanes = self._variant, self._lanes
        per_period = variant.updates_per_period
        ordinal = lanes["updates"].numpy() // variant.steps_per_minibatch
        if self._drawn is None or self._is_used_up(ordinal, due.numpy()):
            steps = lanes["env_steps"].numpy()
            self._is_full = steps >= variant.replay.capacity
            going = (lanes["active"] & lanes["alive"]).numpy()
            count = max(AHEAD, per_period) if self._is_full[going].all() else per_period
            self._base = ordinal.copy()
            ordinals = ordinal[None] + np.arange(count)[:, None]
            self._drawn = drawn_ahead(lanes, variant, ordinals, np.broadcast_to(steps, ordinals.shape).copy())
        row = torch.from_numpy(np.clip(ordinal - self._base, 0, len(self._drawn) - per_period))
        rows = row[None] + torch.arange(per_period)[:, None]
        return self._drawn[rows, torch.arange(len(row))[None]]

    def _is_used_up(self, ordinal: np.ndarray, due: np.ndarray) -> bool:
        assert self._drawn is not None
        is_beyond = ordinal - self._base + self._variant.updates_per_period > len(self._drawn)
        return bool((due & (is_beyond | ~self._is_full)).any())


def end_episodes(
    lanes: Tensors,
    variant: Variant,
    count_warmup_episodes: bool,
    record: Tensor,
    validate: Callable[[Tensor], None] | None,
) -> bool:
    """What follows from the training episodes that ended at this step; returns whether lanes were validated.

    record: [L, 4] as in `mark_due`. validate: validates the lanes [L] bool, where the variant has it so.
    """
    finished = (record[:, 0] > 0) & lanes["alive"]
    is_warm = is_past_warmup(lanes, variant, record[:, 1].long())
    budget = lanes["budget_episodes"]
    if not count_warmup_episodes:
        budget.add_(finished & ~is_warm)
    if "stop_at_return" in lanes:
        budget.copy_(torch.where(finished & (record[:, 2] >= lanes["stop_at_return"]), lanes["episodes"], budget))
    who = finished & is_warm
    if validate is None or not who.any():
        return False
    validate(who)
    return True
