"""Runs of one cohort that train to given steps, or to their ends, and wait there.

In: runs, and for each the step to reach. Out: rows, checkpoints and ends in the store, and the evaluation points passed on the way. A run
may be ended early, as `pruned`, at the step that it has reached. What a lane computes does not depend on anything decided here: spans,
commits, and who has a lane when only cut the work. Knows nothing of trials.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from rlbench.config.plan import PlannedRun
from rlbench.lanes.fast.chunks import chunks
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.lane import Events, Lane
from rlbench.lanes.training.lane_state import join
from rlbench.lanes.training.trainer import Trainer
from rlbench.runner.journal import Journal, OtherPlatformError
from rlbench.runner.updates import VariantProgress
from rlbench.runner.worker import WorkerSettings
from rlbench.store import Store
from rlbench.store.records import FINAL_STATUSES

CLAIM_POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1.0  # of waiting without a word
SPAN_SECONDS = 0.7  # how long a span should take: bounds the wait for a stop request and the pace of the live view
FIRST_TICKS = 64


class Cohort:
    """Runs of one cohort under way.

    points: run_id -> {env_steps: mean return} of every evaluation made here; statuses: how runs ended; refused: why a run cannot be
    trained here. `report` is told the lane-steps a second after each span.
    """

    def __init__(
        self,
        store: Store,
        settings: WorkerSettings,
        should_stop: Callable[[], bool],
        report: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.store, self.settings, self.should_stop, self.report = store, settings, should_stop, report
        self.program = store.program([], settings.lease_seconds)
        self.journal = Journal(self.program, settings.launcher)
        self.points: dict[str, dict[int, float]] = {}
        self.runs: dict[str, PlannedRun] = {}
        self.statuses: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.env_steps_done = 0
        self._trainer: Trainer | None = None
        self._slots: dict[int, str] = {}
        self._parked: dict[str, Lane] = {}
        self._waiting: dict[str, PlannedRun] = {}
        self._last_commit = time.monotonic()

    def close(self) -> None:
        """Let go of the runs; those that have not ended go on from their last commit."""
        self.program.close()

    @property
    def live(self) -> set[str]:
        """The runs held here that have not ended, with a lane or waiting for one."""
        return {*self._slots.values(), *self._parked, *self._waiting}

    def add(self, runs: Iterable[PlannedRun], *, waits: bool = True) -> bool:
        """Take runs in. What another program holds is waited for, or left to it; False when stopped while waiting."""
        wanted = {run.run_id: run for run in runs if run.run_id not in self.runs}
        waited = 0.0
        while wanted:
            self._claim(wanted)
            if not wanted or not waits:
                break
            if self.should_stop():
                return False
            waited += CLAIM_POLL_SECONDS
            if waited - CLAIM_POLL_SECONDS < PATIENCE_SECONDS <= waited:
                who = ", ".join(self.store.holders(wanted)) or "another command"
                print(f"{len(wanted)} runs are being trained by {who}; waiting for them", file=sys.stderr, flush=True)
            time.sleep(CLAIM_POLL_SECONDS)
        return True

    def _claim(self, wanted: dict[str, PlannedRun]) -> None:
        """Move what is free, or has ended, from `wanted` to here."""
        self.program.claim(wanted)
        outcomes, held = self.store.outcomes(), set(self.program.run_ids)
        for run_id, run in list(wanted.items()):
            if run_id in held:
                self._waiting[run_id] = run
            elif run_id in outcomes and outcomes[run_id]["status"] in FINAL_STATUSES:
                self.statuses[run_id] = str(outcomes[run_id]["status"])
            else:
                continue
            self.runs[run_id] = wanted.pop(run_id)

    def advance(self, targets: Mapping[str, int]) -> bool:
        """Train each of these runs to its step, or to its end; False when a stop was asked for, which ends with a commit."""
        ticks, reported = FIRST_TICKS, time.monotonic()
        while chosen := self._chosen(targets):
            trainer = self._seat(chosen)
            begin, span = time.monotonic(), min(ticks, *(self._left(run_id, targets) for run_id in chosen))
            events = trainer.advance(span)
            seconds = time.monotonic() - begin
            self.env_steps_done += span * len(events)
            self._record(trainer, events, seconds)
            stopping = self.should_stop()
            if stopping or time.monotonic() - self._last_commit >= self.settings.checkpoint_seconds:
                self.commit()
            now = time.monotonic()
            self.report(span * len(events) / max(now - reported, 1e-9))
            reported = now
            if stopping:
                return False
            ticks = next_ticks(trainer, span, seconds)
        if not self._slots:
            self._trainer = None  # its memory is for the next cohort
        return True

    def prune(self, run_ids: Iterable[str]) -> None:
        """End these runs where they are. What has ended already stays as it ended."""
        for run_id in self.live.intersection(run_ids):
            self._park([run_id])
            if self._is_opened(run_id):
                self._end(run_id, self._parked.pop(run_id).state, 0, "pruned")

    def release(self) -> None:
        """Forget runs that have ended or are refused: nobody will ask for their points again."""
        for run_id in self.runs.keys() - self.live:
            for known in (self.runs, self.points, self.statuses, self.refused, self.journal.entries):
                known.pop(run_id, None)

    def commit(self) -> None:
        """Store everything up to here."""
        run_ids, states = list(self._parked), [lane.state for lane in self._parked.values()]
        notes = [lane.env_note for lane in self._parked.values()]
        if self._trainer is not None and self._slots:
            seated, seated_notes = self._trainer.lanes(list(self._slots))
            run_ids += self._slots.values()
            states.append(seated)
            notes += seated_notes
        # Joining copies, and hundreds of lanes are hundreds of megabytes: not where there is nothing to join.
        self.journal.commit(run_ids, join(states) if len(states) > 1 else states[0] if states else {}, notes)
        self._last_commit = time.monotonic()

    def progress(self) -> dict[str, VariantProgress]:
        """By variant, what the runs have done that were or are held here."""
        ours = [run for run_id, run in self.runs.items() if run_id in self.journal.entries or run_id in self._waiting]
        return self.journal.progress(ours, self._slots.values())

    def _left(self, run_id: str, targets: Mapping[str, int]) -> int:
        return targets[run_id] - self.journal.entries[run_id].env_steps

    def _chosen(self, targets: Mapping[str, int]) -> list[str]:
        """The runs to train now: those that have a slot, then others, as many as there may be lanes."""
        seated = list(self._slots.values())
        chosen = [run_id for run_id in seated if run_id in targets and self._left(run_id, targets) > 0]
        for run_id in targets:
            if len(chosen) >= self.settings.max_lanes:
                break
            if self._is_opened(run_id) and self._left(run_id, targets) > 0:
                chosen.append(run_id)
        return chosen

    def _is_opened(self, run_id: str) -> bool:
        """Whether the run has a parked lane; one that waits for it is given it here, unless it is refused."""
        if run_id in self._waiting:
            try:
                self._parked[run_id] = self.journal.open_lane(self._waiting.pop(run_id))
            except OtherPlatformError as error:
                self.refused[run_id] = str(error)
                self.program.release([run_id])
        return run_id in self._parked

    def _record(self, trainer: Trainer, events: Mapping[int, Events], seconds: float) -> None:
        for slot, lane_events in events.items():
            run_id = self._slots[slot]
            self.journal.record(run_id, int(trainer.state["env_steps"][slot]), lane_events, seconds)
            self._note(run_id, lane_events.evaluations)
            if lane_events.status is not None:
                self._end(run_id, trainer.state, slot, lane_events.status)
                del self._slots[slot]
                trainer.vacate(slot)

    def _note(self, run_id: str, evaluations: list[tuple[int, int, float, int]]) -> None:
        by_step: dict[int, list[float]] = {}
        for env_steps, _, episode_return, _ in evaluations:
            by_step.setdefault(env_steps, []).append(episode_return)
        self.points.setdefault(run_id, {}).update(
            {at: math.fsum(values) / len(values) for at, values in by_step.items()}
        )

    def _end(self, run_id: str, state: Tensors, slot: int, status: str) -> None:
        self.journal.finish(run_id, state, slot, status)
        self.statuses[run_id] = status

    def _park(self, run_ids: Iterable[str]) -> None:
        slots = {run_id: slot for slot, run_id in self._slots.items()}
        for run_id in run_ids:
            if run_id in slots:
                assert self._trainer is not None
                self._parked[run_id] = self._trainer.lane(slots[run_id])
                self._trainer.vacate(slots[run_id])
                del self._slots[slots[run_id]]

    def _seat(self, chosen: list[str]) -> Trainer:
        """A trainer in whose slots are exactly these runs; a new one where they are too many for it, or half of its slots would be idle."""
        self._park(set(self._slots.values()) - set(chosen))
        if self._trainer is not None:
            slots, width = self._trainer.slots, self._trainer.width
            wanted = sum(chunks(len(chosen), width)[-1])
            if wanted == len(slots) or len(slots) // 2 < len(chosen) <= len(slots):
                idle = [slot for slot, run in enumerate(slots) if run is None]
                waiting = [run_id for run_id in chosen if run_id in self._parked]
                for slot, run_id in zip(idle, waiting, strict=False):
                    self._trainer.place(slot, self._parked.pop(run_id))
                    self._slots[slot] = run_id
                return self._trainer
            self._park(list(self._slots.values()))
        self._trainer = Trainer([self._parked.pop(run_id) for run_id in chosen])
        self._slots = dict(enumerate(chosen))
        return self._trainer


def next_ticks(trainer: Trainer, ticks: int, seconds: float) -> int:
    """Aim at spans of SPAN_SECONDS, in whole update periods so that refilled lanes learn at the same steps as their neighbours."""
    period = trainer.variant.update_period
    wanted = min(max(ticks * SPAN_SECONDS / max(seconds, 1e-3), ticks / 4, 8), ticks * 4, 20_000)
    return max(1, round(wanted / period)) * period
