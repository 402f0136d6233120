"""What a store holds: the records of its runs, their rows, the states from which they go on, and their weights.

In: where a store lies. Out: all of it as it is now, and what of it is damaged. Publishes nothing but what settles it; knows nothing of
what a specification means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rlbench.errors import DamagedError, StoreError
from rlbench.store.checkpoints import CheckpointHeader, CheckpointReader, StoredState, load_lane, most_advanced
from rlbench.store.claims import ClaimReader
from rlbench.store.damage import Damage
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout
from rlbench.store.leases import Owner, Watch
from rlbench.store.parts import TableReader
from rlbench.store.reading import RecordReader
from rlbench.store.records import FINAL_STATUSES, Member
from rlbench.store.schema import RECORD_TABLES, ROW_TABLES
from rlbench.store.sweeping import settle, strays
from rlbench.store.weights import read_weights

if TYPE_CHECKING:
    import torch


class Contents:
    """The contents of one results folder. `damage` has what was found damaged while reading them."""

    def __init__(self, layout: Layout, say: Callable[[str], None] | None = None) -> None:
        self.layout = layout
        self.damage = Damage(say)
        self.index = IndexLog(layout, self.damage)
        self.watch = Watch(self.index.objects)
        self.claims = ClaimReader(layout, self.index, self.damage)
        self._tables = TableReader(layout, self.index, self.damage)
        self._records = {table: RecordReader(table, self.index, self._tables, self.damage) for table in RECORD_TABLES}
        self._checkpoints = CheckpointReader(layout, self.damage)

    @property
    def root(self) -> Path:
        """The local folder for what lies beside the results: the store's own, where it is a folder."""
        return self.layout.objects.root

    @property
    def address(self) -> str:
        """What the store is called in texts: its folder or its URL."""
        return self.layout.objects.where()

    def plan(self, experiment: str) -> dict[str, Any] | None:
        """The latest state of an experiment's sequential plan; None where it has none."""
        row = self._records["plans"].latest().get(experiment)
        return json.loads(row["state"]) if row else None

    def spec(self, run_id: str) -> dict[str, Any]:
        """One run's specification. Raises KeyError where it is unknown."""
        return self.specs([run_id])[run_id]

    def specs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The specifications of these runs, or of all, which share values: not to be changed. Raises KeyError for an unknown one."""
        rows = self._records["specs"].latest()
        wanted = rows if run_ids is None else run_ids
        return {run_id: rows[run_id]["spec"] for run_id in wanted}

    def unknown(self, run_ids: Iterable[str]) -> list[str]:
        """Those of the runs that have no specification here."""
        known = self._records["specs"].latest()
        return sorted(run_id for run_id in set(run_ids) if run_id not in known)

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Name -> latest definition, in the order in which they were first recorded."""
        return {name: json.loads(row["definition"]) for name, row in self._records["experiments"].latest().items()}

    def members(self, experiment: str) -> dict[str, Member]:
        """The runs of an experiment by run_id, in order of position."""
        return {
            row["run_id"]: Member(**{key: value for key, value in row.items() if key != "experiment"})
            for row in self.memberships()
            if row["experiment"] == experiment
        }

    def memberships(self) -> list[dict[str, Any]]:
        """One row per experiment and run, the latest record of each, by first record of the experiment and position.

        A run whose specification cannot be read is left out.
        """
        members = self._records["members"].latest()
        known = self._records["specs"].latest()  # after the members, with whose specifications they are written
        latest = {key: row for key, row in members.items() if key[1] in known}
        if len(latest) < len(members):
            lost = sorted({run_id for _, run_id in members if run_id not in known})
            self.damage.note(
                f"{len(lost)} runs have no specification in {self.address}, and are left out: {lost[0]} ..."
            )
        order = {experiment: i for i, experiment in enumerate(dict.fromkeys(name for name, _ in latest))}
        return sorted(latest.values(), key=lambda row: (order[row["experiment"]], row["position"]))

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """run_id -> its latest outcome row, for every run that ended."""
        return dict(self._records["outcomes"].latest())

    def final_runs(self) -> set[str]:
        """The runs that are never trained again: done, diverged or pruned."""
        outcomes = self._records["outcomes"].latest()
        return {run_id for run_id, row in outcomes.items() if row["status"] in FINAL_STATUSES}

    def is_final(self, run_id: str) -> bool:
        """Whether this run is never trained again."""
        row = self._records["outcomes"].latest().get(run_id)
        return row is not None and row["status"] in FINAL_STATUSES

    def claimed(self) -> set[str]:
        """The runs that a live program holds."""
        return set().union(*self._held().values())

    def holders(self, run_ids: Iterable[str]) -> list[str]:
        """The live processes that hold some of these runs, in words."""
        wanted = set(run_ids)
        return sorted({str(self.watch.owner(name) or Owner()) for name, own in self._held().items() if own & wanted})

    def _held(self) -> dict[str, frozenset[str]]:
        """Live program -> the runs that it holds."""
        return self.claims.held_now(self.watch.dead(self.index.read().writers))

    def progress(self) -> dict[str, int]:
        """run_id -> env_steps of the state from which a run that is not final would go on."""
        return {run_id: state.env_steps for run_id, state in self.states().items() if not self.is_final(run_id)}

    def parts(self, table: str) -> list[Path]:
        """The parts of a table in order of publication. A part never changes, and goes away when it is merged into another."""
        return [self.layout.objects.local(self.layout.part(table, part.name)) for part in self.index.read().of(table)]

    def num_rows(self, table: str) -> int:
        """How many rows of a table have been published: those at the positions before never change."""
        return self.index.read().num_rows(table)

    def read_rows(self, table: str, until: int | None = None, run_ids: Iterable[str] | None = None) -> pa.Table:
        """The rows of a table up to a position, of these runs or of all: those that count, of a run that began again."""
        wanted = None if run_ids is None else set(run_ids)
        if wanted is not None and wanted >= self._records["specs"].latest().keys() and not self.damage.lines:
            wanted = None  # all there are, which need not be looked for row by row
        return self._tables.rows(table, until, wanted, self.starts(table))

    def read_on(self, table: str, since: int, until: int) -> Iterator[tuple[int, pa.Table]]:
        """The rows at these positions piece by piece, each with the position of its first row, whether they count or not."""
        return self._tables.pieces(table, since, until)

    def starts(self, table: str) -> dict[str, int]:
        """Of the runs that may have begun more than once: the position in a row table from which their rows count."""
        if table not in ROW_TABLES:
            return {}
        reader = self._records["starts"]
        again, is_old = reader.times(), self.index.read().old_parts > 0
        return {run_id: row[table] for run_id, row in reader.latest().items() if is_old or again[run_id] > 1}

    def positions(self) -> dict[str, int]:
        """How many rows each row table has."""
        index = self.index.read()
        return {table: index.num_rows(table) for table in ROW_TABLES}

    def states(self) -> dict[str, StoredState]:
        """run_id -> where its most advanced stored state is, of every run that has one."""
        headers = self.headers()
        return most_advanced(headers, self.attempts(headers))

    def headers(self) -> list[CheckpointHeader]:
        """What the checkpoints say of themselves that count; a damaged one is noted."""
        return self._checkpoints.headers(self.index.read().checkpoints)

    def attempts(self, headers: Iterable[CheckpointHeader]) -> dict[str, str]:
        """Run -> its latest beginning, of every run that has a lane in one of these."""
        starts = self._records["starts"].latest()
        return {
            lane.run_id: starts[lane.run_id]["attempt"]
            for header in headers
            for lane in header.lanes
            if lane.run_id in starts
        }

    def has_lost_states(self) -> bool:
        """Whether a checkpoint of this store was ever damaged, so that the states that are left may be older than the rows."""
        counting = self.index.read().checkpoints
        return bool(self.layout.objects.names(self.layout.damaged)) or len(self._checkpoints.headers(counting)) < len(
            counting
        )

    def last_step(self, run_id: str) -> int:
        """The env_steps of the last row of a run that counts; 0 where it has none. Reads all parts."""
        steps = [self.read_rows(table, run_ids=[run_id])["env_steps"] for table in ROW_TABLES]
        return max((max(column.to_pylist(), default=0) for column in steps), default=0)

    def weights(self, run_id: str) -> dict[str, torch.Tensor]:
        """A run's final weights; none where it has none. Raises DamagedError."""
        return read_weights(self.layout.objects, self.layout.weights(run_id))

    def weights_path(self, run_id: str) -> Path:
        """A file with them, of a remote store a copy; where the run has none, no file is there."""
        return self.layout.objects.local(self.layout.weights(run_id))

    def weights_at(self, run_id: str) -> str:
        """What that file is called in texts."""
        return self.layout.objects.where(self.layout.weights(run_id))

    def check_states(self) -> None:
        """Read the state of every run that is not final, and note those that are damaged."""
        for run_id, state in self.states().items():
            if not self.is_final(run_id):
                try:
                    load_lane(self.layout, state.name, run_id)
                except DamagedError as error:
                    self.damage.note_error(error)
                except StoreError:  # its program has made another one
                    pass

    def note_strays(self) -> None:
        """Note the files among the parts that do not count."""
        for name in strays(self.layout, self.index):
            self.damage.note(f"{self.layout.objects.where(name)} is of no commit, and left aside")

    def settle(self) -> None:
        """Fence those who are dead, and finish or sweep what they left behind."""
        settle(self)
