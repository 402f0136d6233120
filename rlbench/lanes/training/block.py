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

from rlbench.lanes.choices.variant import Run, Variant
from rlbench.lanes.fast.computations import computations
from rlbench.lanes.steps.acting import Described
from rlbench.lanes.steps.noise import MAX_SPAN, ActingNoise, acting_noise, span_length
from rlbench.lanes.steps.observing import observed, observed_env
from rlbench.lanes.steps.player import Episodes, Policy, play_in_tensors, play_through_gymnasium
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training import episodic
from rlbench.lanes.training.environments import host_environments
from rlbench.lanes.training.evaluation import Evaluator
from rlbench.lanes.training.lane import Events
from rlbench.lanes.training.learner import Learner
from rlbench.lanes.training.policies import LaneByLanePolicy, TogetherPolicy
from rlbench.lanes.training.recording import close_span, collect_episodes
from rlbench.lanes.training.schedule import due_updates, no_updates, steps_to_event
from rlbench.lanes.training.sight import sight_of
from rlbench.lanes.training.validations import Validator

VALIDATING_SPAN = 64  # steps to draw ahead where validations cut spans short
# What acting does not look at: it is not handed to compiled computations.
NOT_FOR_ACTING = ("target", "optimizer.", "power.", "replay", "remembered.", "frames", "last.", "best.", "best_norm.")


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
        self.state, self.variant, self.slots = state, variant, slots
        seen, key = observed(first), first.cohort_key()
        self.info, self.env = seen.info, seen.env
        self.learns = first.variant.network.learns
        sight = sight_of(seen, first.variant.returns.num_steps)
        self._one_by_one = (
            LaneByLanePolicy(sight, first.variant.network, variant, key) if first.variant.network.lane_by_lane else None
        )
        self._policy: Policy = self._one_by_one or TogetherPolicy(key)
        self._learner = Learner(first, state, variant, layout, sight) if self.learns else None
        self._open_environments(first, width)
        self._learns_by_episode = self.learns and episodic.learns_by_episode(first.variant)
        self._watches_episodes = episodic.watches_episodes(first.variant, first.budget)
        # A validation throws away what is drawn ahead.
        validates = first.variant.validation.episodes is not None
        self._longest_span = min(span_length(len(slots)), VALIDATING_SPAN if validates else MAX_SPAN)
        self._counts_warmup = first.budget.count_warmup_episodes
        self._ahead = episodic.MinibatchesAhead(state, variant)
        self._bind(key)

    def _open_environments(self, first: Run, width: int) -> None:
        """The environments of training, evaluation and validation, and who plays in them."""
        rule, num_actions = self.variant.validation.episodes, self.info.num_actions
        limits = self._limit(first.evaluation.max_env_steps), self._limit(rule.max_env_steps if rule else None)
        evaluation_env, validation_env = (observed_env(first, limit) for limit in limits)
        num_evaluated = first.evaluation.episodes
        self.host = host = (
            None if self.env else host_environments(first, len(self.slots), width * num_evaluated, *limits)
        )

        def evaluate(episodes: Episodes) -> None:
            if evaluation_env is not None:
                return play_in_tensors(self._policy, episodes, evaluation_env)
            assert host is not None
            return play_through_gymnasium(self._policy, episodes, host.evaluation_envs)

        def validate(episodes: Episodes) -> None:
            if validation_env is not None:
                return play_in_tensors(self._policy, episodes, validation_env)
            assert host is not None
            return play_through_gymnasium(self._policy, episodes, host.validation_envs)

        self._evaluator = Evaluator(width, num_evaluated, num_actions, evaluation_env, evaluate)
        self._acting = {name: t for name, t in self.state.items() if not name.startswith(NOT_FOR_ACTING)}
        self._validator = None
        if rule is not None and self._learner is not None:
            # A look-up of best weights goes through the whole state.
            self._validator = Validator(
                self.state, self._acting, self.variant, rule, num_actions, validation_env, validate, self._learner.move
            )

    def _limit(self, most: int | None) -> int | None:
        """The time limit of episodes beside training: that of training, or `most` steps where that is less."""
        limits = [limit for limit in (self.info.max_episode_steps, most) if limit is not None]
        return min(limits, default=None)

    def _bind(self, key: object) -> None:
        """Hand the computations their windows on the state, which stay valid because everything changes in place."""
        everyone = computations(key, len(self.slots))
        columns = self._learner.columns if self._learner is not None else None
        self._tick = everyone.tick.bind(self._acting, self.variant, columns, self.env)
        self._decided_tick = everyone.decided_tick.bind(self._acting, self.variant, columns, self.env)
        self._choose = everyone.choose.bind(self._acting, self.variant)
        self._absorb = everyone.absorb.bind(self._acting, self.variant, columns)

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
        due, drawn = no_updates(span)
        if self._learner is not None and not self._learns_by_episode:
            occupied = np.array([run is not None for run in self.slots])
            due, drawn = due_updates(state, self.variant, occupied, self._learner.layout, base, span)
        record = torch.zeros(span, len(base), 4, dtype=torch.float64)
        self._ahead.forget()
        for t in range(span):
            rows, at, ended = self._tick_all(noise, t, episodes)
            record[t] = ended
            if self._learner is not None:
                self._learner.store(rows, at)
                if self._learns_by_episode:
                    self._learn_by_episode(ended)
                for update_step, chunk in due[t]:
                    self._learner.learn(chunk, drawn[update_step])
                self._learner.move_by_tick(ended[:, 0] > 0)
            if self._watches_episodes and bool(ended[:, 0].any()) and self._end_episodes(ended):
                span = t + 1
                break
        collect_episodes(state, base, base_episodes, record[:span].numpy(), events)
        running = self._runs(self.running)
        evaluated = close_span(state, running, base, noise.epsilon.numpy(), self.learns, events)
        runs = dict(running)
        ordinals = [int(state["env_steps"][slot]) // runs[slot].evaluation.period for slot in evaluated]
        for slot, found in self._evaluator.evaluate(state, self.variant, evaluated, ordinals):
            events[slot].evaluations += found
        return span

    def _tick_all(self, noise: ActingNoise, t: int, base_episodes: Tensor) -> Described:
        """One step of all lanes, as `acting.absorb` describes it."""
        explores, uniform_action = noise.explores[t], noise.uniform_action[t]
        decides, first = self._one_by_one, noise.first_states
        action = decides.acting(self.state, self.env, explores, uniform_action) if decides is not None else None
        described: Described
        if first is None:
            return self._host_tick(explores, uniform_action, action)
        uniforms = () if noise.uniforms is None else (noise.uniforms[t],)
        if action is None:
            described = self._tick(explores, uniform_action, first, base_episodes, *uniforms)
        else:
            described = self._decided_tick(action, first, base_episodes, *uniforms)
        return described

    def _host_tick(self, explores: Tensor, uniform_action: Tensor, action: Tensor | None) -> Described:
        assert self.host is not None
        obs_tm1 = self.state["obs"].clone()
        if action is None:
            action = self._choose(explores, uniform_action, obs_tm1)
        reward, obs_t, terminated, truncated = self.host.step(action, self.state)
        described: Described = self._absorb(obs_tm1, action, reward, obs_t, terminated, truncated)
        self.host.reset_ended(described[2], self.state, obs_t)
        return described

    def _learn_by_episode(self, ended: Tensor) -> None:
        assert self._learner is not None
        due = episodic.mark_due(self.state, self.variant, ended)
        if not due.any():
            return
        drawn = self._ahead.drawn(due)
        for chunk, (start, width) in enumerate(self._learner.layout):
            if due[start : start + width].any():
                self._learner.learn(chunk, drawn)

    def _end_episodes(self, ended: Tensor) -> bool:
        """What else happens where training episodes ended; whether lanes were validated."""
        validate = self._validator.validate if self._validator is not None else None
        return episodic.end_episodes(self.state, self.variant, self._counts_warmup, ended, validate)
