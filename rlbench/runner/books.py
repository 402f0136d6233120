"""What is kept of runs beside their lanes while they train, and how it gets into the store.

In: the events of lanes. Out: lanes from their stored states, rows, checkpoints and outcomes in the store, progress by variant. Decides
nothing: who trains which lanes for how long is the caller's.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlbench.config import run_id
from rlbench.config.sources import has_own_choice
from rlbench.lanes.lane import Events, Lane
from rlbench.lanes.lane_state import final_weights, initial_state, of_now
from rlbench.lanes.platform import ENGINE, platform_of
from rlbench.lanes.tensors import Tensors
from rlbench.runner.plan import Task, total_steps
from rlbench.runner.updates import VariantProgress
from rlbench.store import Checkpoint, CheckpointLane, Finished, Program, RowDigest, run_digest

RECENT_EPISODES = 20
COLUMNS = {
    "episodes": ("episode", "env_steps", "length", "episode_return", "terminated"),
    "evaluations": ("env_steps", "episode", "episode_return", "length"),
    "diagnostics": ("env_steps", "updates", "loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance"),
}


@dataclass
class Book:
    """What is kept of one run."""

    task: Task
    digest: RowDigest
    wall_s: float
    env_steps: int = 0
    episodes: int = 0
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))


class OtherPlatformError(Exception):
    """A run cannot be trained here: its stored state is of a platform whose bits are not ours, or its code is not ours."""


class Books:
    """The books of the runs that one program holds; `ended` has the final env_steps of those that have ended."""

    def __init__(self, program: Program, launcher: str) -> None:
        self.program, self.launcher = program, launcher
        self.books: dict[str, Book] = {}
        self.ended: dict[str, int] = {}
        self._rows = _no_rows()
        self._finished: list[Finished] = []

    def open_lane(self, task: Task) -> Lane:
        """The run from its stored state, or from its beginning. Raises OtherPlatformError."""
        if has_own_choice(task.run.variant) and run_id(task.run) != task.run_id:
            raise OtherPlatformError("the code of its own choices has changed since the command began: give it again")
        stored = self.program.checkpoint_of(task.run_id)
        if stored is None:
            self.books[task.run_id] = Book(task, RowDigest(), 0.0)
            return Lane(task.run, initial_state(task.run))
        platform = platform_of(task.run)
        if stored.meta["platform"] != platform:
            raise OtherPlatformError(
                f"it was begun on {stored.meta['platform']} and this is {platform}: the bits would not go on;"
                " continue it there, or take another store"
            )
        book = Book(task, RowDigest(stored.meta["rows"]), stored.meta["wall_s"], stored.env_steps)
        book.episodes = int(stored.tensors["episodes"][0])
        book.returns.extend(stored.meta["returns"])
        self.books[task.run_id] = book
        return Lane(task.run, of_now(task.run, stored.tensors), stored.meta["env"])

    def record(self, run_id: str, env_steps: int, events: Events, seconds: float) -> None:
        """Take in what happened to a run until `env_steps`."""
        book = self.books[run_id]
        book.wall_s += seconds
        book.env_steps = env_steps
        for table, columns in advance_digest(book.digest, events).items():
            self._rows[table]["run_id"] += [run_id] * len(columns["env_steps"])
            for name, values in columns.items():
                self._rows[table][name] += values
        book.episodes += len(events.episodes)
        book.returns.extend(row[3] for row in events.episodes)

    def finish(self, run_id: str, state: Tensors, slot: int, status: str) -> None:
        """The run in this slot of a state has ended with this status; stored at the next commit."""
        book = self.books[run_id]
        weights = final_weights(book.task.run, state, slot)
        end = end_of(state, slot, status)
        error = f"loss or weights stopped being finite at step {end['env_steps']}" if status == "diverged" else ""
        self._finished.append(
            Finished(
                run_id=run_id,
                **end,
                wall_s=book.wall_s,
                digest=run_digest(book.digest, weights, end),
                error=error,
                weights=weights or None,
            )
        )
        self.ended[run_id] = book.env_steps

    def commit(self, run_ids: Sequence[str], state: Tensors, env_notes: Sequence[Any]) -> None:
        """Store the rows and ends since the last commit, and the state of these runs, which are all that have not ended.

        state: each tensor [runs, ...], in the order of `run_ids`; env_notes: what their environments need to be restored, or None.
        """
        checkpoint = None
        if run_ids:
            described = [
                CheckpointLane(run_id, self.books[run_id].env_steps, self._meta(run_id, note))
                for run_id, note in zip(run_ids, env_notes, strict=True)
            ]
            checkpoint = Checkpoint(state, described)
        self.program.commit(self._rows, checkpoint, self._finished, self._platform(), self.launcher)
        self._rows, self._finished = _no_rows(), []

    def _platform(self) -> str:
        """That of the runs, which are lanes of one program."""
        book = next(iter(self.books.values()), None)
        return ENGINE if book is None else platform_of(book.task.run)

    @property
    def has_unstored_ends(self) -> bool:
        """Whether a run has ended since the last commit."""
        return bool(self._finished)

    def _meta(self, run_id: str, env_note: Any) -> dict[str, Any]:
        book = self.books[run_id]
        return {
            "rows": book.digest.state(),
            "wall_s": book.wall_s,
            "returns": list(book.returns),
            "env": env_note,
            "platform": platform_of(book.task.run),
        }

    def progress(self, tasks: Iterable[Task], running: Iterable[str]) -> dict[str, VariantProgress]:
        """By variant, what these runs have done; `running` are those that have a lane."""
        shares: dict[str, list[Task]] = {}
        for task in tasks:
            shares.setdefault(task.variant, []).append(task)
        going = set(running)
        per_variant: dict[str, VariantProgress] = {}
        for variant, own in shares.items():
            books = [self.books[task.run_id] for task in own if task.run_id in self.books]
            returns = [value for book in books for value in book.returns]
            per_variant[variant] = VariantProgress(
                done_steps=sum(book.env_steps for book in books),
                total_steps=total_steps([task.run for task in own]),
                runs_done=sum(task.run_id in self.ended for task in own),
                runs_total=len(own),
                recent_return=sum(returns) / len(returns) if returns else None,
                lanes_running=sum(task.run_id in going for task in own),
                runs_share=sum(1.0 if book.task.run_id in self.ended else _share(book) for book in books),
            )
        return per_variant


def _share(book: Book) -> float:
    """How much of its budget a run has used up."""
    budget = book.task.run.budget
    done, whole = (book.env_steps, budget.steps) if budget.steps is not None else (book.episodes, budget.episodes)
    return min(done / whole, 1.0) if whole else 0.0


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
