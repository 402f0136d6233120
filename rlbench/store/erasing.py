"""Erasing experiments and runs from a store, for good.

In: names and ids. Out: a store without them: their records and rows are blank in new parts, which one version of the index puts in
the place of the old ones, and their weights and states are removed. Rows keep their positions, so that whoever reads along goes on
where it was. What is killed before that version has erased nothing; behind it, the next who opens the store ends it.
Must never touch a run that another experiment has, or that a live program holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from rlbench.errors import ConfigError, DamagedError, StoreError
from rlbench.store import parts
from rlbench.store.conditional import FolderStore
from rlbench.store.index import Index, TablePart, name_of
from rlbench.store.recording import standing
from rlbench.store.schema import SCHEMAS, record_table
from rlbench.store.sessions import Session
from rlbench.store.sweeping import forget

if TYPE_CHECKING:
    from rlbench.store.store import Store

FOLDERS_ONLY = "runs are deleted in folders only, which have renames; nothing was deleted"
_OF_EXPERIMENTS = {"experiments": "name", "members": "experiment", "plans": "experiment"}
# The beginnings stay: a state of an erased run that lies in a checkpoint among others is older than the latest of them.
_OF_RUNS = sorted(SCHEMAS.keys() - {"experiments", "plans", "starts"})


@dataclass(frozen=True)
class Erasure:
    """What is to go: experiments, and runs; kept: runs of these experiments that others have too."""

    experiments: tuple[str, ...]
    runs: tuple[str, ...]
    kept: tuple[str, ...]


def erasure(store: Store, experiments: Iterable[str], runs: Iterable[str] = ()) -> Erasure:
    """What goes with these experiments, and these runs out of whatever experiments they are of.

    Raises ConfigError where one of them belongs to a study, which goes on from it, and StoreError where nobody can tell.
    """
    names, asked = list(dict.fromkeys(experiments)), set(runs)
    members = store.memberships()
    elsewhere = {row["run_id"] for row in members if row["experiment"] not in names} - asked
    own = list(dict.fromkeys(row["run_id"] for row in members if row["experiment"] in names or row["run_id"] in asked))
    definitions = store.experiments()
    touched = {row["experiment"] for row in members if row["run_id"] in asked}
    for name in dict.fromkeys([*names, *sorted(touched)]):
        if name not in definitions:
            raise StoreError(f"what '{name}' is cannot be read, so that it may be of a study; nothing was deleted")
        if {"tuning_of", "confirms"} & definitions[name].keys():
            study = definitions[name].get("tuning_of", name)
            raise ConfigError(
                f"'{name}' is of the study '{study}', which goes on from it and reports on it; studies are not deleted"
            )
    return Erasure(
        tuple(names),
        tuple(run_id for run_id in own if run_id not in elsewhere),
        tuple(run_id for run_id in own if run_id in elsewhere),
    )


def erase(store: Store, plan: Callable[[], Erasure]) -> Erasure:
    """Erase what `plan` says, which is asked again wherever somebody else has changed what it follows from.

    Raises ConfigError, with nothing erased, where a live process holds one of the runs, and of a store in no folder; WriteError where the
    disk is full.
    """
    if not isinstance(store.layout.objects, FolderStore):
        # Weights keep their name: who removes them late must not remove those of a run that was trained again meanwhile.
        raise ConfigError(f"{store.address}: {FOLDERS_ONLY}")
    with Session(store.index) as session:
        store.settle()
        wanted = plan()
        rewriting: _Rewriting | None = None

        def change(index: Index) -> Index | None:
            nonlocal wanted, rewriting
            if rewriting is None or rewriting.standing != standing(index):
                wanted = plan()
                rewriting = _Rewriting(store, session, wanted, standing(index))
            return rewriting.follow(index) if _check_free(store, index, wanted) else None

        try:
            session.publish(change)
        finally:
            forget(store.layout, store.index, session)
    store.settle()  # removes the old parts, the weights, and the checkpoints in which nobody else has a state
    return wanted


class _Rewriting:
    """Every part that holds something of an erasure, written anew: of each index that comes, those that were not there before.

    What is written for an index that somebody else followed first is swept with its session.
    standing: that of the records from which the erasure was planned.
    """

    def __init__(self, store: Store, session: Session, wanted: Erasure, standing: tuple[int, ...]) -> None:
        self.standing = standing
        self._store, self._wanted, self._writer = store, wanted, f"{session.name}-erased"
        self._new: dict[str, TablePart | None] = {}  # by the name of the old one; None where nothing of it is to go
        self._begin: list[TablePart] | None = None

    def follow(self, index: Index) -> Index | None:
        """The index without what is to go, and with where these runs may begin again; None where it has moved on."""
        for part in index.parts:
            if part.name not in self._new:
                try:
                    self._new[part.name] = _rewritten(self._store, self._writer, part, self._wanted)
                except FileNotFoundError:
                    if part not in self._store.index.latest().parts:
                        return None
                    where = self._store.layout.objects.where(name_of(part))
                    self._store.damage.note_part(where, DamagedError(f"{where} is missing"))
                    self._new[part.name] = None
        written = {part.name: new for part in index.parts if (new := self._new[part.name]) is not None}
        if self._begin is None:
            rows = [
                {"run_id": run_id, "attempt": self._writer, **self._store.positions()} for run_id in self._wanted.runs
            ]
            starts = record_table("starts", rows)
            self._begin = [parts.write_part(self._store.layout, self._writer, "starts", starts)] if rows else []
        weights = [self._store.layout.weights(run_id) for run_id in self._wanted.runs]
        old = [name_of(part) for part in index.parts if part.name in written]
        return index.rewritten(written).with_parts(self._begin).with_doomed([*weights, *old])


def _check_free(store: Store, index: Index, wanted: Erasure) -> bool:
    """Whether nobody holds a run that is concerned. False where the index has moved on; raises ConfigError."""
    held = store.claims.held(index)  # who looks for a damaged claim is told of it
    if held is None:
        return False
    concerned = {*wanted.runs, *wanted.kept}
    if concerned & set().union(*held.values()):
        names = ", ".join(wanted.experiments or wanted.runs)
        held_by = " and ".join(store.holders(concerned)) or "another process"
        raise ConfigError(f"{names} is being trained by {held_by}; let it end, or stop it first; nothing was deleted")
    return True


def _rewritten(store: Store, writer: str, part: TablePart, wanted: Erasure) -> TablePart | None:
    """The part without what is to go; None where nothing of it is there, or where it cannot be read anyway."""
    try:
        rows = parts.read_part(store.layout, part)
    except StoreError as error:
        store.damage.note_part(store.layout.objects.where(name_of(part)), error)
        return None
    where = _doomed(part.table, rows, wanted)
    if where is None or not pc.any(where).as_py():
        return None
    return parts.write_part(store.layout, writer, part.table, parts.erased(rows, where), part.level, part.is_old)


def _doomed(table: str, rows: pa.Table, wanted: Erasure) -> pa.ChunkedArray | None:
    """Which rows go; None where the table has none of this kind."""
    found: list[pa.ChunkedArray] = []
    if table in _OF_EXPERIMENTS:
        found.append(_is_in(rows[_OF_EXPERIMENTS[table]], wanted.experiments))
    if table in _OF_RUNS:
        found.append(_is_in(rows["run_id"], wanted.runs))
    return None if not found else found[0] if len(found) == 1 else pc.or_(*found)


def _is_in(column: pa.ChunkedArray, values: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(list(values), pa.string()))
