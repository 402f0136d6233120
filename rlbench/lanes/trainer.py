"""The lane engine: many runs of one cohort trained as lanes of one program.

In go runs of one structure, each fresh or from a checkpoint; out come the rows that they produce and which lanes have ended. A lane's bits
do not depend on its slot, its neighbours, the number of slots, or where `advance` is cut. Knows nothing of files, W&B or Optuna.

How a span of steps runs: the schedule (which chunk of lanes has an update at which step) is decided beforehand from the counters,
random numbers are drawn ahead, then each step is one call for all lanes and one call per chunk that learns. Spans end where any lane has
an evaluation, a diagnostics row or the end of its budget, so nothing inside a span looks at a value.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.lanes import episodic, validating
from rlbench.lanes.choice import numbers, stack, with_numbers
from rlbench.lanes.chunks import chunk_width, chunks
from rlbench.lanes.computations import chunk_computations, computations
from rlbench.lanes.environments import host_environments
from rlbench.lanes.evaluator import Evaluator
from rlbench.lanes.lane import Events, Lane
from rlbench.lanes.lane_state import join, take
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


class Trainer:
    """Lanes in slots. `slots[i]` is the run in slot i, or None where the slot is idle."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Lanes of one cohort key; raises ValueError otherwise. Idle slots fill up the last chunk."""
        first = lanes[0].run
        if any(lane.run.cohort_key() != first.cohort_key() for lane in lanes):
            raise ValueError("lanes of one trainer must have one cohort key")
        seen = observed(first)
        self.info, self.env = seen.info, seen.env
        self.learns = first.variant.network.learns
        self.pixels = pixel_lanes(seen, first.variant, first.cohort_key())
        rule = first.variant.validation
        limits = self._limit(first.evaluation.max_env_steps), self._limit(getattr(rule, "max_env_steps", None))
        evaluation_env, self.validation_env = (observed_env(first, limit) for limit in limits)
        self.width = chunk_width(first)
        self.layout = chunks(len(lanes), self.width)
        num_slots = self.layout[-1][0] + self.layout[-1][1]
        idle = [take(lanes[0].state, [0])] * (num_slots - len(lanes))
        self.state = join([lane.state for lane in lanes] + idle)
        self.state["alive"][len(lanes) :] = False
        self.slots: list[Run | None] = [lane.run for lane in lanes] + [None] * len(idle)
        self.variant: Variant = stack([lane.run.variant for lane in lanes] + [first.variant] * len(idle))
        episodes = first.evaluation.episodes
        self.host = None
        if self.env is None:
            self.host = host_environments(first, num_slots, self.width * episodes, *limits)
            for slot, lane in enumerate(lanes):
                self.host.place(slot, lane.env_note, self.state)
        self._key = first.cohort_key()
        self._evaluator = Evaluator(self._key, self.width, episodes, evaluation_env, self.host, self.pixels)
        self._all = computations(self._key, num_slots)
        self._learns_by_episode = self.learns and episodic.learns_by_episode(first.variant)
        self._watches_episodes = episodic.watches_episodes(first.variant, first.budget)
        # A validation throws away what is drawn ahead.
        validates = isinstance(first.variant.validation, EpisodeValidation)
        self._longest_span = min(span_length(num_slots), VALIDATING_SPAN if validates else MAX_SPAN)
        self._counts_warmup = first.budget.count_warmup_episodes
        self._ahead = episodic.MinibatchesAhead(self.state, self.variant)
        self._views()

    def _limit(self, most: int | None) -> int | None:
        """The time limit of episodes beside training: that of training, or `most` steps where that is less."""
        limits = [limit for limit in (self.info.max_episode_steps, most) if limit is not None]
        return min(limits, default=None)

    def _views(self) -> None:
        """Each chunk's window on the state and on the stacked numbers; windows stay valid because everything changes in place."""
        values = numbers(self.variant)
        self._chunks: list[tuple[Tensors, Variant]] = []
        self._each = [chunk_computations(self._key, width) for _, width in self.layout]
        for start, width in self.layout:
            window = slice(start, start + width)
            own = {name: tensor[window] for name, tensor in self.state.items() if name not in ("env", "obs", "frames")}
            self._chunks.append((own, with_numbers(self.variant, {k: v[window] for k, v in values.items()})))
        self._acting = {k: v for k, v in self.state.items() if not k.startswith(NOT_FOR_ACTING)}

    @property
    def running(self) -> list[int]:
        """Slots whose run has not ended."""
        return [slot for slot, run in enumerate(self.slots) if run is not None]

    def _runs(self, slots: Sequence[int]) -> list[tuple[int, Run]]:
        """The (slot, run) of these slots, none of which is idle."""
        return [(slot, run) for slot in slots if (run := self.slots[slot]) is not None]

    def lane(self, slot: int) -> Lane:
        """The run in a slot as a value of its own."""
        run = self.slots[slot]
        assert run is not None
        note = None if self.host is None else self.host.note(slot)
        return Lane(run, take(self.state, [slot]), note)

    def lanes(self, slots: Sequence[int]) -> tuple[Tensors, list[LaneSnapshot | None]]:
        """The runs in these slots as one state [n, ...] (a copy), and what each one's environment needs to be restored."""
        return take(self.state, slots), [None if self.host is None else self.host.note(slot) for slot in slots]

    def place(self, slot: int, lane: Lane) -> None:
        """Put a lane of the same cohort into an idle slot."""
        assert self.slots[slot] is None
        self.slots[slot] = lane.run
        for name, tensor in lane.state.items():
            self.state[name][slot] = tensor[0]
        own = numbers(stack([lane.run.variant]))
        for name, tensor in numbers(self.variant).items():
            tensor[slot] = own[name][0]
        if self.host is not None:
            self.host.place(slot, lane.env_note, self.state)

    def vacate(self, slot: int) -> None:
        """Stop a slot's run here: the slot is idle."""
        self.slots[slot] = None
        self.state["alive"][slot] = False

    def advance(self, ticks: int) -> dict[int, Events]:
        """Run up to `ticks` steps of every running lane; returns what happened by slot. Lanes that ended have left their slots' books
        with `status` set, but keep their state until the slot is placed anew or vacated."""
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
        replay = state["replay"].view(-1, state["replay"].shape[2]) if self.learns else None
        rule = self.variant.target
        moves_by_tick = self.learns and isinstance(rule, Periodic) and not rule.moves_after_updates
        self._ahead.forget()
        for t in range(span):
            explores, uniform_action = noise.explores[t], noise.uniform_action[t]
            if self.pixels is not None:
                uniform_action = self.pixels.actions(self.state, explores, uniform_action)
            if self.env is not None and noise.first_states is not None:
                row, at, ended = self._all.tick(
                    self._acting, self.variant, explores, uniform_action, noise.first_states, episodes, self.env
                )
            else:
                row, at, ended = self._host_tick(explores, uniform_action)
            record[t] = ended
            if replay is not None:
                replay.index_copy_(0, at, row)
                if self._learns_by_episode:
                    self._learn_by_episode(ended, replay)
                for update_step, chunk in due[t]:
                    start, width = self.layout[chunk]
                    for place in places[update_step, :, start : start + width]:
                        self._update(chunk, place, replay)
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

    def _update(self, chunk: int, place: Tensor, replay: Tensor) -> None:
        """Update a chunk of lanes on the minibatches at these places [width, B] of the replay, in parts where the variant has it so."""
        rows = replay.index_select(0, place.reshape(-1)).view(*place.shape, -1)
        count = self.variant.steps_per_minibatch
        if count == 1:
            self._update_once(chunk, rows)
            return
        for part in rows.unflatten(1, (count, -1)).transpose(0, 1).contiguous():
            self._update_once(chunk, part)

    def _update_once(self, chunk: int, rows: Tensor) -> None:
        if self.pixels is None:
            self._each[chunk].update(*self._chunks[chunk], rows)
        else:
            start, width = self.layout[chunk]
            frames = self.state["frames"][start : start + width] if "frames" in self.state else None
            self._each[chunk].update(*self._chunks[chunk], rows, self.pixels.transitions(rows, frames))

    def _learn_by_episode(self, ended: Tensor, replay: Tensor) -> None:
        due = episodic.mark_due(self.state, self.variant, ended)
        if not due.any():
            return
        places = self._ahead.places(due)
        for chunk, (start, width) in enumerate(self.layout):
            if due[start : start + width].any():
                for place in places[:, start : start + width]:
                    self._update(chunk, place, replay)

    def _end_episodes(self, ended: Tensor) -> bool:
        """What else happens where training episodes ended; whether lanes were validated."""

        def play(episodes: validating.Validation) -> None:
            episodes.lanes = {**self._acting}
            if self.validation_env is not None:
                step: validating.Step = self._all.validation_step
                if self.pixels is not None:
                    step = self.pixels.validation_step(step)
                validating.validate_tensor_env(step, episodes, self.validation_env)
            else:
                assert self.host is not None
                choose = self._all.choose if self.pixels is None else self.pixels.validation_actions
                validating.validate_gymnasium(choose, episodes, self.host.validation_envs)

        return episodic.end_episodes(
            self.state, self.variant, self._counts_warmup, ended, self.info.num_actions, play, self._move
        )

    def _host_tick(self, explores: Tensor, uniform_action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self.host is not None
        obs_tm1 = self.state["obs"].clone()
        action = self._all.choose(self._acting, self.variant, explores, uniform_action, obs_tm1)
        outcome = self.host.step(action, self.state)
        described: tuple[Tensor, Tensor, Tensor] = self._all.absorb(
            self._acting, self.variant, obs_tm1=obs_tm1, action=action, **outcome
        )
        self.host.reset_ended(described[2], self.state, outcome["obs_t"])
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
        for (start, width), each, (lanes, variant) in zip(self.layout, self._each, self._chunks, strict=True):
            if moves[start : start + width].any():
                each.move_target(lanes, variant, moves[start : start + width])
