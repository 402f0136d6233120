"""The lane engine: many runs of one cohort trained as lanes of one program.

In go runs of one structure, each fresh or from a checkpoint; out come the rows that they produce and which lanes have ended. A lane's bits
do not depend on its slot, its neighbours, the number of slots, or where `advance` is cut. Knows nothing of files, W&B or Optuna.

How a span of steps runs: the schedule (which chunk of lanes has an update at which step) is decided beforehand from the counters,
random numbers are drawn ahead, then each step is one call for all lanes and one call per chunk that learns. Spans end where any lane has
an evaluation, a diagnostics row or the end of its budget, so nothing inside a span looks at a value.
"""

import dataclasses
import functools
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.lanes import acting, episodic, evaluation, validating
from rlbench.lanes.choice import numbers, stack, with_numbers
from rlbench.lanes.chunks import chunk_width, chunks
from rlbench.lanes.compiling import compiled
from rlbench.lanes.environments import HostEnvironments
from rlbench.lanes.lane_state import ENDLESS, join, take
from rlbench.lanes.noise import MAX_SPAN, acting_noise, replay_places, span_length
from rlbench.lanes.observing import observed, observed_env
from rlbench.lanes.pixel_lanes import pixel_lanes
from rlbench.lanes.targets import Periodic
from rlbench.lanes.update import Tensors, group, is_due, move_target, update
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Run, Variant

VALIDATING_SPAN = 64  # steps to draw ahead where validations cut spans short


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


class Computations:
    """The compiled computations of all slots at once."""

    def __init__(self) -> None:
        self.tick = compiled(acting.tick, ("explores", "uniform_action", "first_states", "base_episodes"))
        self.choose = compiled(acting.choose, ("explores", "uniform_action", "obs"))
        self.absorb = compiled(acting.absorb)
        self.validation_step = compiled(
            validating.validation_step, ("explores", "uniform_action", "state", "going", "returns", "lengths")
        )


class ChunkComputations:
    """The compiled computations of a chunk of lanes."""

    def __init__(self) -> None:
        self.update = compiled(update, ("rows",))
        self.move_target = compiled(move_target, ("moves",))
        self.evaluation_step = compiled(evaluation.evaluation_step, ("state", "going", "uniform_action"))
        self.greedy_actions = compiled(evaluation.greedy_actions, ("obs", "uniform_action"))


@functools.cache
def computations(cohort_key: Hashable, num_slots: int) -> Computations:
    """One set for each structure and number of slots: compiled once in a process, shared by all its trainers."""
    return Computations()


@functools.cache
def chunk_computations(cohort_key: Hashable, width: int) -> ChunkComputations:
    """One set for each structure and chunk width."""
    return ChunkComputations()


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
        self.num_eval_episodes = first.evaluation.episodes
        rule = first.variant.validation
        limits = self._limit(first.evaluation.max_env_steps), self._limit(getattr(rule, "max_env_steps", None))
        self.evaluation_env, self.validation_env = (observed_env(first, limit) for limit in limits)
        self.width = chunk_width(first)
        self.layout = chunks(len(lanes), self.width)
        num_slots = self.layout[-1][0] + self.layout[-1][1]
        idle = [take(lanes[0].state, [0])] * (num_slots - len(lanes))
        self.state = join([lane.state for lane in lanes] + idle)
        self.state["alive"][len(lanes) :] = False
        self.slots: list[Run | None] = [lane.run for lane in lanes] + [None] * len(idle)
        self.variant: Variant = stack([lane.run.variant for lane in lanes] + [first.variant] * len(idle))
        self.host = None
        if self.env is None:
            self.host = HostEnvironments(first.env, num_slots, self.width * self.num_eval_episodes, *limits)
            for slot, lane in enumerate(lanes):
                self.host.place(slot, lane.env_note, self.state)
        self._key = first.cohort_key()
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
            own = {name: tensor[window] for name, tensor in self.state.items() if name not in ("env", "obs")}
            self._chunks.append((own, with_numbers(self.variant, {k: v[window] for k, v in values.items()})))
        self._acting = {
            k: v
            for k, v in self.state.items()
            if not k.startswith(("target", "optimizer.", "power.", "replay", "last.", "best.", "best_norm."))
        }

    @property
    def running(self) -> list[int]:
        """Slots whose run has not ended."""
        return [slot for slot, run in enumerate(self.slots) if run is not None]

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
            span = min(ticks, self._longest_span, self._steps_to_event(going))
            ticks -= self._run_span(span, events)
        return events

    def _steps_to_event(self, going: list[int]) -> int:
        env_steps = self.state["env_steps"].numpy()
        ticks = ENDLESS
        for slot in going:
            run, steps = self.slots[slot], int(env_steps[slot])
            assert run is not None
            distance = run.evaluation.period - steps % run.evaluation.period
            distance = min(distance, run.diagnostics.period - steps % run.diagnostics.period)
            if run.budget.steps is not None:
                distance = min(distance, run.budget.steps - steps)
            ticks = min(ticks, distance)
        return ticks

    @torch.no_grad()
    def _run_span(self, span: int, events: dict[int, Events]) -> int:
        """Run up to `span` steps of every lane; returns how many: a validation ends a span, because it changes what comes after."""
        state = self.state
        base, base_episodes = state["env_steps"].numpy().copy(), state["episodes"].numpy().copy()
        noise = acting_noise(state, self.variant, span, self.info.num_actions, self.env)
        episodes = state["episodes"].clone()
        due, places = self._due(base, span)
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
        self._collect(base, base_episodes, record[:span].numpy(), noise.epsilon.numpy(), events)
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
            self._each[chunk].update(*self._chunks[chunk], rows, self.pixels.transitions(rows))

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
                validating.validate_gymnasium(self._all.choose, episodes, self.host.validation_envs)

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

    def _due(self, base: np.ndarray, span: int) -> tuple[list[list[tuple[int, int]]], Tensor]:
        """The updates of a span: for each step the (update step, chunk) in which some lane may learn; and the places of the minibatches,
        [update steps, updates per period, lanes, batch] int64."""
        if not self.learns or self._learns_by_episode:
            return [[]] * span, torch.zeros(0)
        variant = self.variant
        steps = base[None] + np.arange(1, span + 1)[:, None]
        occupied = np.array([run is not None for run in self.slots])
        lane_due = occupied & (steps >= variant.replay.warmup) & (steps % variant.update_period == 0)
        by_chunk = np.stack([lane_due[:, start : start + width].any(1) for start, width in self.layout], 1)
        update_steps = np.flatnonzero(by_chunk.any(1))
        per_period = variant.updates_per_period
        done = self.state["updates"].numpy() // variant.steps_per_minibatch
        earlier = (np.cumsum(lane_due, 0) - lane_due)[update_steps] * per_period + done
        ordinals = (earlier[:, None] + np.arange(per_period)[:, None]).reshape(-1, len(base))
        sizes = np.repeat(steps[update_steps], per_period, 0)
        places = replay_places(self.state, variant, ordinals, sizes).unflatten(0, (len(update_steps), per_period))
        which = {int(t): i for i, t in enumerate(update_steps)}
        return [[(which[t], int(chunk)) for chunk in np.flatnonzero(row)] for t, row in enumerate(by_chunk)], places

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

    def _collect(
        self,
        base: np.ndarray,
        base_episodes: np.ndarray,
        record: np.ndarray,
        epsilons: np.ndarray,
        events: dict[int, Events],
    ) -> None:
        state = self.state
        env_steps, diverged_at = state["env_steps"].numpy(), state["diverged_at"].numpy()
        ended_t, ended_slot = np.nonzero(record[:, :, 0])
        seen = base_episodes.copy()
        for t, slot in zip(ended_t.tolist(), ended_slot.tolist(), strict=True):
            at = int(base[slot]) + t + 1
            if slot not in events or 0 <= diverged_at[slot] < at:
                continue
            _, length, episode_return, terminated = record[t, slot].tolist()
            events[slot].episodes.append((int(seen[slot]), at, int(length), episode_return, bool(terminated)))
            seen[slot] += 1
        at_evaluation: list[int] = []
        for slot in self.running:
            run, at = self.slots[slot], int(env_steps[slot])
            assert run is not None
            if at == base[slot] or events[slot].status is not None:
                continue
            evaluates, diagnoses = at % run.evaluation.period == 0, at % run.diagnostics.period == 0
            ends = at >= int(state["budget_steps"][slot]) or state["episodes"][slot] >= state["budget_episodes"][slot]
            if diverged_at[slot] < 0 and (evaluates or diagnoses or ends) and self._weights_are_broken(slot):
                state["diverged_at"][slot] = at
                state["alive"][slot] = False
            if diverged_at[slot] >= 0:
                events[slot].status = "diverged"
                continue
            if evaluates or (ends and run.evaluation.at_end):
                at_evaluation.append(slot)
            if diagnoses:
                events[slot].diagnostics.append(self._diagnose(slot, epsilons[slot, at - int(base[slot]) - 1]))
            if ends:
                events[slot].status = "done"
                if "best.0" in state:
                    episodic.take_best(state, slot)
        if at_evaluation:
            self._evaluate(at_evaluation, events)

    def _weights_are_broken(self, slot: int) -> bool:
        """Whether an update gave weights that are not finite; looked at before a row describes them."""
        return any(not bool(p[slot].isfinite().all()) for p in group(self.state, "online"))

    def _diagnose(self, slot: int, epsilon: float) -> tuple[int, int, float, float, float, float, float, float]:
        state = self.state
        if not self.learns:
            nan = float("nan")
            return int(state["env_steps"][slot]), 0, nan, nan, nan, nan, float(epsilon), nan
        loss, q_mean, q_max, grad_norm = (
            float(state[f"last.{name}"][slot]) for name in ("loss", "q_mean", "q_max", "grad_norm")
        )
        squares = [
            float(((o[slot].double() - t[slot].double()) ** 2).sum())
            for o, t in zip(group(state, "online"), group(state, "target"), strict=False)
        ]
        counts = int(state["env_steps"][slot]), int(state["updates"][slot])
        return *counts, loss, q_mean, q_max, grad_norm, float(epsilon), sum(squares) ** 0.5

    def _evaluate(self, slots: list[int], events: dict[int, Events]) -> None:
        for begin in range(0, len(slots), self.width):
            some = slots[begin : begin + self.width]
            width = chunks(len(some), self.width)[0][1]
            padded = torch.tensor(some + [some[0]] * (width - len(some)))
            ordinal = torch.tensor([self._ordinal(int(slot)) for slot in padded])
            each = chunk_computations(self._key, width)
            lanes = evaluation.evaluation_lanes(self.state, padded, ordinal)
            if self.evaluation_env is not None:
                step: evaluation.Step = each.evaluation_step
                if self.pixels is not None:
                    step = self.pixels.evaluation_step(step)
                returns, lengths = evaluation.evaluate_tensor_env(
                    step, lanes, self.variant_of(padded), self.evaluation_env, self.num_eval_episodes
                )
            else:
                assert self.host is not None
                returns, lengths = evaluation.evaluate_gymnasium(
                    each.greedy_actions,
                    lanes,
                    self.variant_of(padded),
                    self.host.evaluation_envs,
                    self.num_eval_episodes,
                )
            for row, slot in enumerate(some):
                at = int(self.state["env_steps"][slot])
                pairs = zip(returns[row].tolist(), lengths[row].tolist(), strict=True)
                events[slot].evaluations += [
                    (at, episode, value, length) for episode, (value, length) in enumerate(pairs)
                ]

    def _ordinal(self, slot: int) -> int:
        run = self.slots[slot]
        assert run is not None
        return int(self.state["env_steps"][slot]) // run.evaluation.period

    def variant_of(self, slots: Tensor) -> Variant:
        """The stacked variant of the chosen slots [n] int64."""
        return with_numbers(self.variant, {name: tensor[slots] for name, tensor in numbers(self.variant).items()})
