"""The store: a folder of results that survives whatever happens to the programs that write to it.

In: experiments, and through `Program` what training produces. Out: specifications, memberships, outcomes, claims, and
the parts of each table for those who read along. Opening for writing settles what killed programs left behind; opening
for reading (`create=False`) never writes. Knows nothing of what a specification means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rlbench.errors import DamagedError, StoreError
from rlbench.store import layout as formats
from rlbench.store import parts
from rlbench.store.checkpoints import (
    CheckpointHeader,
    CheckpointReader,
    StoredState,
    load_lane,
    most_advanced,
)
from rlbench.store.claims import ClaimReader
from rlbench.store.damage import Damage
from rlbench.store.earlier import Takeover, is_earlier
from rlbench.store.experiments import StoredExperiment, additions, planned_members
from rlbench.store.index import Index
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout, layout_of
from rlbench.store.leases import LEASE_SECONDS, Owner, Watch
from rlbench.store.program import Program
from rlbench.store.reading import RecordReader
from rlbench.store.recording import publish_records
from rlbench.store.records import FINAL_STATUSES, Member
from rlbench.store.schema import RECORD_TABLES, ROW_TABLES, SCHEMAS, canonical_json
from rlbench.store.sweeping import settle, strays
from rlbench.store.weights import read_weights

if TYPE_CHECKING:
    import torch


class Store:
    """One results folder. Made by `Store.open`. `damage` has what was found damaged while reading it."""

    def __init__(self, layout: Layout, say: Callable[[str], None] | None = None) -> None:
        self.layout = layout
        self.damage = Damage(say)
        self.index = IndexLog(layout, self.damage)
        self.watch = Watch(self.index.objects)
        self.claims = ClaimReader(layout, self.index, self.damage)
        self._tables = parts.TableReader(layout, self.index, self.damage)
        self._records = {table: RecordReader(table, self.index, self._tables, self.damage) for table in RECORD_TABLES}
        self._checkpoints = CheckpointReader(layout, self.damage)

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = True, say: Callable[[str], None] | None = None) -> Store:
        """Open a results folder: for writing, making it where it does not exist, or (`create=False`) for reading.

        say: called with a line for everything that is found damaged; `damage` has them all as well.
        Raises StoreError for a folder of something else or of another format, a missing one that is not to be
        created, and one that cannot be written.
        """
        layout = layout_of(path)
        found = formats.read_format(layout)
        if not create:
            if found is None:
                raise StoreError(f"there is no results folder {layout.objects.where()}")
            return cls(layout, say)
        if found is None:
            formats.begin_format(layout, 1)  # and of the next one once it has an index
        else:
            layout.objects.check_writable()
        for folder in (
            layout.index,
            layout.leases,
            layout.claims,
            layout.checkpoints,
            layout.staging,
            layout.all_weights,
        ):
            layout.objects.make_folder(folder)
        for table in SCHEMAS:
            layout.objects.make_folder(layout.table(table))
        store = cls(layout, say)
        if is_earlier(layout):
            store._take_over()
        elif formats.read_format(layout) != formats.FORMAT:
            store.index.begin(Index())
            formats.write_format(layout, formats.FORMAT)
        store.index.prune()
        store.settle()
        return store

    def _take_over(self) -> None:
        """Make a store of an earlier format one of this format. Raises StoreError where an earlier rlbench is writing to it."""
        with Takeover(self.layout, self.damage) as takeover:
            begin = self.index.read()
            if begin.version == 0:
                begin = takeover.index(begin)
            formats.write_format(
                self.layout, formats.FORMAT
            )  # from here on no earlier rlbench adds to what we have read
            self.index.begin(begin)
            takeover.tidy_up()

    @classmethod
    def peek(cls, path: str | os.PathLike[str], say: Callable[[str], None] | None = None) -> Store | None:
        """The store in a folder, for reading; None where there is no folder yet, or an empty one.

        Raises StoreError for a folder of something else or of another format.
        """
        layout = layout_of(path)
        return None if formats.read_format(layout) is None else cls(layout, say)

    @classmethod
    def check_writable(cls, path: str | os.PathLike[str]) -> None:
        """Raise WriteError where the folder, or the nearest one above it that exists, cannot be written; StoreError of a URL."""
        layout_of(path).objects.check_writable()

    @property
    def root(self) -> Path:
        """The local folder for what lies beside the results: the store's own, where it is a folder."""
        return self.layout.objects.root

    @property
    def address(self) -> str:
        """What the store is called in texts: its folder or its URL."""
        return self.layout.objects.where()

    def record_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Write down what is planned; what stands there already is not written again.

        Members and comparisons are added to those that the experiment has, otherwise its latest definition holds. Raises
        ConfigError, with nothing written, where one run stands for two variants, or where `final_window` differs, which would
        change what finished runs say.
        """
        publish_records(self.layout, self.index, lambda: self._additions(name, definition, members, specs))

    def check_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Raise what `record_experiment` would; writes nothing."""
        self._additions(name, definition, members, specs)

    def _additions(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, list[dict[str, Any]]]:
        """The rows that an experiment adds to the records, by table."""
        planned = planned_members(name, members)
        placed = self.members(name)
        known = self.specs()  # after the members: whoever adds some meanwhile adds their specifications with them
        row = self._records["experiments"].latest().get(name)
        stored = StoredExperiment(placed, known, self.final_runs(), row["definition"] if row else None)
        return additions(name, definition, planned, specs, stored)

    def plan(self, experiment: str) -> dict[str, Any] | None:
        """The latest state of an experiment's sequential plan; None where it has none."""
        row = self._records["plans"].latest().get(experiment)
        return json.loads(row["state"]) if row else None

    def record_plan(self, experiment: str, state: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
        """Write the next state of a sequential plan, if the latest is still `after`; whether it was written.

        Every state stays: a plan's parts are the record of what was seen at which look.
        """
        is_next = False

        def following() -> dict[str, list[dict[str, Any]]]:
            nonlocal is_next
            is_next = self.plan(experiment) == after
            return {"plans": [{"experiment": experiment, "state": canonical_json(state)}]} if is_next else {}

        publish_records(self.layout, self.index, following)
        return is_next

    def program(self, run_ids: Iterable[str], lease_seconds: float = LEASE_SECONDS) -> Program:
        """Claim those of the runs that are not final and that no live program holds."""
        return Program(self, run_ids, lease_seconds)

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
