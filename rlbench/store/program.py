"""A training program's hold on a store: the runs that it claimed, their stored states, and its commits.

In: rows, the state of all unfinished lanes, the runs that ended. Out: all of it in the store, or none of it. A commit happens at one
conditional write, that of the index which names its parts and its checkpoint: rows since the last one are never published, so a
resumed run can never publish them twice, and who has been taken for dead cannot publish at all.
Must never publish a row that its run's stored state does not cover. Knows nothing of how runs are trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rlbench.errors import DamagedError, StoreError, WriteError
from rlbench.store import parts
from rlbench.store.checkpoints import StoredState, checkpoint_name, load_lane, write_checkpoint
from rlbench.store.claims import write_claim
from rlbench.store.compaction import compact
from rlbench.store.index import Index
from rlbench.store.leases import LEASE_SECONDS
from rlbench.store.package_version import package_version
from rlbench.store.publishable import publishable
from rlbench.store.records import FINAL_STATUSES, STATUSES, Checkpoint, Finished, LaneCheckpoint
from rlbench.store.schema import Columns, canonical_json, record_table
from rlbench.store.sessions import Session
from rlbench.store.sweeping import forget, has_staged
from rlbench.store.weights import write_weights

if TYPE_CHECKING:
    from rlbench.store.contents import Contents

_EMPTY = Checkpoint({}, ())


class Program:
    """The runs that one process holds. Made by `Store.program`; a context manager that lets them go at the end."""

    def __init__(self, store: Contents, run_ids: Iterable[str], lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._layout = store.layout
        self._commits = self._claims = 0
        self._closed = False
        self._broken = False
        self._run_ids: list[str] = []
        self._checkpoint = ""  # the latest, in which are:
        self._lanes: dict[str, int] = {}  # run_id -> env_steps
        self._lost: set[str] = set()  # runs whose stored state is damaged, and which have not committed since
        self._session = Session(store.index, lease_seconds)
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

        Raises ValueError for a run that no experiment of the store has recorded, and LeaseLostError.
        """
        self._check_open("claim")
        wanted = list(dict.fromkeys(run_ids))
        unknown = self._store.unknown(wanted)
        if unknown:
            raise ValueError(f"runs without a recorded specification: {unknown}")
        self._store.settle()  # what is free because its program is dead must be seen
        free: tuple[str, ...] = ()

        def change(index: Index) -> Index | None:
            nonlocal free
            if any(writer.is_fenced and has_staged(self._layout, writer.name) for writer in index.writers.values()):
                self._store.settle()  # the weights that they have staged go before their runs are anybody's
                return None
            held = self._store.claims.held(index)
            if held is None:
                return None
            taken = set().union(*held.values())
            erased = {name for name in index.doomed if name.startswith("weights/")}
            unknown = set(self._store.unknown(wanted))  # erased since we looked
            free = tuple(
                run_id
                for run_id in wanted
                if run_id not in taken
                and run_id not in unknown
                and self._layout.weights(run_id) not in erased
                and not self._store.is_final(run_id)
            )
            return self._holding(index, [*self._run_ids, *free]) if free else index

        self._change_claim(change)
        self._run_ids.extend(free)
        return free

    def release(self, run_ids: Iterable[str]) -> None:
        """Let other programs have these runs. What is stored of them stays; they go on from there."""
        self._check_open("release")
        let_go = set(run_ids) & set(self._run_ids)
        if let_go:
            kept = [run_id for run_id in self._run_ids if run_id not in let_go]
            self._change_claim(lambda index: self._holding(index, kept))
            self._run_ids = kept

    def _holding(self, index: Index, run_ids: Sequence[str]) -> Index:
        """The index in which this program holds these runs: none of it counts before the index is the store's."""
        if not run_ids:
            return self._session.claiming(index, "")
        self._claims += 1
        name = f"{self._session.name}-{self._claims:06d}"
        write_claim(self._layout, name, run_ids)
        return self._session.claiming(index, name)

    def _change_claim(self, change: Callable[[Index], Index | None]) -> None:
        self._remove_old_claims(self._session.publish(change))

    def _remove_old_claims(self, index: Index) -> None:
        """Remove every claim of this program but the one that this index names: who was overtaken has written more than one."""
        counting = index.writers[self._session.name].claim
        for name in self._layout.objects.names(self._layout.claims):
            if name.startswith(f"{self._session.name}-") and name != counting:
                self._layout.objects.delete(self._layout.claim(name))

    def checkpoint_of(self, run_id: str) -> LaneCheckpoint | None:
        """The most advanced stored state of a run, by whichever program; None where there is none.

        A run that has one must go on from it: its rows up to there are published. A run without one begins (again): what is
        published of it counts until its next commit, and never after. A state that is damaged is noted, and is none.
        """
        state = self._states().get(run_id)
        while state is not None:
            try:
                self._check_covers(state, run_id)
                return load_lane(self._layout, state.name, run_id)
            except DamagedError as error:
                self._store.damage.note(f"{error}; run {run_id} begins again")
                self._lost.add(run_id)
                return None
            except StoreError:  # its program has laid it aside in another file meanwhile
                before, state = state, self._states().get(run_id)
                if state == before:
                    raise
        return None

    def _check_covers(self, state: StoredState, run_id: str) -> None:
        """Raise DamagedError where rows behind this state are published: whoever went on from it would publish them twice.

        So it is only where a later state was damaged, and rows are only read where one was.
        """
        if self._store.has_lost_states() and (step := self._store.last_step(run_id)) > state.env_steps:
            raise DamagedError(
                f"{self._layout.objects.where(state.name)} has run {run_id} at {state.env_steps} env_steps, and its rows go on to {step}"
            )

    def _states(self) -> dict[str, StoredState]:
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
        self._check_open("commit")
        if self._broken:
            raise StoreError(f"an earlier write to {self._store.address} failed; open it again to go on")
        checkpoint = checkpoint or _EMPTY
        self._check_runs(checkpoint, finished)
        states = self._states()
        tables = publishable(rows, checkpoint, finished, states)
        self._commits += 1
        checkpoint, starts = self._with_attempts(
            checkpoint, finished, states, f"{self._session.name}-{self._commits:06d}"
        )
        if starts:
            tables["starts"] = record_table("starts", starts)
        if finished:
            tables["outcomes"] = record_table("outcomes", [self._outcome(end, platform, launcher) for end in finished])
        try:
            index = self._publish(tables, checkpoint, finished)
        except BaseException as error:
            self._broken = True
            try:
                if isinstance(error, WriteError):  # of a file, it may be, that was swept under our hands
                    self._session.check()
            finally:
                forget(self._layout, self._store.index, self._session)
            raise
        self._lost -= {lane.run_id for lane in checkpoint.lanes} | {end.run_id for end in finished}
        compact(self._layout, index, self._session)

    def close(self) -> None:
        """Let go of everything and remove what is no longer needed. Safe to call twice."""
        if self._closed or not self._session.is_ours:
            return
        self._closed = True
        # Best effort: what a full disk or a lost permission leaves behind is swept when the store is next opened.
        self._session.close()
        with suppress(StoreError, OSError):
            self._store.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self, what: str) -> None:
        if self._closed:
            raise RuntimeError(f"{what} after close")

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
        self, checkpoint: Checkpoint, finished: Sequence[Finished], stored: Mapping[str, StoredState], name: str
    ) -> tuple[Checkpoint, list[dict[str, Any]]]:
        """The checkpoint whose lanes say since which beginning they go on, and the beginnings that this commit makes."""
        final = [end.run_id for end in finished if end.status in FINAL_STATUSES]
        lanes = [
            replace(lane, attempt=stored[lane.run_id].attempt if lane.run_id in stored else name)
            for lane in checkpoint.lanes
        ]
        fresh = [run_id for run_id in [*(lane.run_id for lane in lanes), *final] if run_id not in stored]
        positions = self._store.positions() if fresh else {}
        rows = [{"run_id": run_id, "attempt": name, **positions} for run_id in fresh]
        return Checkpoint(checkpoint.tensors, lanes), rows

    def _publish(self, tables: Mapping[str, Any], checkpoint: Checkpoint, finished: Sequence[Finished]) -> Index:
        """Write everything that this commit consists of, and then the index in which it counts."""
        name = f"{self._session.name}-{self._commits:06d}"
        self._write_weights(finished)
        written = [parts.write_part(self._layout, name, table, rows) for table, rows in tables.items()]
        current = checkpoint_name(self._session.name, self._commits) if checkpoint.lanes else ""
        if current:
            place = self._layout.checkpoint(current)
            write_checkpoint(self._layout.objects, place, self._session.name, self._commits, checkpoint)
            self._layout.objects.flush(self._layout.checkpoints)
        lanes = {lane.run_id: lane.env_steps for lane in checkpoint.lanes}
        final = {end.run_id for end in finished if end.status in FINAL_STATUSES}
        is_kept = bool(
            self._lanes.keys() - lanes.keys() - final
        )  # laid aside, or failed: their older state is all there is
        old = [self._checkpoint] if self._checkpoint and not is_kept else []
        ended = {end.run_id for end in finished}
        held = [run_id for run_id in self._run_ids if run_id not in ended]

        def change(index: Index) -> Index:
            following = index.with_parts(written).with_checkpoints([current] if current else [], old)
            return self._holding(following, held) if ended else following

        following = self._session.publish(change)
        self._checkpoint, self._lanes, self._run_ids = current, lanes, held
        for one in old:
            self._layout.objects.delete(self._layout.checkpoint(one))
        if ended:
            self._remove_old_claims(following)
        return following

    def _write_weights(self, finished: Sequence[Finished]) -> None:
        """Put the weights of the runs that end in their places, where nobody looks before their ends are published.

        Who is fenced has its staged files swept before anybody takes its runs. They are all staged before the check: whoever
        sleeps behind it finds nothing any more to put over a successor's. An object store has no renames, but copies by its server,
        which fail just so where there is nothing to copy.
        """
        objects = self._layout.objects
        specs = self._store.specs([end.run_id for end in finished])
        staged = []
        for end in finished:
            if end.weights is None:
                continue
            name = self._layout.weights(end.run_id)
            temp = self._layout.staged(f"{self._session.name}-{end.run_id}.safetensors")
            write_weights(objects, temp, end.weights, canonical_json(specs[end.run_id]))
            staged.append((temp, name))
        self._session.check()
        for temp, name in staged:
            objects.move(temp, name)
        if staged:
            objects.flush(self._layout.all_weights)

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
