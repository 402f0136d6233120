"""A training program's hold on a store: the runs that it claimed, their stored states, and its commits.

In: rows, the state of all unfinished lanes, the runs that ended. Out: all of it in the store, or none of it. A commit
happens at one rename, that of the checkpoint: rows since the last checkpoint are never published, so a resumed run can
never publish them twice; rows before it are published by whoever comes next, if this program is killed first.
Must never publish a row that its run's stored state does not cover. Knows nothing of how runs are trained.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from rlbench.errors import DamagedError, StoreError
from rlbench.store import files, parts
from rlbench.store.checkpoints import FILE_NAME, State, load_lane, staging_folder, write_checkpoint
from rlbench.store.claims import Claim, live_claims
from rlbench.store.compaction import compact
from rlbench.store.records import FINAL_STATUSES, STATUSES, Checkpoint, Finished, LaneCheckpoint
from rlbench.store.schema import ROW_TABLES, Columns, canonical_json, record_table, row_table, split_rows
from rlbench.store.weights import write_weights

if TYPE_CHECKING:
    from rlbench.store.store import Store

_EMPTY = Checkpoint({}, ())


@cache
def package_version() -> str:
    """The installed version of rlbench; from a git checkout with its revision, and `.dirty` where the package was changed since."""
    try:
        version = metadata.version("rlbench")
    except metadata.PackageNotFoundError:
        version = "0+unknown"
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return version
    git = ["git", "-C", str(package.parent)]
    try:
        asked = [[*git, "rev-parse", "--short=12", "HEAD"], [*git, "status", "--porcelain", "--", str(package)]]
        revision, changes = (
            subprocess.run(one, capture_output=True, text=True, check=True).stdout.strip() for one in asked
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or a checkout that it will not read
        return version
    return f"{version}{'.' if '+' in version else '+'}g{revision}{'.dirty' if changes else ''}"


class Program:
    """The runs that one process holds. Made by `Store.program`; a context manager that lets them go at the end."""

    def __init__(self, store: Store, run_ids: Iterable[str]) -> None:
        self._store = store
        self._layout = store.layout
        self._name = uuid.uuid4().hex[:12]
        self._commits = 0
        self._closed = False
        self._broken = False
        self._run_ids: list[str] = []
        self._lanes: dict[str, int] = {}  # run_id -> env_steps in this program's own checkpoint
        self._lost: set[str] = set()  # runs whose stored state is damaged, and which have not committed since
        with files.locked(self._layout):
            self._claim = Claim(self._layout, self._name)
        try:
            self.claim(run_ids)
        except BaseException:
            self.close()
            raise

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The runs that this program holds and has not finished, in the order in which they were asked for."""
        return tuple(self._run_ids)

    def claim(self, run_ids: Iterable[str]) -> tuple[str, ...]:
        """Take those of the runs that are not final and that no live program holds; returns them.

        Raises ValueError for a run that no experiment of the store has recorded.
        """
        wanted = list(dict.fromkeys(run_ids))
        unknown = self._store.unknown(wanted)
        if unknown:
            raise ValueError(f"runs without a recorded specification: {unknown}")
        with files.locked(self._layout):
            self._store.settle()  # an end that a killed program had committed must be seen before its run is taken
            taken = set().union(*live_claims(self._layout).values())
            free = tuple(run_id for run_id in wanted if run_id not in taken and not self._store.is_final(run_id))
            self._claim.take(free)
        self._run_ids.extend(free)
        return free

    def release(self, run_ids: Iterable[str]) -> None:
        """Let other programs have these runs. What is stored of them stays; they go on from there."""
        let_go = set(run_ids) & set(self._run_ids)
        self._claim.let_go(sorted(let_go))
        self._run_ids = [run_id for run_id in self._run_ids if run_id not in let_go]

    def checkpoint_of(self, run_id: str) -> LaneCheckpoint | None:
        """The most advanced stored state of a run, by whichever program; None where there is none.

        A run that has one must go on from it: its rows up to there are published. A run without one begins (again): what is
        published of it counts until its next commit, and never after. A state that is damaged is noted, and is none.
        """
        with files.locked(self._layout):
            state = self._states().get(run_id)
            if state is None:
                return None
            try:
                return load_lane(state.path, run_id)
            except DamagedError as error:
                self._store.damage.note(f"{error}; run {run_id} begins again")
                self._lost.add(run_id)
                return None

    def _states(self) -> dict[str, State]:
        """The states from which runs have to go on."""
        return {run_id: state for run_id, state in self._store.states().items() if run_id not in self._lost}

    def commit(
        self,
        rows: Mapping[str, Columns],
        checkpoint: Checkpoint | None,
        finished: Sequence[Finished],
        platform: str,
        launcher: str,
    ) -> None:
        """Store rows, states and outcomes: all at once, or nothing.

        rows: row table -> columns, `run_id` among them: everything since the last commit, each run's rows in order.
        checkpoint: every lane whose run goes on. A run that had a lane in the last commit and is neither here nor
            finished keeps its older state in the store, and needs a lane here before it may have rows again.
        finished: the runs that ended; their last rows belong to this commit. Of a `failed` run the rows since its last
            state are left out and that state is kept, because it may be tried again from there.

        Raises StoreError when the store cannot be written, and on every later commit of the same program: reopen the
        store, which settles what was committed. Raises ValueError, with nothing written, for rows of a run that this
        program does not hold, that no state covers, or from before the state that the run had to go on from.
        """
        if self._closed:
            raise RuntimeError("commit after close")
        if self._broken:
            raise StoreError(f"an earlier write to {self._layout.root} failed; open it again to go on")
        checkpoint = checkpoint or _EMPTY
        self._check_runs(checkpoint, finished)
        states = self._states()
        tables = self._publishable(rows, checkpoint, finished, states)
        self._commits += 1
        staging = staging_folder(self._layout, self._name, self._commits)
        checkpoint, starts = self._with_attempts(checkpoint, finished, states, staging.name)
        if starts:
            tables["starts"] = record_table("starts", starts)
        if finished:
            tables["outcomes"] = record_table("outcomes", [self._outcome(end, platform, launcher) for end in finished])
        try:
            self._stage(staging, tables, checkpoint, finished)
            with files.locked(self._layout):
                self._commit_point(staging, checkpoint, finished)
                parts.publish(self._layout, staging)
            files.remove_folder(staging)
            self._lost -= {lane.run_id for lane in checkpoint.lanes} | {end.run_id for end in finished}
            self.release([end.run_id for end in finished])
        except BaseException:
            self._broken = True
            raise
        compact(self._layout, self._store.index, self._name)

    def close(self) -> None:
        """Let go of everything and remove what is no longer needed. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        # Best effort: what a full disk or a lost permission leaves behind is swept when the store is next opened.
        with suppress(StoreError, OSError), files.locked(self._layout):
            self._claim.close()
            self._store.settle()
        self._claim.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_runs(self, checkpoint: Checkpoint, finished: Sequence[Finished]) -> None:
        lanes = [lane.run_id for lane in checkpoint.lanes]
        ends = [end.run_id for end in finished]
        if len(set(lanes)) < len(lanes) or len(set(ends)) < len(ends) or set(lanes) & set(ends):
            raise ValueError("a run is twice in one commit")
        foreign = (set(lanes) | set(ends)) - set(self._run_ids)
        if foreign:
            raise ValueError(f"runs that this program does not hold: {sorted(foreign)}")
        for end in finished:
            if end.status not in STATUSES:
                raise ValueError(f"unknown status {end.status!r}; it is one of {STATUSES}")
        for name, tensor in checkpoint.tensors.items():
            if lanes and (tensor.ndim == 0 or len(tensor) != len(lanes)):
                raise ValueError(f"checkpoint tensor {name!r} {tuple(tensor.shape)} has not {len(lanes)} lanes")

    def _with_attempts(
        self, checkpoint: Checkpoint, finished: Sequence[Finished], stored: Mapping[str, State], name: str
    ) -> tuple[Checkpoint, list[dict[str, Any]]]:
        """The checkpoint whose lanes say since which beginning they go on, and the beginnings that this commit makes."""
        final = [end.run_id for end in finished if end.status in FINAL_STATUSES]
        lanes = [
            replace(lane, attempt=stored[lane.run_id].attempt if lane.run_id in stored else name)
            for lane in checkpoint.lanes
        ]
        fresh = [run_id for run_id in [*(lane.run_id for lane in lanes), *final] if run_id not in stored]
        rows = [{"run_id": run_id, "attempt": name, **self._store.positions()} for run_id in fresh]
        return Checkpoint(checkpoint.tensors, lanes), rows

    def _publishable(
        self,
        rows: Mapping[str, Columns],
        checkpoint: Checkpoint,
        finished: Sequence[Finished],
        stored: Mapping[str, State],
    ) -> dict[str, Any]:
        """The rows as Arrow tables, less those of failed runs; each within what its run's state covers."""
        states = {lane.run_id: lane.env_steps for lane in checkpoint.lanes}
        ends = {end.run_id: end.env_steps for end in finished if end.status in FINAL_STATUSES}
        failed = {end.run_id for end in finished} - ends.keys()
        covered = {
            run_id: (stored[run_id].env_steps if run_id in stored else 0, until)
            for run_id, until in (states | ends).items()
        }
        for run_id, (since, until) in covered.items():
            if until < since:
                raise ValueError(f"run {run_id} at {until} env_steps must go on from its stored state at {since}")
        tables = {}
        for table, columns in rows.items():
            if table not in ROW_TABLES:
                raise ValueError(f"unknown table {table!r}; the row tables are {sorted(ROW_TABLES)}")
            whole = row_table(table, columns)
            for run_id, own in split_rows(table, columns).items():
                if run_id in failed:
                    continue
                if run_id not in covered:
                    raise ValueError(
                        f"{table}: rows of run {run_id}, which has neither a lane nor an end in this commit"
                    )
                (since, until), steps = covered[run_id], own["env_steps"]
                if steps.min() < since or steps.max() > until:
                    raise ValueError(
                        f"{table}: rows of run {run_id} at {steps.min()} to {steps.max()} env_steps; this commit takes"
                        f" it from {since} to {until}"
                    )
            if failed:
                whole = whole.filter(pc.invert(pc.is_in(whole["run_id"], value_set=pa.array(sorted(failed)))))
            if len(whole):
                tables[table] = whole
        return tables

    def _stage(
        self, staging: Path, tables: Mapping[str, Any], checkpoint: Checkpoint, finished: Sequence[Finished]
    ) -> None:
        """Write everything that this commit consists of where nobody reads it."""
        try:
            files.make_folder(staging)
            specs = self._store.specs([end.run_id for end in finished])
            for end in finished:
                if end.weights is not None:
                    path = staging / self._layout.weights(end.run_id).name
                    write_weights(path, end.weights, canonical_json(specs[end.run_id]))
            write_checkpoint(staging / FILE_NAME, self._name, self._commits, checkpoint)
            parts.stage_parts(staging, tables)
        except BaseException:
            files.remove_folder(staging)
            raise

    def _outcome(self, end: Finished, platform: str, launcher: str) -> dict[str, Any]:
        return {
            "run_id": end.run_id,
            "status": end.status,
            "env_steps": end.env_steps,
            "updates": end.updates,
            "episodes": end.episodes,
            "wall_s": end.wall_s,
            "digest": end.digest,
            "version": package_version(),
            "platform": platform,
            "launcher": launcher,
            "finished_at": datetime.now(UTC),
            "error": end.error,
        }

    def _commit_point(self, staging: Path, checkpoint: Checkpoint, finished: Sequence[Finished]) -> None:
        """Put the weights and then the checkpoint in their places; the last rename is the commit."""
        weights = [self._layout.weights(end.run_id) for end in finished if end.weights is not None]
        for path in weights:
            files.rename(staging / path.name, path)
        if weights:
            files.sync_folder(weights[0].parent)
        lanes = {lane.run_id: lane.env_steps for lane in checkpoint.lanes}
        final = {end.run_id for end in finished if end.status in FINAL_STATUSES}
        current = self._layout.checkpoint(self._name)
        if self._lanes.keys() - lanes.keys() - final:  # laid aside, or failed: their older state is all there is
            files.rename(current, current.with_name(f"{self._name}-{self._commits - 1:06d}{current.suffix}"))
        files.rename(staging / FILE_NAME, current)
        files.sync_folder(self._layout.checkpoints)
        self._lanes = lanes
