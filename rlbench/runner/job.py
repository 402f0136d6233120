"""Training one job against the store: claim, load or start lanes, advance, commit, refill.

In: tasks of one cohort. Out: rows, checkpoints and outcomes in the store; a report after each block. A stop request ends with a commit.
What a lane computes does not depend on anything decided here: block lengths, commits and refills only cut the work.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rlbench.lanes.compiling import platform_name
from rlbench.lanes.lane_state import initial_state
from rlbench.lanes.trainer import Events, Lane, Trainer
from rlbench.lanes.update import Tensors, group
from rlbench.runner.plan import Job, Task, total_steps
from rlbench.runner.progress import VariantProgress
from rlbench.store import Checkpoint, CheckpointLane, Finished, Program, RowDigest, Store, run_digest

BLOCK_SECONDS = 0.7  # how long a block should take: bounds the wait for a stop request and the pace of the live view
FIRST_TICKS = 64
RECENT_EPISODES = 20
COLUMNS = {
    "episodes": ("episode", "env_steps", "length", "episode_return", "terminated"),
    "evaluations": ("env_steps", "episode", "episode_return", "length"),
    "diagnostics": ("env_steps", "updates", "loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance"),
}


@dataclass
class Book:
    """What a job keeps of one run beside its lane."""

    task: Task
    digest: RowDigest
    wall_s: float
    env_steps: int = 0
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))


@dataclass(frozen=True)
class Settings:
    """How a job is run: none of it changes a result."""

    max_lanes: int
    checkpoint_seconds: float
    launcher: str


Report = Callable[[dict[str, VariantProgress], int, float], None]


class OtherPlatformError(Exception):
    """A run's stored state is of a platform whose bits are not ours."""


class JobRun:
    """One job under way. `run` returns True when every claimed run has ended, False when it was stopped."""

    def __init__(
        self, store: Store, job: Job, settings: Settings, should_stop: Callable[[], bool], report: Report
    ) -> None:
        self.store, self.settings, self.should_stop, self.report = store, settings, should_stop, report
        self.tasks = {task.run_id: task for task in job}
        self.books: dict[str, Book] = {}
        self.slots: dict[int, str] = {}
        self.rows: dict[str, dict[str, list[Any]]] = _no_rows()
        self.finished: list[Finished] = []
        self.ended: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        """run_id -> why it cannot be trained here"""

    def run(self) -> bool:
        """Train until all is done or a stop is asked for; commits in both cases."""
        with self.store.program(self.tasks) as program:
            queue = deque(program.run_ids)
            self.claimed = list(queue)
            if not queue:
                return True
            self._fill(program, queue)
            ticks, last_commit, last_block = FIRST_TICKS, time.monotonic(), time.monotonic()
            while self.slots:
                events = self.trainer.advance(ticks)
                now = time.monotonic()
                seconds, last_block = now - last_block, now
                self._record(events, seconds)
                self._refill(program, queue)
                stopping = self.should_stop()
                if stopping or not self.slots or now - last_commit >= self.settings.checkpoint_seconds:
                    self._commit(program)
                    last_commit = time.monotonic()
                self._report(len(events) * ticks / max(seconds, 1e-9))
                if stopping and self.slots:
                    return False
                ticks = self._next_ticks(ticks, seconds)
        return True

    def _next_ticks(self, ticks: int, seconds: float) -> int:
        """Aim at blocks of BLOCK_SECONDS, in whole update periods so that refilled lanes learn at the same steps as their neighbours."""
        period = self.trainer.variant.update_period
        wanted = min(max(ticks * BLOCK_SECONDS / max(seconds, 1e-3), ticks / 4, 8), ticks * 4, 20_000)
        return max(1, round(wanted / period)) * period

    def _next_lane(self, program: Program, queue: deque[str]) -> tuple[str, Lane] | None:
        """The next waiting run that can be trained here."""
        while queue:
            run_id = queue.popleft()
            try:
                return run_id, self._lane(program, run_id)
            except OtherPlatformError as error:
                self.refused[run_id] = str(error)
        return None

    def _lane(self, program: Program, run_id: str) -> Lane:
        """The run from its stored state, or from its beginning."""
        task, stored = self.tasks[run_id], program.checkpoint_of(run_id)
        if stored is None:
            self.books[run_id] = Book(task, RowDigest(), 0.0)
            return Lane(task.run, initial_state(task.run))
        if stored.meta["platform"] != platform_name():
            raise OtherPlatformError(
                f"it was begun on {stored.meta['platform']} and this is {platform_name()}: the bits would not go on;"
                " continue it there, or take another store"
            )
        book = Book(task, RowDigest(stored.meta["rows"]), stored.meta["wall_s"], stored.env_steps)
        book.returns.extend(stored.meta["returns"])
        self.books[run_id] = book
        return Lane(task.run, stored.tensors, stored.meta["env"])

    def _fill(self, program: Program, queue: deque[str]) -> None:
        lanes: list[tuple[str, Lane]] = []
        while len(lanes) < self.settings.max_lanes and (found := self._next_lane(program, queue)):
            lanes.append(found)
        if lanes:
            self.trainer = Trainer([lane for _, lane in lanes])
            self.slots = {slot: run_id for slot, (run_id, _) in enumerate(lanes)}

    def _refill(self, program: Program, queue: deque[str]) -> None:
        """Give the slots of ended runs to waiting ones; shrink to the running lanes once half of the slots are idle."""
        idle = [slot for slot, run in enumerate(self.trainer.slots) if run is None]
        for slot in idle:
            found = self._next_lane(program, queue)
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
            book = self.books[run_id]
            book.wall_s += seconds
            book.env_steps = int(self.trainer.state["env_steps"][slot])
            for table, columns in advance_digest(book.digest, lane_events).items():
                self.rows[table]["run_id"] += [run_id] * len(columns["env_steps"])
                for name, values in columns.items():
                    self.rows[table][name] += values
            book.returns.extend(row[3] for row in lane_events.episodes)
            if lane_events.status is not None:
                self._finish(slot, run_id, lane_events.status)

    def _finish(self, slot: int, run_id: str, status: str) -> None:
        book, state = self.books[run_id], self.trainer.state
        weights = book.task.run.variant.network.named_weights([p[slot : slot + 1] for p in group(state, "online")])
        end = end_of(state, slot, status)
        self.finished.append(
            Finished(
                run_id=run_id,
                **end,
                wall_s=book.wall_s,
                digest=run_digest(book.digest, weights, end),
                error="" if status == "done" else f"loss or weights stopped being finite at step {end['env_steps']}",
                weights=weights or None,
            )
        )
        self.ended[run_id] = book.env_steps
        del self.slots[slot]
        self.trainer.vacate(slot)

    def _commit(self, program: Program) -> None:
        checkpoint = None
        if self.slots:
            state, notes = self.trainer.lanes(list(self.slots))
            described = [
                CheckpointLane(run_id, self.books[run_id].env_steps, self._meta(run_id, note))
                for run_id, note in zip(self.slots.values(), notes, strict=True)
            ]
            checkpoint = Checkpoint(state, described)
        program.commit(self.rows, checkpoint, self.finished, platform_name(), self.settings.launcher)
        self.rows, self.finished = _no_rows(), []

    def _meta(self, run_id: str, env_note: Any) -> dict[str, Any]:
        book = self.books[run_id]
        return {
            "rows": book.digest.state(),
            "wall_s": book.wall_s,
            "returns": list(book.returns),
            "env": env_note,
            "platform": platform_name(),
        }

    def _report(self, lane_steps_per_second: float) -> None:
        shares: dict[str, list[str]] = {}
        for run_id in self.claimed:
            shares.setdefault(self.tasks[run_id].variant, []).append(run_id)
        running = set(self.slots.values())
        per_variant: dict[str, VariantProgress] = {}
        for variant, run_ids in shares.items():
            books = [self.books[run_id] for run_id in run_ids if run_id in self.books]
            returns = [value for book in books for value in book.returns]
            per_variant[variant] = VariantProgress(
                done_steps=sum(book.env_steps for book in books),
                total_steps=total_steps([self.tasks[run_id].run for run_id in run_ids]),
                runs_done=sum(run_id in self.ended for run_id in run_ids),
                runs_total=len(run_ids),
                recent_return=sum(returns) / len(returns) if returns else None,
                lanes_running=sum(run_id in running for run_id in run_ids),
            )
        self.report(per_variant, len(self.slots), lane_steps_per_second)


def end_of(state: Tensors, slot: int, status: str) -> dict[str, Any]:
    """How the run in a slot ended, as its outcome and its digest have it."""
    diverged_at = int(state["diverged_at"][slot])
    return {
        "status": status,
        "env_steps": int(state["env_steps"][slot]) if diverged_at < 0 else diverged_at,
        "updates": int(state["updates"][slot]),
        "episodes": int(state["episodes"][slot]),
    }


def advance_digest(digest: RowDigest, events: Events) -> dict[str, dict[str, list[Any]]]:
    """Feed a lane's new rows to its digest, and return them as columns by table (tables without new rows are left out)."""
    found: dict[str, dict[str, list[Any]]] = {}
    for table, names in COLUMNS.items():
        rows = getattr(events, table)
        if rows:
            found[table] = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
            digest.advance(table, found[table])
    return found


def _no_rows() -> dict[str, dict[str, list[Any]]]:
    return {table: {"run_id": []} | {name: [] for name in columns} for table, columns in COLUMNS.items()}
