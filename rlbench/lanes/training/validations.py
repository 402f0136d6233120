"""Validation of lanes between training episodes: one episode each, and what its return does to the run.

In go the trainer's tensors and which lanes validate; counters, budgets and best weights are changed in place. Lane by lane, elementwise.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.validation import EpisodeValidation
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.noise import by_step, draws_before, step_uniforms
from rlbench.lanes.steps.player import Episodes
from rlbench.lanes.streams import TWO32, Stream, words
from rlbench.lanes.tensors import Tensors, copies, group, numbered

RESET_INDEX = 1  # a validation episode begins elsewhere than the training episode of its number, whose index is 0


class ValidationNoise:
    """Exploration by the schedule, which the steps of validation advance, or none: the rule says."""

    ahead = 32  # whole rows of `noise.TABLE_STRIDE`

    def __init__(
        self, lanes: Tensors, variant: Variant, rule: EpisodeValidation, num_actions: int, env: LaneEnv | None
    ):
        self._lanes, self._variant, self._rule, self._num_actions, self._env = lanes, variant, rule, num_actions, env

    def actions(self, elapsed: int) -> tuple[Tensor, Tensor]:
        """See `player.Noise`."""
        ahead = elapsed + torch.arange(self.ahead)
        step = self._lanes["validation_steps"][:, None] + ahead
        draw, pick, _, _ = words(*self._key, Stream.VALIDATION, step, torch.zeros_like(step))
        epsilon = self._variant.exploration.epsilon(draws_before(self._lanes, self._variant)[:, None] + ahead.double())
        explores = (draw < (epsilon * TWO32).floor().long()) & ~(torch.as_tensor(self._rule.greedy) > 0)
        return by_step(explores)[..., None], by_step((pick * self._num_actions) >> 32)[..., None]

    def uniforms(self, elapsed: int) -> Tensor | None:
        """See `player.Noise`."""
        if self._env is None:
            return None
        step = (self._lanes["validation_steps"] + elapsed + torch.arange(self.ahead)[:, None])[..., None]
        return step_uniforms(self._env, *self._key, step, torch.full_like(step, RESET_INDEX))

    @property
    def _key(self) -> tuple[Tensor, Tensor]:
        return self._lanes["seed"][:, None], self._lanes["namespace"][:, None]


def validation_state(rule: EpisodeValidation | None, params: list[Tensor], statistics: list[Tensor]) -> Tensors:
    """What a run that validates has in its state, [1, ...] each."""
    if rule is None:
        return {}
    names = ("validations", "validation_steps", "validation_draws", "best_at")
    state = {name: torch.zeros(1, dtype=torch.int64) for name in names}
    state["best_return"] = torch.full((1,), -torch.inf, dtype=torch.float64)
    if rule.keep_best:
        state |= numbered("best", copies(params)) | numbered("best_norm", copies(statistics))
    return state


class Validator:
    """Validates lanes by a rule. `play` plays episodes to their ends, `move_targets` moves the targets of lanes [L] bool."""

    def __init__(
        self,
        lanes: Tensors,
        acting: Tensors,
        variant: Variant,
        rule: EpisodeValidation,
        num_actions: int,
        env: LaneEnv | None,
        play: Callable[[Episodes], None],
        move_targets: Callable[[Tensor], None],
    ) -> None:
        """`acting` is what acting looks at of the lanes."""
        self._lanes, self._acting, self._variant, self._rule = lanes, acting, variant, rule
        self._play, self._move_targets = play, move_targets
        self._noise = ValidationNoise(lanes, variant, rule, num_actions, env)

    def validate(self, who: Tensor) -> None:
        """One episode of the lanes who [L] bool, and what follows."""
        lanes = self._lanes
        index = torch.tensor([RESET_INDEX])
        episodes = Episodes(
            self._acting, self._variant, who[:, None], lanes["namespace"], lanes["validations"], index, self._noise
        )
        self._play(episodes)
        lengths = torch.where(who, episodes.lengths[:, 0], 0)
        self._move_by_losses(lengths)
        self._keep_books(who, episodes.returns[:, 0], lengths)

    def _move_by_losses(self, lengths: Tensor) -> None:
        """Move the targets of the lanes whose count of loss evaluations has passed a multiple of the rule's period."""
        target = self._variant.target
        if not target.keeps_network or target.unit != "losses":
            return
        before = target.count(self._lanes)
        crossed = target.crossed(before, before + lengths)
        while (crossed > 0).any():
            self._move_targets(crossed > 0)
            crossed = crossed - 1

    def _keep_books(self, who: Tensor, returns: Tensor, lengths: Tensor) -> None:
        lanes, rule = self._lanes, self._rule
        lanes["validations"].add_(who)
        lanes["validation_steps"].add_(lengths)
        lanes["validation_draws"].add_(torch.where(torch.as_tensor(rule.greedy)[:, 0] > 0, 0, lengths))
        is_better = who & (returns > lanes["best_return"])
        lanes["best_return"].copy_(torch.where(is_better, returns, lanes["best_return"]))
        lanes["best_at"].copy_(torch.where(is_better, lanes["validations"], lanes["best_at"]))
        for best, online in _best_and_online(lanes):
            best.copy_(torch.where(is_better[:, None, None], online, best))
        patience = torch.as_tensor(rule.patience)[:, 0]  # NaN where a run never stops: not less than any count
        is_over = who & (lanes["validations"] - lanes["best_at"] >= patience)
        lanes["budget_episodes"].copy_(torch.where(is_over, lanes["episodes"], lanes["budget_episodes"]))


def take_best(lanes: Tensors, slot: int) -> None:
    """End a run with the weights of its best validation, where it keeps them and has validated."""
    if "best.0" in lanes and int(lanes["validations"][slot]) > 0:
        for best, online in _best_and_online(lanes):
            online[slot] = best[slot]


def _best_and_online(lanes: Tensors) -> list[tuple[Tensor, Tensor]]:
    """Weights and running statistics of the best validation beside those of now; nothing where none are kept."""
    parts = (zip(group(lanes, f"best{p}"), group(lanes, f"online{p}"), strict=False) for p in ("", "_norm"))
    return [pair for part in parts for pair in part]
