"""Training one job against the store: claim, load or start lanes, advance, commit, refill.

In: tasks of one cohort. Out: rows, checkpoints and outcomes in the store; a report after each block. A stop request ends with a commit.
What a lane computes does not depend on anything decided here: block lengths, commits and refills only cut the work.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rlbench.lanes.lane import Events, Lane
from rlbench.lanes.trainer import Trainer
from rlbench.runner.books import Books, OtherPlatformError
from rlbench.runner.plan import Job
from rlbench.runner.updates import VariantProgress
from rlbench.store import Store

BLOCK_SECONDS = 0.7  # how long a block should take: bounds the wait for a stop request and the pace of the live view
FIRST_TICKS = 64


@dataclass(frozen=True)
class Settings:
    """How a job is run: none of it changes a result."""

    max_lanes: int
    checkpoint_seconds: float
    launcher: str


Report = Callable[[dict[str, VariantProgress], int, float], None]


class JobRun:
    """One job under way. `run` returns True when every claimed run has ended, False when it was stopped."""

    def __init__(
        self, store: Store, job: Job, settings: Settings, should_stop: Callable[[], bool], report: Report
    ) -> None:
        self.store, self.settings, self.should_stop, self.report = store, settings, should_stop, report
        self.tasks = {task.run_id: task for task in job}
        self.slots: dict[int, str] = {}
        self.refused: dict[str, str] = {}
        """run_id -> why it cannot be trained here"""

    def run(self) -> bool:
        """Train until all is done or a stop is asked for; commits in both cases."""
        with self.store.program(self.tasks) as program:
            self.books = Books(program, self.settings.launcher)
            queue = deque(program.run_ids)
            self.claimed = list(queue)
            if not queue:
                return True
            self._fill(queue)
            ticks, last_commit, last_block = FIRST_TICKS, time.monotonic(), time.monotonic()
            while self.slots:
                events = self.trainer.advance(ticks)
                now = time.monotonic()
                seconds, last_block = now - last_block, now
                self._record(events, seconds)
                self._refill(queue)
                stopping = self.should_stop()
                if stopping or not self.slots or now - last_commit >= self.settings.checkpoint_seconds:
                    self._commit()
                    last_commit = time.monotonic()
                self._report(len(events) * ticks / max(seconds, 1e-9))
                if stopping and self.slots:
                    return False
                ticks = next_ticks(self.trainer, ticks, seconds)
        return True

    def _next_lane(self, queue: deque[str]) -> tuple[str, Lane] | None:
        """The next waiting run that can be trained here."""
        while queue:
            run_id = queue.popleft()
            try:
                return run_id, self.books.open_lane(self.tasks[run_id])
            except OtherPlatformError as error:
                self.refused[run_id] = str(error)
        return None

    def _fill(self, queue: deque[str]) -> None:
        lanes: list[tuple[str, Lane]] = []
        while len(lanes) < self.settings.max_lanes and (found := self._next_lane(queue)):
            lanes.append(found)
        if lanes:
            self.trainer = Trainer([lane for _, lane in lanes])
            self.slots = {slot: run_id for slot, (run_id, _) in enumerate(lanes)}

    def _refill(self, queue: deque[str]) -> None:
        """Give the slots of ended runs to waiting ones; shrink to the running lanes once half of the slots are idle."""
        idle = [slot for slot, run in enumerate(self.trainer.slots) if run is None]
        for slot in idle:
            found = self._next_lane(queue)
            if found is None:
                break
            self.slots[slot], lane = found
            self.trainer.place(slot, lane)
        if (
            self.slots
            and len(self.slots) <= len(self.trainer.slots) // 2
            and len(self.trainer.slots) > self.trainer.width
        ):
            run_ids = list(self.slots.values())
            self.trainer = Trainer([self.trainer.lane(slot) for slot in self.slots])
            self.slots = dict(enumerate(run_ids))

    def _record(self, events: dict[int, Events], seconds: float) -> None:
        for slot, lane_events in events.items():
            run_id = self.slots[slot]
            self.books.record(run_id, int(self.trainer.state["env_steps"][slot]), lane_events, seconds)
            if lane_events.status is not None:
                self.books.finish(run_id, self.trainer.state, slot, lane_events.status)
                del self.slots[slot]
                self.trainer.vacate(slot)

    def _commit(self) -> None:
        state, notes = self.trainer.lanes(list(self.slots)) if self.slots else ({}, [])
        self.books.commit(list(self.slots.values()), state, notes)

    def _report(self, lane_steps_per_second: float) -> None:
        per_variant = self.books.progress([self.tasks[run_id] for run_id in self.claimed], self.slots.values())
        self.report(per_variant, len(self.slots), lane_steps_per_second)


def next_ticks(trainer: Trainer, ticks: int, seconds: float) -> int:
    """Aim at blocks of BLOCK_SECONDS, in whole update periods so that refilled lanes learn at the same steps as their neighbours."""
    period = trainer.variant.update_period
    wanted = min(max(ticks * BLOCK_SECONDS / max(seconds, 1e-3), ticks / 4, 8), ticks * 4, 20_000)
    return max(1, round(wanted / period)) * period
