"""Lanes of one cohort that train to given steps and wait there: what a study needs between two decisions.

In: runs, and for each the step to reach. Out: rows, checkpoints and ends in the store, and the evaluation points passed on the way. A run
may be ended early, as `pruned`, at the step that it has reached. Knows nothing of trials.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from rlbench.errors import StoreError
from rlbench.lanes.chunks import chunks
from rlbench.lanes.lane import Lane
from rlbench.lanes.lane_state import join
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.trainer import Trainer
from rlbench.runner.books import Books, OtherPlatformError
from rlbench.runner.job import FIRST_TICKS, next_ticks
from rlbench.runner.plan import Task
from rlbench.store import Store
from rlbench.store.holders import PATIENCE_SECONDS
from rlbench.store.records import FINAL_STATUSES

CLAIM_POLL_SECONDS = 0.2


class RungRun:
    """Runs of one cohort under way. `points` has run_id -> {env_steps: mean return} of every evaluation made here."""

    def __init__(self, store: Store, checkpoint_seconds: float, launcher: str, should_stop: Callable[[], bool]) -> None:
        self.store, self.checkpoint_seconds, self.should_stop = store, checkpoint_seconds, should_stop
        self.program = store.program([])
        self.books = Books(self.program, launcher)
        self.points: dict[str, dict[int, float]] = {}
        self.tasks: dict[str, Task] = {}
        self.statuses: dict[str, str] = {}
        self.env_steps_done = 0
        self._trainer: Trainer | None = None
        self._slots: dict[int, str] = {}
        self._parked: dict[str, Lane] = {}
        self._last_commit = time.monotonic()

    def close(self) -> None:
        """Let go of the runs; those that have not ended go on from their last commit."""
        self.program.close()

    @property
    def live(self) -> set[str]:
        """The runs that have a lane here."""
        return {*self._slots.values(), *self._parked}

    def add(self, tasks: Iterable[Task]) -> bool:
        """Take runs in, from where they are; what another program still holds is waited for. False when stopped meanwhile."""
        wanted = {task.run_id: task for task in tasks if task.run_id not in self.tasks}
        waited = 0.0
        while wanted:
            self.program.claim(wanted)
            outcomes = self.store.outcomes()
            held = set(self.program.run_ids)
            for run_id, task in list(wanted.items()):
                if run_id in held:
                    self._parked[run_id] = self._open(task)
                elif run_id in outcomes and outcomes[run_id]["status"] in FINAL_STATUSES:
                    self.statuses[run_id] = str(outcomes[run_id]["status"])
                else:
                    continue
                self.tasks[run_id] = wanted.pop(run_id)
            if wanted:
                if self.should_stop():
                    return False
                waited += CLAIM_POLL_SECONDS
                if waited - CLAIM_POLL_SECONDS < PATIENCE_SECONDS <= waited:
                    who = ", ".join(self.store.holders(wanted)) or "another command"
                    print(
                        f"{len(wanted)} runs are being trained by {who}; waiting for them", file=sys.stderr, flush=True
                    )
                time.sleep(CLAIM_POLL_SECONDS)
        return True

    def advance(self, targets: Mapping[str, int]) -> bool:
        """Train each of these runs to its step, or to its end; False when a stop was asked for, which ends with a commit."""
        ticks = FIRST_TICKS
        while True:
            left = {run_id: targets[run_id] - self.books.books[run_id].env_steps for run_id in self.live & set(targets)}
            going = [run_id for run_id in self.tasks if left.get(run_id, 0) > 0]
            if not going:
                return True
            trainer = self._seat(going)
            begin, span = time.monotonic(), min(ticks, *(left[run_id] for run_id in going))
            events = trainer.advance(span)
            seconds = time.monotonic() - begin
            self.env_steps_done += span * len(events)
            for slot, lane_events in events.items():
                run_id = self._slots[slot]
                self.books.record(run_id, int(trainer.state["env_steps"][slot]), lane_events, seconds)
                self._note(run_id, lane_events.evaluations)
                if lane_events.status is not None:
                    self._end(run_id, trainer.state, slot, lane_events.status)
                    del self._slots[slot]
                    trainer.vacate(slot)
            ticks = max(1, next_ticks(trainer, span, seconds))
            stopping = self.should_stop()
            if stopping or time.monotonic() - self._last_commit >= self.checkpoint_seconds:
                self.commit()
            if stopping:
                return False

    def prune(self, run_ids: Iterable[str]) -> None:
        """End these runs where they are. What has ended already stays as it ended."""
        for run_id in self.live.intersection(run_ids):
            self._park([run_id])
            self._end(run_id, self._parked.pop(run_id).state, 0, "pruned")

    def release(self, run_ids: Iterable[str]) -> None:
        """Forget runs that have ended, whose points nobody will ask for again."""
        for run_id in set(run_ids) - self.live:
            for known in (self.tasks, self.points, self.statuses, self.books.books):
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
        self.books.commit(run_ids, join(states) if states else {}, notes)
        self._last_commit = time.monotonic()

    def _note(self, run_id: str, evaluations: list[tuple[int, int, float, int]]) -> None:
        by_step: dict[int, list[float]] = {}
        for env_steps, _, episode_return, _ in evaluations:
            by_step.setdefault(env_steps, []).append(episode_return)
        self.points.setdefault(run_id, {}).update(
            {at: math.fsum(values) / len(values) for at, values in by_step.items()}
        )

    def _open(self, task: Task) -> Lane:
        try:
            return self.books.open_lane(task)
        except OtherPlatformError as error:
            raise StoreError(f"run {task.run_id} of the study cannot go on here: {error}") from None

    def _end(self, run_id: str, state: Tensors, slot: int, status: str) -> None:
        self.books.finish(run_id, state, slot, status)
        self.statuses[run_id] = status

    def _park(self, run_ids: Iterable[str]) -> None:
        slots = {run_id: slot for slot, run_id in self._slots.items()}
        for run_id in run_ids:
            if run_id in slots:
                assert self._trainer is not None
                self._parked[run_id] = self._trainer.lane(slots[run_id])
                self._trainer.vacate(slots[run_id])
                del self._slots[slots[run_id]]

    def _seat(self, going: list[str]) -> Trainer:
        """A trainer in whose slots are exactly these runs; a new one where another number of slots fits them."""
        self._park(set(self._slots.values()) - set(going))
        waiting = [run_id for run_id in going if run_id in self._parked]
        if self._trainer is not None:
            layout = chunks(len(going), self._trainer.width)
            if sum(width for _, width in layout) == len(self._trainer.slots):
                idle = [slot for slot, run in enumerate(self._trainer.slots) if run is None]
                for slot, run_id in zip(idle, waiting, strict=False):
                    self._trainer.place(slot, self._parked.pop(run_id))
                    self._slots[slot] = run_id
                return self._trainer
            self._park(list(self._slots.values()))
        self._trainer = Trainer([self._parked.pop(run_id) for run_id in going])
        self._slots = dict(enumerate(going))
        return self._trainer
