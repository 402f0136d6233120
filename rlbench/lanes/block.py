"""Lanes that take their steps together: what a span of steps is, for as many lanes as the cache holds.

In go windows on a trainer's state, which change in place; out come the rows that the lanes produced. Blocks know nothing of each other.

How a span of steps runs: the schedule (which chunk of lanes has an update at which step) is decided beforehand from the counters,
random numbers are drawn ahead, then each step is one call for all lanes and one call per chunk that learns. Spans end where any lane has
an evaluation, a diagnostics row or the end of its budget, so nothing inside a span looks at a value.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlbench.lanes import episodic, validating
from rlbench.lanes.choice import numbers, with_numbers
from rlbench.lanes.computations import chunk_computations, computations
from rlbench.lanes.environments import host_environments
from rlbench.lanes.evaluator import Evaluator
from rlbench.lanes.lane import Events
from rlbench.lanes.noise import MAX_SPAN, acting_noise, span_length
from rlbench.lanes.observing import observed, observed_env
from rlbench.lanes.pixel_lanes import pixel_lanes
from rlbench.lanes.recording import close_span, collect_episodes
from rlbench.lanes.schedule import due_updates, no_updates, steps_to_event
from rlbench.lanes.targets import Periodic
from rlbench.lanes.update import Tensors, is_due
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Run, Variant

VALIDATING_SPAN = 64  # steps to draw ahead where validations cut spans short
# What acting does not look at: it is not handed to compiled computations.
NOT_FOR_ACTING = ("target", "optimizer.", "power.", "replay", "frames", "last.", "best.", "best_norm.")


class Block:
    """Lanes in slots that step together. `slots[i]` is the run in slot i, or None where the slot is idle."""

    def __init__(
        self,
        first: Run,
        state: Tensors,
        variant: Variant,
        slots: list[Run | None],
        layout: Sequence[tuple[int, int]],
        width: int,
    ) -> None:
        """`first` is any run of the cohort, `variant` the stacked one; layout: (start, width) of each chunk that learns at once; `width`
        lanes are evaluated at once."""
        self.state, self.variant, self.slots, self.layout = state, variant, slots, layout
        seen = observed(first)
        self.info, self.env = seen.info, seen.env
        self.learns = first.variant.network.learns
        self.pixels = pixel_lanes(seen, first.variant, first.cohort_key())
        rule = first.variant.validation
        limits = self._limit(first.evaluation.max_env_steps), self._limit(getattr(rule, "max_env_steps", None))
        evaluation_env, self._validation_env = (observed_env(first, limit) for limit in limits)
        episodes, key = first.evaluation.episodes, first.cohort_key()
        self.host = None if self.env else host_environments(first, len(slots), width * episodes, *limits)
        self._evaluator = Evaluator(key, width, episodes, evaluation_env, self.host, self.pixels)
        self._learns_by_episode = self.learns and episodic.learns_by_episode(first.variant)
        self._watches_episodes = episodic.watches_episodes(first.variant, first.budget)
        # A validation throws away what is drawn ahead.
        validates = isinstance(rule, EpisodeValidation)
        self._longest_span = min(span_length(len(slots)), VALIDATING_SPAN if validates else MAX_SPAN)
        self._counts_warmup = first.budget.count_warmup_episodes
        self._ahead = episodic.MinibatchesAhead(state, variant)
        self._replay = state["replay"].view(-1, state["replay"].shape[2]) if self.learns else None
        self._bind(key)

    def _limit(self, most: int | None) -> int | None:
        """The time limit of episodes beside training: that of training, or `most` steps where that is less."""
        limits = [limit for limit in (self.info.max_episode_steps, most) if limit is not None]
        return min(limits, default=None)

    def _bind(self, key: object) -> None:
        """Hand the computations their windows on the state, which stay valid because everything changes in place."""
        everyone = computations(key, len(self.slots))
        self._acting = {name: t for name, t in self.state.items() if not name.startswith(NOT_FOR_ACTING)}
        self._tick = everyone.tick.bind(self._acting, self.variant, self.env)
        self._choose = everyone.choose.bind(self._acting, self.variant)
        self._absorb = everyone.absorb.bind(self._acting, self.variant)
        self._validation_step = everyone.validation_step
        values = numbers(self.variant)
        self._updates, self._moves = [], []
        for start, width in self.layout:
            window = slice(start, start + width)
            lanes = {
                name: t[window] for name, t in self.state.items() if name not in ("env", "obs", "frames", "replay")
            }
            variant = with_numbers(self.variant, {k: v[window] for k, v in values.items()})
            each = chunk_computations(key, width)
            if self.pixels is None:
                self._updates.append(each.sampled_update.bind(lanes, variant, self._replay))
            else:
                self._updates.append(each.update.bind(lanes, variant))
            self._moves.append(each.move_target.bind(lanes, variant))

    @property
    def running(self) -> list[int]:
        """Slots whose run has not ended."""
        return [slot for slot, run in enumerate(self.slots) if run is not None]

    def _runs(self, slots: Sequence[int]) -> list[tuple[int, Run]]:
        """The (slot, run) of these slots, none of which is idle."""
        return [(slot, run) for slot in slots if (run := self.slots[slot]) is not None]

    def advance(self, ticks: int) -> dict[int, Events]:
        """Run up to `ticks` steps of every running lane; returns what happened by slot."""
        events = {slot: Events() for slot in self.running}
        while ticks > 0:
            going = [slot for slot in self.running if events[slot].status is None]
            if not going:
                break
            span = min(ticks, self._longest_span, steps_to_event(self.state, self._runs(going)))
            ticks -= self._run_span(span, events)
        return events

    @torch.no_grad()
    def _run_span(self, span: int, events: dict[int, Events]) -> int:
        """Run up to `span` steps of every lane; returns how many: a validation ends a span, because it changes what comes after."""
        state = self.state
        base, base_episodes = state["env_steps"].numpy().copy(), state["episodes"].numpy().copy()
        noise = acting_noise(state, self.variant, span, self.info.num_actions, self.env)
        episodes = state["episodes"].clone()
        due, places = no_updates(span)
        if self.learns and not self._learns_by_episode:
            occupied = np.array([run is not None for run in self.slots])
            due, places = due_updates(state, self.variant, occupied, self.layout, base, span)
        record = torch.zeros(span, len(base), 4, dtype=torch.float64)
        rule = self.variant.target
        moves_by_tick = self.learns and isinstance(rule, Periodic) and not rule.moves_after_updates
        self._ahead.forget()
        for t in range(span):
            explores, uniform_action = noise.explores[t], noise.uniform_action[t]
            if self.pixels is not None:
                uniform_action = self.pixels.actions(state, explores, uniform_action)
            if noise.first_states is not None:
                row, at, ended = self._tick(explores, uniform_action, noise.first_states, episodes)
            else:
                row, at, ended = self._host_tick(explores, uniform_action)
            record[t] = ended
            if self._replay is not None:
                self._replay.index_copy_(0, at, row)
                if self._learns_by_episode:
                    self._learn_by_episode(ended)
                for update_step, chunk in due[t]:
                    start, width = self.layout[chunk]
                    for place in places[update_step, :, start : start + width]:
                        self.update(chunk, place)
                if moves_by_tick:
                    self._move_targets(ended[:, 0] > 0)
            if self._watches_episodes and bool(ended[:, 0].any()) and self._end_episodes(ended):
                span = t + 1
                break
        collect_episodes(state, base, base_episodes, record[:span].numpy(), events)
        running = self._runs(self.running)
        evaluated = close_span(state, running, base, noise.epsilon.numpy(), self.learns, events)
        runs = dict(running)
        ordinals = [int(state["env_steps"][slot]) // runs[slot].evaluation.period for slot in evaluated]
        for slot, rows in self._evaluator.evaluate(state, self.variant, evaluated, ordinals):
            events[slot].evaluations += rows
        return span

    def update(self, chunk: int, place: Tensor) -> None:
        """Update a chunk of lanes on the minibatches at these places [width, B] of the replay, in parts where the variant has it so."""
        for part in place.chunk(self.variant.steps_per_minibatch, 1):
            if self.pixels is None:
                self._updates[chunk](part)
                continue
            assert self._replay is not None
            rows = self._replay.index_select(0, part.reshape(-1)).view(*part.shape, -1)
            start, width = self.layout[chunk]
            frames = self.state["frames"][start : start + width] if "frames" in self.state else None
            self._updates[chunk](rows, *self.pixels.transitions(rows, frames))

    def _learn_by_episode(self, ended: Tensor) -> None:
        due = episodic.mark_due(self.state, self.variant, ended)
        if not due.any():
            return
        places = self._ahead.places(due)
        for chunk, (start, width) in enumerate(self.layout):
            if due[start : start + width].any():
                for place in places[:, start : start + width]:
                    self.update(chunk, place)

    def _end_episodes(self, ended: Tensor) -> bool:
        """What else happens where training episodes ended; whether lanes were validated."""

        def play(episodes: validating.Validation) -> None:
            episodes.lanes = {**self._acting}
            if self._validation_env is not None:
                steps: validating.Steps = self._validation_step.bind
                if self.pixels is not None:
                    steps = self.pixels.validation_steps(steps)
                validating.validate_tensor_env(steps, episodes, self._validation_env)
            else:
                assert self.host is not None
                choose = self._choose if self.pixels is None else self.pixels.validation_actions(self._acting)
                validating.validate_gymnasium(choose, episodes, self.host.validation_envs)

        return episodic.end_episodes(
            self.state, self.variant, self._counts_warmup, ended, self.info.num_actions, play, self._move
        )

    def _host_tick(self, explores: Tensor, uniform_action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self.host is not None
        obs_tm1 = self.state["obs"].clone()
        action = self._choose(explores, uniform_action, obs_tm1)
        reward, obs_t, terminated, truncated = self.host.step(action, self.state)
        described: tuple[Tensor, Tensor, Tensor] = self._absorb(obs_tm1, action, reward, obs_t, terminated, truncated)
        self.host.reset_ended(described[2], self.state, obs_t)
        return described

    def _move_targets(self, episode_ended: Tensor) -> None:
        rule = self.variant.target
        assert isinstance(rule, Periodic)
        state = self.state
        by_steps = rule.unit == "steps"
        moves = is_due(state["env_steps"], rule) if by_steps else episode_ended & is_due(state["episodes"], rule)
        self._move(moves & state["active"] & state["alive"])

    def _move(self, moves: Tensor) -> None:
        """Move the targets of these lanes [L] bool."""
        for (start, width), move in zip(self.layout, self._moves, strict=True):
            if moves[start : start + width].any():
                move(moves[start : start + width])
