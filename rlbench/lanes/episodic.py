"""What hangs on episodes and so cannot be scheduled ahead: updates by an episode's clock, validation, and runs that end early.

In go the trainer's tensors and the record of a step; counters, budgets and best weights are changed in place. A run ends early by its
budget in episodes falling to what it has done. Everything here is lane by lane, elementwise.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlbench.lanes.noise import replay_places
from rlbench.lanes.targets import Periodic
from rlbench.lanes.update import Tensors, counts_validation, group
from rlbench.lanes.validating import Validation
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Budget, Run, Variant

AHEAD = 64  # minibatches a lane whose places are drawn at once, when every memory is full


def learns_by_episode(variant: Variant) -> bool:
    """Whether episodes decide when a lane learns."""
    return variant.replay.warmup_ends == "next_episode" or variant.update_clock == "episode"


def watches_episodes(variant: Variant, budget: Budget) -> bool:
    """Whether the end of an episode does more than to be counted."""
    ends_early = not budget.count_warmup_episodes or budget.stop_at_return is not None
    return ends_early or isinstance(variant.validation, EpisodeValidation)


def episodic_state(run: Run, params: list[Tensor], statistics: list[Tensor]) -> Tensors:
    """What such a run has in its state beside what every run has; [1, ...] each, empty for most."""
    state: Tensors = {}
    if learns_by_episode(run.variant):
        state["due"] = torch.zeros(1, dtype=torch.bool)
    if run.budget.stop_at_return is not None:
        state["stop_at_return"] = torch.tensor([run.budget.stop_at_return], dtype=torch.float64)
    rule = run.variant.validation
    if isinstance(rule, EpisodeValidation):
        names = ("validations", "validation_steps", "validation_draws", "best_at")
        state |= {name: torch.zeros(1, dtype=torch.int64) for name in names}
        state["best_return"] = torch.full((1,), -torch.inf, dtype=torch.float64)
        if rule.keep_best:
            state |= {f"best.{i}": p.clone() for i, p in enumerate(params)}
            state |= {f"best_norm.{i}": s.clone() for i, s in enumerate(statistics)}
    return state


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
        self._places: Tensor | None = None

    def forget(self) -> None:
        """Draw anew: other runs may be in the slots."""
        self._places = None

    def places(self, due: Tensor) -> Tensor:
        """Places [updates per period, L, B] int64 of the minibatches of the lanes that are due [L] bool; anywhere for the others."""
        variant, lanes = self._variant, self._lanes
        per_period = variant.updates_per_period
        ordinal = lanes["updates"].numpy() // variant.steps_per_minibatch
        if self._places is None or self._is_used_up(ordinal, due.numpy()):
            steps = lanes["env_steps"].numpy()
            self._is_full = steps >= variant.replay.capacity
            going = (lanes["active"] & lanes["alive"]).numpy()
            count = max(AHEAD, per_period) if self._is_full[going].all() else per_period
            self._base = ordinal.copy()
            ordinals = ordinal[None] + np.arange(count)[:, None]
            self._places = replay_places(lanes, variant, ordinals, np.broadcast_to(steps, ordinals.shape).copy())
        row = torch.from_numpy(np.clip(ordinal - self._base, 0, len(self._places) - per_period))
        rows = row[None] + torch.arange(per_period)[:, None]
        return self._places[rows, torch.arange(len(row))[None]]

    def _is_used_up(self, ordinal: np.ndarray, due: np.ndarray) -> bool:
        assert self._places is not None
        is_beyond = ordinal - self._base + self._variant.updates_per_period > len(self._places)
        return bool((due & (is_beyond | ~self._is_full)).any())


def end_episodes(
    lanes: Tensors,
    variant: Variant,
    count_warmup_episodes: bool,
    record: Tensor,
    num_actions: int,
    play: Callable[[Validation], None],
    move_targets: Callable[[Tensor], None],
) -> bool:
    """What follows from the training episodes that ended at this step; returns whether lanes were validated.

    record: [L, 4] as in `mark_due`. play: plays a `Validation` to its end. move_targets: moves the targets of lanes [L] bool.
    """
    finished = (record[:, 0] > 0) & lanes["alive"]
    is_warm = is_past_warmup(lanes, variant, record[:, 1].long())
    budget = lanes["budget_episodes"]
    if not count_warmup_episodes:
        budget.add_(finished & ~is_warm)
    if "stop_at_return" in lanes:
        budget.copy_(torch.where(finished & (record[:, 2] >= lanes["stop_at_return"]), lanes["episodes"], budget))
    who = finished & is_warm
    if not isinstance(variant.validation, EpisodeValidation) or not who.any():
        return False
    episodes = Validation(lanes, variant, who, num_actions)
    play(episodes)
    _move_by_losses(lanes, variant, episodes, move_targets)
    _keep_books(lanes, variant.validation, episodes)
    return True


def _move_by_losses(
    lanes: Tensors, variant: Variant, episodes: Validation, move_targets: Callable[[Tensor], None]
) -> None:
    """Move the targets of the lanes whose count of loss evaluations has passed a multiple of the rule's period."""
    if not counts_validation(variant):
        return
    rule = variant.target
    assert isinstance(rule, Periodic)
    every = torch.as_tensor(rule.every)[:, 0]
    before = lanes["updates"] + lanes["validation_steps"] - rule.offset
    crossed = torch.floor((before + episodes.lengths) / every).clamp(min=-1) - torch.floor(before / every).clamp(min=-1)
    while (crossed > 0).any():
        move_targets(crossed > 0)
        crossed = crossed - 1


def _keep_books(lanes: Tensors, rule: EpisodeValidation, episodes: Validation) -> None:
    who, lengths = episodes.who, torch.where(episodes.who, episodes.lengths, 0)
    lanes["validations"].add_(who)
    lanes["validation_steps"].add_(lengths)
    lanes["validation_draws"].add_(torch.where(torch.as_tensor(rule.greedy)[:, 0] > 0, 0, lengths))
    is_better = who & (episodes.returns > lanes["best_return"])
    lanes["best_return"].copy_(torch.where(is_better, episodes.returns, lanes["best_return"]))
    lanes["best_at"].copy_(torch.where(is_better, lanes["validations"], lanes["best_at"]))
    for best, online in _best_and_online(lanes):
        best.copy_(torch.where(is_better[:, None, None], online, best))
    patience = torch.as_tensor(rule.patience)[:, 0]  # NaN where a run never stops: not less than any count
    is_over = who & (lanes["validations"] - lanes["best_at"] >= patience)
    lanes["budget_episodes"].copy_(torch.where(is_over, lanes["episodes"], lanes["budget_episodes"]))


def take_best(lanes: Tensors, slot: int) -> None:
    """End a run with the weights of its best validation, where it keeps them and has validated."""
    if int(lanes["validations"][slot]) > 0:
        for best, online in _best_and_online(lanes):
            online[slot] = best[slot]


def _best_and_online(lanes: Tensors) -> list[tuple[Tensor, Tensor]]:
    """Weights and running statistics of the best validation beside those of now; nothing where none are kept."""
    parts = (zip(group(lanes, f"best{p}"), group(lanes, f"online{p}"), strict=False) for p in ("", "_norm"))
    return [pair for part in parts for pair in part]
