"""The journal of runs while they train: what is kept beside their lanes, and how it gets into the store.

In: the events of lanes. Out: lanes from their stored states, rows, checkpoints and outcomes in the store, progress by variant. Decides
nothing: who trains which lanes for how long is the caller's.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlbench.config import run_id
from rlbench.config.plan import PlannedRun
from rlbench.config.sources import has_own_choice
from rlbench.lanes.fast.platform import ENGINE, platform_of
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.lane import Events, Lane
from rlbench.lanes.training.lane_state import final_weights, initial_state, of_now
from rlbench.rows import TABLES
from rlbench.runner.plan import total_steps
from rlbench.runner.updates import VariantProgress
from rlbench.store import Checkpoint, CheckpointLane, Finished, Program, RowDigest, run_digest

RECENT_EPISODES = 20


@dataclass
class Entry:
    """What is kept of one run."""

    planned: PlannedRun
    digest: RowDigest
    wall_s: float
    env_steps: int = 0
    episodes: int = 0
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))


class OtherPlatformError(Exception):
    """A run cannot be trained here: its stored state is of a platform whose bits are not ours, or its code is not ours."""


class Journal:
    """What happened to the runs that one program holds; `ended` has the final env_steps of those that have ended."""

    def __init__(self, program: Program, launcher: str) -> None:
        self.program, self.launcher = program, launcher
        self.entries: dict[str, Entry] = {}
        self.ended: dict[str, int] = {}
        self._rows = _no_rows()
        self._finished: list[Finished] = []

    def open_lane(self, planned: PlannedRun) -> Lane:
        """The run from its stored state, or from its beginning. Raises OtherPlatformError."""
        if has_own_choice(planned.run.variant) and run_id(planned.run) != planned.run_id:
            raise OtherPlatformError("the code of its own choices has changed since the command began: give it again")
        stored = self.program.checkpoint_of(planned.run_id)
        if stored is None:
            self.entries[planned.run_id] = Entry(planned, RowDigest(), 0.0)
            return Lane(planned.run, initial_state(planned.run))
        platform = platform_of(planned.run)
        if stored.meta["platform"] != platform:
            raise OtherPlatformError(
                f"it was begun on {stored.meta['platform']} and this is {platform}: the bits would not go on;"
                " continue it there, or take another store"
            )
        entry = Entry(planned, RowDigest(stored.meta["rows"]), stored.meta["wall_s"], stored.env_steps)
        entry.episodes = int(stored.tensors["episodes"][0])
        entry.returns.extend(stored.meta["returns"])
        self.entries[planned.run_id] = entry
        return Lane(planned.run, of_now(planned.run, stored.tensors), stored.meta["env"])

    def record(self, run_id: str, env_steps: int, events: Events, seconds: float) -> None:
        """Take in what happened to a run until `env_steps`."""
        entry = self.entries[run_id]
        entry.wall_s += seconds
        entry.env_steps = env_steps
        for table, columns in advance_digest(entry.digest, events).items():
            self._rows[table]["run_id"] += [run_id] * len(columns["env_steps"])
            for name, values in columns.items():
                self._rows[table][name] += values
        entry.episodes += len(events.episodes)
        entry.returns.extend(row[3] for row in events.episodes)

    def finish(self, run_id: str, state: Tensors, slot: int, status: str) -> None:
        """The run in this slot of a state has ended with this status; stored at the next commit."""
        entry = self.entries[run_id]
        weights = final_weights(entry.planned.run, state, slot)
        end = end_of(state, slot, status)
        error = f"loss or weights stopped being finite at step {end['env_steps']}" if status == "diverged" else ""
        self._finished.append(
            Finished(
                run_id=run_id,
                **end,
                wall_s=entry.wall_s,
                digest=run_digest(entry.digest, weights, end),
                error=error,
                weights=weights or None,
            )
        )
        self.ended[run_id] = entry.env_steps

    def commit(self, run_ids: Sequence[str], state: Tensors, env_notes: Sequence[Any]) -> None:
        """Store the rows and ends since the last commit, and the state of these runs, which are all that have not ended.

        state: each tensor [runs, ...], in the order of `run_ids`; env_notes: what their environments need to be restored, or None.
        """
        checkpoint = None
        if run_ids:
            described = [
                CheckpointLane(run_id, self.entries[run_id].env_steps, self._meta(run_id, note))
                for run_id, note in zip(run_ids, env_notes, strict=True)
            ]
            checkpoint = Checkpoint(state, described)
        self.program.commit(self._rows, checkpoint, self._finished, self._platform(), self.launcher)
        self._rows, self._finished = _no_rows(), []

    def _platform(self) -> str:
        """That of the runs, which are lanes of one program."""
        entry = next(iter(self.entries.values()), None)
        return ENGINE if entry is None else platform_of(entry.planned.run)

    @property
    def has_unstored_ends(self) -> bool:
        """Whether a run has ended since the last commit."""
        return bool(self._finished)

    def _meta(self, run_id: str, env_note: Any) -> dict[str, Any]:
        entry = self.entries[run_id]
        return {
            "rows": entry.digest.state(),
            "wall_s": entry.wall_s,
            "returns": list(entry.returns),
            "env": env_note,
            "platform": platform_of(entry.planned.run),
        }

    def progress(self, runs: Iterable[PlannedRun], running: Iterable[str]) -> dict[str, VariantProgress]:
        """By variant, what these runs have done; `running` are those that have a lane."""
        shares: dict[str, list[PlannedRun]] = {}
        for planned in runs:
            shares.setdefault(planned.variant, []).append(planned)
        going = set(running)
        per_variant: dict[str, VariantProgress] = {}
        for variant, own in shares.items():
            entries = [self.entries[planned.run_id] for planned in own if planned.run_id in self.entries]
            returns = [value for entry in entries for value in entry.returns]
            per_variant[variant] = VariantProgress(
                done_steps=sum(entry.env_steps for entry in entries),
                total_steps=total_steps([planned.run for planned in own]),
                runs_done=sum(planned.run_id in self.ended for planned in own),
                runs_total=len(own),
                recent_return=sum(returns) / len(returns) if returns else None,
                lanes_running=sum(planned.run_id in going for planned in own),
                runs_share=sum(1.0 if entry.planned.run_id in self.ended else _share(entry) for entry in entries),
            )
        return per_variant


def _share(entry: Entry) -> float:
    """How much of its budget a run has used up."""
    budget = entry.planned.run.budget
    done, whole = (entry.env_steps, budget.steps) if budget.steps is not None else (entry.episodes, budget.episodes)
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
    for table, kind in TABLES.items():
        names, rows = kind.names, getattr(events, table)
        if rows:
            found[table] = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
            digest.advance(table, found[table])
    return found


def _no_rows() -> dict[str, dict[str, list[Any]]]:
    return {table: {"run_id": []} | {name: [] for name in kind.names} for table, kind in TABLES.items()}
