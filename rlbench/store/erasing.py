"""Erasing experiments and runs from a store, for good.

In: names and ids. Out: a store without them: their records and rows are blank in new parts, which one replacement of the index
puts in the place of the old ones, and their weights and states are removed. Rows keep their positions, so that whoever reads
along goes on where it was. What is killed before that replacement has erased nothing; behind it, the next who opens the store ends it.
Must never touch a run that another experiment has, or that a live program holds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from rlbench.errors import ConfigError, StoreError
from rlbench.store import files, parts
from rlbench.store.claims import live_claims
from rlbench.store.index import Part
from rlbench.store.schema import SCHEMAS, record_table

if TYPE_CHECKING:
    from rlbench.store.store import Store

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
    """Erase what `plan` says once nobody else can write.

    Raises ConfigError, with nothing erased, where a live process holds one of the runs; WriteError where the disk is full.
    """
    layout = store.layout
    with files.locked(layout):
        store.settle()
        wanted = plan()
        _check_free(store, wanted)
        staging = layout.staging / f"{uuid.uuid4().hex[:12]}-erased"
        try:
            files.make_folder(staging)
            _stage(store, staging, wanted)
            parts.publish(layout, staging)
        finally:
            files.remove_folder(staging)
        store.settle()  # removes the checkpoints in which nobody else has a state
    return wanted


def _check_free(store: Store, wanted: Erasure) -> None:
    concerned = {*wanted.runs, *wanted.kept}
    if concerned & set().union(*live_claims(store.layout).values()):  # who looks for a damaged claim is told of it
        names = ", ".join(wanted.experiments or wanted.runs)
        held_by = " and ".join(store.holders(concerned))
        raise ConfigError(f"{names} is being trained by {held_by}; let it end, or stop it first; nothing was deleted")


def _stage(store: Store, staging: Path, wanted: Erasure) -> None:
    """Write every part that holds something of it anew."""
    replaced, staged = [], []
    for part in store.index.read().parts:
        new = _rewritten(store, staging, part, wanted)
        if new is not None:
            replaced.append(part.name)
            staged.append(new)
    begin = [{"run_id": run_id, "attempt": staging.name, **store.positions()} for run_id in wanted.runs]
    if begin:
        staged.append(parts.stage_part(staging, "starts", record_table("starts", begin)))
    parts.stage_record(staging, staged, replaced, wanted.runs)


def _rewritten(store: Store, staging: Path, part: Part, wanted: Erasure) -> Part | None:
    """The part without what is to go, staged; None where nothing of it is there, or where it cannot be read anyway."""
    try:
        rows = parts.read_part(store.layout.part(part.table, part.name), part)
    except StoreError as error:
        store.damage.note_part(store.layout.part(part.table, part.name), error)
        return None
    where = _doomed(part.table, rows, wanted)
    if where is None or not pc.any(where).as_py():
        return None
    return parts.stage_part(staging, part.table, parts.erased(rows, where), part.level, part.is_old)


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
